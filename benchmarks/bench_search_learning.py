"""Does GRPO-CSV teach a model to search? Minute-long clips whose answer shows for a second or two.

    python benchmarks/bench_search_learning.py --seed 1 --out bench_search_learning

For one seed: clips, a tiny dual encoder, a tiny Qwen2.5-VL cold-started as a poor searcher, then
GRPO-CSV by upstream verl (recipe `tiny_search`). Before and after, upstream lmms-eval asks the test
questions twice: with search, and with as many uniform frames as a search can have seen. The result,
`seed<N>/result.json`, holds these four accuracies, their difference, what a perfect reader of the
uniform frames would get, and the curves of training. A table and a picture of all seeds found in
the folder are written beside it. What is done already is not done again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from temporal_plugin.demo import (
    search_clips,
    search_cold_start,
    search_encoder,
    search_evaluate,
    search_model,
    search_train,
)
from temporal_plugin.demo.search_settings import SearchDemoSettings, SearchGrpoSettings

logger = logging.getLogger("bench_search_learning")


def main() -> None:
    """Runs one seed and writes its result, the table and the picture."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--out", type=Path, default=Path("bench_search_learning"))
    arguments.add_argument("--steps", type=int, default=SearchGrpoSettings().steps)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what it started, as Ctrl-C
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = SearchDemoSettings(
        out=options.out / f"seed{options.seed}",
        seed=options.seed,
        threads=options.threads,
        grpo=dataclasses.replace(SearchGrpoSettings(), steps=options.steps),
    )
    result = Chain(settings).run()
    path = settings.out / "result.json"
    path.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    found = [
        json.loads(path.read_text("utf-8")) for path in sorted(options.out.glob("*/result.json"))
    ]
    (options.out / "results.md").write_text(table(found), "utf-8")
    picture(found, options.out / "results.png")
    sys.stdout.write(table(found))


class Chain:
    """The steps of one seed; a step's result is kept in `done.json` and not made again."""

    def __init__(self, settings: SearchDemoSettings) -> None:
        self.settings = settings
        self.path = settings.out / "done.json"
        settings.out.mkdir(parents=True, exist_ok=True)
        self.made_with = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
        del self.made_with["threads"]
        self.done: dict[str, Any] = {}
        if self.path.exists():
            found = json.loads(self.path.read_text("utf-8"))
            if found["made_with"] != self.made_with:
                raise SystemExit(f"{settings.out} was made with other settings; name a new folder")
            self.done = found["steps"]

    def run(self) -> dict[str, Any]:
        """All steps; their results by name."""
        settings, logs = self.settings, self.settings.out / "logs"

        def evaluate(when: str, model: Callable[[], Path], way: str) -> dict[str, float]:
            out = settings.out / f"evaluate_{when}_{way}"
            return search_evaluate.run(settings, model(), way, out, logs / f"{out.name}.log")

        self._step(
            "clips",
            lambda: str(search_clips.write(settings.clips_dir, settings.clips, settings.seed)),
        )
        self._step("encoder", lambda: search_encoder.build(settings))
        self._step("model", lambda: search_model.build(settings))
        self._step("cold_start", lambda: search_cold_start.run(settings))
        self._step("best_uniform", lambda: search_evaluate.best_uniform(settings))
        self._step("train", lambda: str(search_train.run(settings, logs / "train.log")))
        models = {
            "after": lambda: search_train.checkpoint(settings),
            "before": lambda: settings.cold_start_dir,
        }
        for when, model in models.items():
            for way in search_evaluate.WAYS:
                self._step(f"{when}_{way}", partial(evaluate, when, model, way))
        return self._result()

    def _step(self, name: str, work: Callable[[], Any]) -> None:
        if name in self.done:
            return
        began = time.monotonic()
        found = work()
        seconds = round(time.monotonic() - began)
        logger.info("%s: %s [%d s]", name, found, seconds)
        self.done[name] = {"found": found, "seconds": seconds}
        text = json.dumps({"made_with": self.made_with, "steps": self.done}, indent=2)
        self.path.write_text(text + "\n", "utf-8")

    def _result(self) -> dict[str, Any]:
        found = {name: step["found"] for name, step in self.done.items()}
        accuracy = {
            f"{when}_{way}": found[f"{when}_{way}"]["accuracy"]
            for when in ("before", "after")
            for way in search_evaluate.WAYS
        }
        return {
            "seed": self.settings.seed,
            "accuracy": accuracy,
            "gain_over_uniform": round(accuracy["after_search"] - accuracy["after_uniform"], 4),
            "best_uniform": found["best_uniform"],
            "searches": {when: found[f"{when}_search"] for when in ("before", "after")},
            "curves": search_train.curves(self.settings),
            "seconds": {name: step["seconds"] for name, step in self.done.items()},
            "settings": self.made_with,
        }


def table(results: list[dict[str, Any]]) -> str:
    """One line per seed, in Markdown."""
    lines = [
        "| seed | steps | search before | uniform before | search after | uniform after "
        "| search - uniform | perfect reader of the uniform frames "
        "| event found before | after | minutes |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        acc, searches = result["accuracy"], result["searches"]
        values = [
            *(acc[f"{when}_{way}"] for when in ("before", "after") for way in search_evaluate.WAYS),
            result["gain_over_uniform"],
            result["best_uniform"]["accuracy"],
            searches["before"]["found"],
            searches["after"]["found"],
        ]
        minutes = sum(result["seconds"].values()) / 60
        steps = len(result["curves"]["accuracy"])
        cells = [
            str(result["seed"]),
            str(steps),
            *(f"{value:.3f}" for value in values),
            f"{minutes:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def picture(results: list[dict[str, Any]], path: Path) -> None:
    """Bars of the four accuracies per seed, and the curves of training."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (bars, curves) = pyplot.subplots(1, 2, figsize=(11, 4))
    looks = {
        "before_uniform": ("uniform, before", "#c9c9c9"),
        "after_uniform": ("uniform, after", "#8c8c8c"),
        "before_search": ("search, before", "#9ecae1"),
        "after_search": ("search, after", "#2171b5"),
    }
    for number, (name, (label, colour)) in enumerate(looks.items()):
        places = [seed + 0.2 * (number - 1.5) for seed in range(len(results))]
        bars.bar(places, [r["accuracy"][name] for r in results], 0.19, label=label, color=colour)
    for place, result in enumerate(results):
        best = result["best_uniform"]["accuracy"]
        label = "perfect reader of the uniform frames" if place == 0 else None
        bars.hlines(best, place - 0.4, place + 0.4, colors="#d94801", label=label)
    bars.axhline(0.25, color="black", linewidth=0.8, linestyle=":", label="chance")
    bars.set(ylim=(0, 1.3), yticks=[0, 0.25, 0.5, 0.75, 1], ylabel="accuracy on the test clips")
    bars.set_xticks(range(len(results)), [f"seed {result['seed']}" for result in results])
    bars.legend(fontsize=7, loc="upper center", ncols=2)
    for result in results:
        curves.plot(result["curves"]["accuracy"], label=f"seed {result['seed']}")
    curves.set(xlabel="GRPO-CSV step", ylabel="accuracy of the rollouts", ylim=(0, 1))
    curves.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
