"""How fast responses are scored: rewards per second, import time, hostile megabytes.

    python benchmarks/bench_rewards.py [--json]

Times are processor time of one core, best of several runs. The parser to compare with is
`naive_score`: two regular expressions over the whole text, in the style of published reward
functions for this task, written for this benchmark.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable

from temporal_plugin.answers import Truth, parse
from temporal_plugin.rewards import score
from temporal_plugin.spans import Span

WEIGHTS = {"iou": 0.8, "tiou": 0.1, "format": 0.1}
TRUTH = Truth("q", spans=(Span(12.0, 16.5),), duration=35.0, query="the person opens a door")
CHOICE = Truth("q", options=("red", "blue", "green", "none of them"), answer="B")
OPENING = (
    "First I look at the whole video. The person walks in from 1.0 to 3.0 seconds, and the light "
    "goes on at about 7 s. "
)
FILLING = (
    "However, the person moves along the wall, and I notice another detail of the scene that "
    "helps to decide when it begins. "
)
# style -> (contract, truth, beginning, end)
STYLES = {
    "think, a to b": (
        "think_answer",
        TRUTH,
        "<think>",
        "</think><answer>12.50 to 17.00</answer>",
    ),
    "think, JSON": (
        "think_answer_json",
        TRUTH,
        "<think>",
        '</think><answer>{"start_time": "12.50", "end_time": "17.00"}</answer>',
    ),
    "think, [a, b]": ("think_time", TRUTH, "<think>", "</think><time>[12.5, 17.0]</time>"),
    "think, letter": ("think_answer_choice", CHOICE, "<think>", "</think><answer>B</answer>"),
    "prose": ("free", TRUTH, "", "The event occurs from 12.5 seconds to 17.0 seconds."),
    "prose, clock": ("free", TRUTH, "", "The answer is 00:12 - 00:17."),
    "prose, roles": ("free", TRUTH, "", "It starts at 00:12 and ends at 00:17, when he sits down."),
    "no answer": ("think_answer", TRUTH, "<think>", "and it goes on and on and on"),
}
HOSTILE = ("<answer>", "<think>", "7", "1:", "1 to ", "(", "[", " ", "5 m ", "not ", "answer: ")
MEGABYTE = 1_000_000

_NAIVE_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_NAIVE_RANGE = re.compile(r"(\d+\.?\d*) (?:to|and) (\d+\.?\d*)", re.IGNORECASE)
_NAIVE_FORMAT = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)


def naive_score(text: str, start: float, end: float) -> float:
    """IoU and format by whole-text regular expressions; reads "a to b" in tags and no more."""
    total = float(_NAIVE_FORMAT.fullmatch(text.strip()) is not None)
    answers = _NAIVE_ANSWER.findall(text)
    ranges = _NAIVE_RANGE.findall(answers[-1]) if answers else []
    if ranges:
        first, last = map(float, ranges[-1])
        overlap = max(0.0, min(last, end) - max(first, start))
        union = max(last, end) - min(first, start)
        total += overlap / union if union > 0 else 0.0
    return total


def response(length: int, beginning: str, ending: str) -> str:
    """A response of exactly `length` characters."""
    middle = OPENING + FILLING * (length // len(FILLING) + 1)
    return beginning + middle[: length - len(beginning) - len(ending)] + ending


def rate(call: Callable[[], object], *, seconds: float = 0.15, repeats: int = 5) -> float:
    """Calls per second of processor time, the best of `repeats`."""
    call()
    number, best = 1, 0.0
    while True:
        began = time.process_time()
        for _ in range(number):
            call()
        took = time.process_time() - began
        if took >= seconds:
            best = max(best, number / took)
            repeats -= 1
            if repeats <= 0:
                return best
        else:
            number *= 2


def rates() -> dict[str, dict[str, float]]:
    """`score` calls per second, by length and style, and how many times the naive rate."""
    result: dict[str, dict[str, float]] = {}
    for length in (300, 4000):
        row = result.setdefault(f"{length} characters", {})
        for style, (contract, truth, beginning, ending) in STYLES.items():
            text = response(length, beginning, ending)
            row[style] = rate(
                lambda text=text, truth=truth, contract=contract: score(
                    text, truth, WEIGHTS if truth.spans else {"format": 1.0}, contract=contract
                )
            )
        _, _, beginning, ending = STYLES["think, a to b"]
        text = response(length, beginning, ending)
        row["naive, a to b"] = rate(lambda text=text: naive_score(text, 12.0, 16.5))
        row["ratio to naive"] = row["think, a to b"] / row["naive, a to b"]
    return result


def import_seconds(repeats: int = 5) -> float:
    """Wall seconds that `import temporal_plugin.rewards` adds to a fresh interpreter, the best."""
    program = (
        "import sys, time; began = time.perf_counter(); import temporal_plugin.rewards; "
        "print(time.perf_counter() - began, 'torch' in sys.modules)"
    )
    best = float("inf")
    for _ in range(repeats):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, torch_loaded = done.stdout.split()
        if torch_loaded == "True":
            raise RuntimeError("importing temporal_plugin.rewards loads torch")
        best = min(best, float(seconds))
    return best


def hostile_seconds() -> dict[str, float]:
    """Seconds for one megabyte of each unit, after an opened answer."""
    result = {}
    for unit in HOSTILE:
        text = "<answer>" + unit * (MEGABYTE // len(unit))
        began = time.process_time()
        parse(text)
        parse(text, options=CHOICE.options)
        result[unit] = (time.process_time() - began) / 2
    return result


def naive_hostile_seconds() -> float:
    """The naive parser on 20,000 characters only: it is quadratic, a megabyte never ends."""
    text = "<answer>" * 2500
    began = time.process_time()
    naive_score(text, 12.0, 16.5)
    return time.process_time() - began


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--json", action="store_true", help="print one JSON object")
    as_json = options.parse_args().json
    report = {
        "rewards_per_second": rates(),
        "import_seconds": import_seconds(),
        "hostile_megabyte_seconds": hostile_seconds(),
        "naive_on_20000_opened_tags_characters_seconds": naive_hostile_seconds(),
    }
    if as_json:
        print(json.dumps(report, indent=1))
        return
    for length, row in report["rewards_per_second"].items():
        print(length)
        for style, value in row.items():
            unit = "x" if style.startswith("ratio") else "/s"
            print(f"  {style:16s}{value:12,.2f} {unit}")
    print(f"import temporal_plugin.rewards: {report['import_seconds']:.3f} s, torch not loaded")
    print("one hostile megabyte")
    for unit, seconds in report["hostile_megabyte_seconds"].items():
        print(f"  {unit!r:16s}{seconds:12.4f} s")
    naive = report["naive_on_20000_opened_tags_characters_seconds"]
    print(f"naive parser on 20,000 characters of '<answer>': {naive:.3f} s")


if __name__ == "__main__":
    main()
