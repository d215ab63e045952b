"""Do selection and curriculum pay? The demo's GRPO with 30% of unlearnable samples planted.

    python benchmarks/bench_curriculum.py --seed 0 --out bench_curriculum

In the demo's training data some samples are made unlearnable: half of them get a span at another
place of the clip, half a query that does not occur in it. From one cold start two runs follow:

  plain       GRPO on all samples in verl's random order
  curriculum  difficulty by lmms-eval (curate_difficulty), `curate select`, then GRPO on what is
              left in the curriculum's order, for 60% of the plain run's steps

Both are validated on the same clean clips every few steps, and the last checkpoint of each answers
the test clips greedily in lmms-eval. The result, `result.json`, holds both curves, the first step
at which each run reaches the plain run's last validation, and both test scores. What is done
already is not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import math
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import demo_runs
import numpy as np

from temporal_plugin.annotations import Sample, load_samples, sample_jsonl
from temporal_plugin.curation import difficulty, selection
from temporal_plugin.demo import clips, run
from temporal_plugin.demo.settings import DemoSettings
from temporal_plugin.integrations.lmms_eval_curation import log_files, read_logs
from temporal_plugin.spans import Span, iou

logger = logging.getLogger("bench_curriculum")
TASK = "curate_difficulty"
CURRICULUM = {
    "order": "success",
    "newest_share": 0.5,
    "target": 0.6,
    "width": 0.25,
    "floor": 0.1,
    "hopeless_below": 0.1,
    "hopeless_return": 2,
}


def main() -> None:
    """Runs both ways for one seed and writes `result.json`."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--out", type=Path, default=Path("bench_curriculum"))
    arguments.add_argument("--steps", type=int, default=40, help="of the plain run")
    arguments.add_argument("--share", type=float, default=0.6, help="of them for the curriculum")
    arguments.add_argument("--every", type=int, default=4, help="steps between validations")
    arguments.add_argument("--planted", type=float, default=0.3, help="share of bad samples")
    arguments.add_argument("--repeats", type=int, default=4, help="answers per sample")
    arguments.add_argument("--low", type=float, default=0.15, help="least mean IoU that is kept")
    arguments.add_argument("--clips", type=int, default=600, help="training clips")
    arguments.add_argument("--cold-start", type=int, default=300, help="its batches")
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what it started, as Ctrl-C
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out = options.out / f"seed{options.seed}"
    base = settings_of(options, out)
    there = (base.cold_start_dir / "config.json").exists()
    run.run(base, ["clips"] if there else ["clips", "model", "cold_start"])
    planted, bad = plant(base, options.planted)
    kept, chosen = select(base, planted, bad, options)
    short = max(1, math.floor(options.steps * options.share))
    ways = {
        "plain": (planted, options.steps, ()),
        "curriculum": (
            chosen,
            short,
            (f"data.temporal.curriculum={demo_runs.as_override(CURRICULUM)}",),
        ),
    }
    result: dict[str, Any] = {"seed": options.seed, "settings": vars(options) | {"out": str(out)}}
    result |= {"planted": len(bad), "selection": kept}
    for name, (data, steps, overrides) in ways.items():
        files = (
            f"data.train_files={data}",
            f"data.val_files={base.clips_dir / 'validation.jsonl'}",
            f"actor_rollout_ref.model.path={base.cold_start_dir}",
            *overrides,
        )
        mine = demo_runs.branch(
            base, name, steps=steps, evaluate_every=options.every, overrides=files
        )
        result[name] = demo_runs.grpo(mine, base)
    result |= compare(result["plain"], result["curriculum"])
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def settings_of(options: argparse.Namespace, out: Path) -> DemoSettings:
    """The demo's settings for this seed."""
    usual = DemoSettings()
    return DemoSettings(
        out=out,
        seed=options.seed,
        threads=options.threads,
        clips=dataclasses.replace(usual.clips, train=options.clips),
        cold_start=dataclasses.replace(usual.cold_start, batches=options.cold_start),
    )


def plant(base: DemoSettings, share: float) -> tuple[Path, set[str]]:
    """The training samples with `share` of them made unlearnable, and the ids of those."""
    samples = load_samples(base.clips_dir / "train.jsonl")
    rng = np.random.default_rng([base.seed, 7])
    bad = rng.permutation(len(samples))[: round(share * len(samples))]
    for place, index in enumerate(bad):
        sample = samples[index]
        span = elsewhere(sample, rng)
        if place % 2:
            samples[index] = dataclasses.replace(sample, spans=(span,))
        else:
            query = absent_query(sample, samples, rng)
            samples[index] = dataclasses.replace(sample, spans=(span,), query=query)
    path = base.out / "planted.jsonl"
    sample_jsonl.write(path, samples)
    return path, {samples[index].id for index in bad}


def elsewhere(sample: Sample, rng: np.random.Generator) -> Span:
    """A span of whole seconds of the clip that has nothing in common with the true one."""
    seconds = int(sample.duration)
    pairs = [(start, start + length) for length in (2, 3, 4) for start in range(seconds - length)]
    free = [span for span in (Span(*pair) for pair in pairs) if iou(span, sample.spans[0]) == 0]
    return free[rng.integers(len(free))]


def absent_query(sample: Sample, samples: list[Sample], rng: np.random.Generator) -> str:
    """A query whose colour acts nowhere in the sample's clip."""
    there = " ".join(other.query for other in samples if other.video == sample.video)
    colours = [colour for colour in clips.COLOURS if colour not in there.split()]
    fitting = [other.query for other in samples if any(c in other.query.split() for c in colours)]
    return fitting[rng.integers(len(fitting))]


def select(
    base: DemoSettings, planted: Path, bad: set[str], options: argparse.Namespace
) -> tuple[dict[str, Any], Path]:
    """Measures the cold-started model on the planted data and keeps what can teach."""
    results, chosen = base.out / "difficulty", base.out / "selected.jsonl"
    repeats = ("--repeats", str(options.repeats), "--gen_kwargs", "max_new_tokens=24")
    demo_runs.ask(base, base.cold_start_dir, TASK, planted, results, *repeats)
    samples = {sample.id: sample for sample in load_samples(planted)}
    rows = {row.id: row for row in difficulty.from_log(read_logs(log_files([results], TASK))).rows}
    found = selection.select(samples, rows, "variance", low=options.low)
    sample_jsonl.write(
        chosen,
        [
            dataclasses.replace(
                samples[id], extra={**samples[id].extra, "difficulty": rows[id].difficulty}
            )
            for id in sorted(found.ids)
        ],
    )
    report = {
        "samples": len(samples),
        "selected": len(found.ids),
        "dropped": {rule: len(ids) for rule, ids in found.dropped.items()},
        "bad_among_selected": len(bad & set(found.ids)),
        "levels": Counter(row.level() for row in rows.values()),
    }
    logger.info("%s", report)
    return report, chosen


def compare(plain: dict[str, Any], curriculum: dict[str, Any]) -> dict[str, Any]:
    """When each run first reached the plain run's last validation, and where both ended.

    The plain run may well have been there long before its end: a validation has noise, and a run
    may stop to learn. So both first steps are told, and the tests of the last checkpoints.
    """
    aim = plain["validation"][-1][1]
    first = {
        name: next((step for step, score in run["validation"] if score >= aim), None)
        for name, run in (("plain", plain), ("curriculum", curriculum))
    }
    return {
        "plain_final_validation": aim,
        "first_reached_at_step": first,
        "curriculum_final_validation": curriculum["validation"][-1][1],
        "share_of_steps": curriculum["steps"] / plain["steps"],
        "test_gain_at_the_end": curriculum["test_miou"] - plain["test_miou"],
    }


if __name__ == "__main__":
    main()
