"""Does VideoTG-R1's recipe pay? Partial annotations and hard samples, planted in the demo's clips.

    python benchmarks/bench_videotg.py --seed 0 --out bench_videotg

Of the training questions 40% name one of two occurrences of their event (partial), 25% ask for an
event of 1 second (hard) and 35% are ordinary. From one cold start two runs follow:

  plain     one epoch of GRPO on all samples
  pipeline  boundary reflection (3 answers, 2 must agree) drops the partial ones, difficulty is
            measured, a stratified 10% is selected, then GRPO with the masking curriculum for the
            hard ones, for 9 steps where the plain run has 40: under a quarter of its tokens

The reflection is answered by a model trained for it on other clips, see `demo.curator`; it has
never seen an event that happens twice. Both runs have the same settings, validation and test clips
(whose annotation is complete), and their last checkpoints are tested greedily in lmms-eval.
`result.json` holds precision and recall of the partial flag, both curves and test scores, and the
tokens of the rollouts, with and without those of the curation. What is done already is not done
again. `--ways` adds runs that tell which part did it:

  no_masking     the pipeline without its curriculum
  no_reflection  the pipeline with the partial samples in
  random         a random 10% in verl's order
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import demo_runs
import videotg_clips

from temporal_plugin.annotations import load_samples
from temporal_plugin.curation import difficulty
from temporal_plugin.demo import curator, run
from temporal_plugin.demo.settings import DemoSettings, GrpoSettings
from temporal_plugin.integrations.lmms_eval_curation import log_files, read_logs

logger = logging.getLogger("bench_videotg")
SHARES = {"ordinary": 0.35, "short": 0.25, "partial": 0.4}
#: of the clips that validate and test: as in training, but for the partial ones
CLEAN = {"ordinary": 0.6, "short": 0.4}
VALIDATION_CLIPS, TEST_CLIPS = 60, 200
MASKING = {"schedule": "linear", "start": 0.5, "full_at": 0.5, "hard_above": 0.7}
WAYS = ("plain", "pipeline", "no_masking", "no_reflection", "random")
PROMPT = "answer_list"
#: of the reflection's answers; at 1 so small a model misses more of what it knows
TEMPERATURE = 0.5


def main() -> None:
    """Runs all ways for one seed and writes `result.json` and `result.png`."""
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what it started, as Ctrl-C
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out = options.out / f"seed{options.seed}"
    base = settings_of(options, out)
    pool = dataclasses.replace(base, out=base.out / "pool")
    data = videotg_clips.write(pool.clips_dir, base.clips, base.seed + 1000, mix_of(options))
    curator_dir = options.curator_from or base.out / "curator"
    models(base, curator_dir, options.curator)
    settings = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(options).items()
    }
    result: dict[str, Any] = {"seed": options.seed, "settings": settings}
    result["reflection"] = reflect(base, curator_dir, data["train"], data["truth"])
    result["difficulty"] = measure(base, data["train"], data["truth"])
    count = round(options.share * options.clips)
    chosen = {
        "pipeline": select(base, data, "pipeline", "stratified", count, boundaries=True),
        "no_reflection": select(base, data, "no_reflection", "stratified", count, boundaries=False),
        "random": select(base, data, "random", "random", count, boundaries=False),
    }
    result["selection"] = {name: report for name, (_, report) in chosen.items()}
    short = max(1, int(options.steps * options.tokens))
    masked = (f"data.temporal.masking={demo_runs.as_override(MASKING)}",)
    ways = {
        "plain": (data["train"], options.steps, ()),
        "pipeline": (chosen["pipeline"][0], short, masked),
        "no_masking": (chosen["pipeline"][0], short, ()),
        "no_reflection": (chosen["no_reflection"][0], short, masked),
        "random": (chosen["random"][0], short, ()),
    }
    for name in options.ways:
        path, steps, overrides = ways[name]
        files = (
            f"data.train_files={path}",
            f"data.val_files={data['validation']}",
            f"actor_rollout_ref.model.path={base.cold_start_dir}",
            *overrides,
        )
        mine = demo_runs.branch(base, name, steps=steps, overrides=files)
        result[name] = demo_runs.grpo(mine, pool)
    if {"plain", "pipeline"} <= set(options.ways):
        result["compare"] = compare(result)
    (out / "result.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    picture(result, out / "result.png")
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("bench_videotg"))
    parser.add_argument("--clips", type=int, default=640, help="training questions")
    parser.add_argument("--share", type=float, default=0.1, help="of them in the pipeline")
    parser.add_argument("--steps", type=int, default=40, help="of the plain run")
    # not 0.25: answers may be a little longer than in the plain run, and tokens count
    parser.add_argument("--tokens", type=float, default=0.225, help="share of its steps for others")
    parser.add_argument("--every", type=int, default=5, help="steps between validations")
    parser.add_argument("--cold-start", type=int, default=300, help="its batches")
    parser.add_argument("--curator", type=int, default=1900, help="batches of its training")
    parser.add_argument("--curator-from", type=Path, help="a curator trained before, of any seed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["plain", "pipeline"])
    return parser.parse_args()


def settings_of(options: argparse.Namespace, out: Path) -> DemoSettings:
    """The demo's settings for this seed."""
    usual = DemoSettings()
    return DemoSettings(
        out=out,
        seed=options.seed,
        threads=options.threads,
        cold_start=dataclasses.replace(usual.cold_start, batches=options.cold_start),
        grpo=GrpoSettings(steps=options.steps, evaluate_every=options.every),
    )


def mix_of(options: argparse.Namespace) -> videotg_clips.Mix:
    """How many clips of which kind are in each split."""
    counts = {
        "train": (SHARES, options.clips),
        "validation": (CLEAN, VALIDATION_CLIPS),
        "test": (CLEAN, TEST_CLIPS),
    }
    return {
        split: {kind: round(share * count) for kind, share in shares.items()}
        for split, (shares, count) in counts.items()
    }


def models(base: DemoSettings, curator_dir: Path, batches: int) -> None:
    """The cold-started model and the curator, both trained on clips apart from the pool."""
    there = (base.cold_start_dir / "config.json").exists()
    run.run(base, ["clips"] if there else ["clips", "model", "cold_start"])
    if not (curator_dir / "config.json").exists():
        found = curator.run(base, base.cold_start_dir, curator_dir, PROMPT, batches)
        logger.info("curator: %s", found)


def reflect(base: DemoSettings, model_dir: Path, data: Path, truth: Path) -> dict[str, Any]:
    """Which samples the curator calls partial, and how right that is."""
    results, rows = base.out / "reflection", base.out / "boundaries.jsonl"
    demo_runs.ask(base, model_dir, "curate_boundaries", data, results, "--repeats", "3",
                  "--gen_kwargs", f"temperature={TEMPERATURE},max_new_tokens=48")  # fmt: skip
    report = demo_runs.curate("boundaries", results, "--data", data, "--out", rows, "--agree", 2)
    flags = {row["id"]: row["partial"] for row in map(json.loads, rows.read_text().splitlines())}
    found = flag_quality(flags, videotg_clips.kinds_of(truth))
    found |= {"tokens": tokens_of(results, "curate_boundaries", model_dir), "report": report}
    logger.info("reflection: %s", found)
    return found


def flag_quality(flags: dict[str, bool], kinds: dict[str, str]) -> dict[str, Any]:
    """Precision and recall of the flag `partial`, and how often it is set on each kind.

    Args:
        flags: of the samples that were asked, by id.
        kinds: the true kind of these and other samples.
    """
    flagged = Counter(kinds[id] for id, flag in flags.items() if flag)
    there = Counter(kinds[id] for id in flags)
    right, said = flagged["partial"], sum(flagged.values())
    return {
        "precision": right / said if said else 0.0,
        "recall": right / there["partial"] if there["partial"] else 0.0,
        "flagged": {kind: [flagged[kind], there[kind]] for kind in videotg_clips.KINDS},
    }


def measure(base: DemoSettings, data: Path, truth: Path) -> dict[str, Any]:
    """How hard each sample is for the cold-started model."""
    results, rows = base.out / "difficulty", base.out / "difficulty.jsonl"
    model_dir = base.cold_start_dir
    demo_runs.ask(base, model_dir, "curate_difficulty", data, results, "--repeats", "4",
                  "--gen_kwargs", "max_new_tokens=24")  # fmt: skip
    demo_runs.curate("difficulty", results, "--data", data, "--out", rows)
    kinds = videotg_clips.kinds_of(truth)
    levels = Counter(f"{kinds[row.id]} {row.level()}" for row in difficulty.read(rows).values())
    found = {"levels": dict(sorted(levels.items()))}
    found |= {"tokens": tokens_of(results, "curate_difficulty", model_dir)}
    logger.info("difficulty: %s", found)
    return found


def tokens_of(results: Path, task: str, model_dir: Path) -> int:
    """Tokens that a curation run generated."""
    rows = [row for row in read_logs(log_files([results], task)) if not row.get("not_asked")]
    return demo_runs.answer_tokens((text for row in rows for text in row["responses"]), model_dir)


def select(
    base: DemoSettings,
    data: dict[str, Path],
    name: str,
    method: str,
    count: int,
    *,
    boundaries: bool,
) -> tuple[Path, dict[str, Any]]:
    """The chosen samples' file, and how many of which kind are in it."""
    out = base.out / f"selected_{name}.jsonl"
    extra: tuple[object, ...] = ()
    if boundaries:
        extra = ("--boundaries", base.out / "boundaries.jsonl", "--report", base.out / "selection")
    demo_runs.curate("select", data["train"], "--difficulty", base.out / "difficulty.jsonl",
                     "--method", method, "--count", count, "--seed", base.seed, "--out", out,
                     *extra)  # fmt: skip
    kinds, chosen = videotg_clips.kinds_of(data["truth"]), load_samples(out)
    hard = sum(sample.extra["difficulty"] > MASKING["hard_above"] for sample in chosen)
    report = {"samples": len(chosen), "hard": hard}
    return out, report | dict(Counter(kinds[sample.id] for sample in chosen))


def compare(result: dict[str, Any]) -> dict[str, Any]:
    """The pipeline's gain, and its tokens as shares of the plain run's."""
    plain, pipeline = result["plain"], result["pipeline"]
    curation = result["reflection"]["tokens"] + result["difficulty"]["tokens"]
    used, whole = pipeline["tokens"], plain["tokens"]
    return {
        "test_gain": pipeline["test_miou"] - plain["test_miou"],
        "curation_tokens": curation,
        "share_of_response_tokens": used["response"] / whole["response"],
        "share_of_all_tokens": sum(used.values()) / sum(whole.values()),
        "share_with_curation": (used["response"] + curation) / whole["response"],
    }


def picture(result: dict[str, Any], path: Path) -> None:
    """Validation by rollout tokens of every way, and what the reflection flagged."""
    from temporal_plugin.report.canvas import DOTS_PER_INCH, GREY, RUNS, new_figure

    figure = new_figure(9.0, 3.2)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for name, colour in zip(WAYS, RUNS, strict=False):
        if name not in result:
            continue
        run = result[name]
        per_step = run["tokens"]["response"] / run["steps"] / 1000
        tokens = [step * per_step for step, _ in run["validation"]]
        label = f"{name} (test {run['test_miou']:.3f})"
        scores = [score for _, score in run["validation"]]
        left.plot(tokens, scores, color=colour, marker="o", markersize=3, label=label)
    left.set(xlabel="rollout tokens (thousands)", ylabel="mIoU, validation clips")
    left.legend(fontsize=8)
    quality = result["reflection"]
    shares = [flagged / max(1, count) for flagged, count in quality["flagged"].values()]
    right.barh(list(quality["flagged"]), shares, color=GREY)
    right.set(
        xlim=(0, 1),
        xlabel="share called partial",
        title=f"precision {quality['precision']:.2f}, recall {quality['recall']:.2f}",
    )
    figure.suptitle(f"seed {result['seed']}", fontsize=9)
    figure.savefig(path, dpi=DOTS_PER_INCH)


if __name__ == "__main__":
    main()
