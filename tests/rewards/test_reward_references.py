"""Every reward against a plain reference of its own on 10,000 random cases.

The references measure time by counting the seconds of a grid, and share no code with the package.
"""

import itertools
import random

import pytest

from temporal_plugin.answers import Answer, Truth
from temporal_plugin.rewards import REWARDS
from temporal_plugin.spans import Span

CASES = 10_000
LAST = 24  # seconds of the grid
OPTIONS = ("red", "blue", "green")


def seconds_of(spans):
    return {t for s in spans for t in range(int(s.start_seconds), int(s.end_seconds))}


def iou_of(a, b):
    first, second = seconds_of(a), seconds_of(b)
    if not first and not second:  # moments
        return float(bool(a) and {s.start_seconds for s in a} == {s.start_seconds for s in b})
    return len(first & second) / len(first | second)


def iop_of(a, b):
    first, second = seconds_of(a), seconds_of(b)
    if not first:
        return iou_of(a, b)
    return len(first & second) / len(first)


def tiou_of(a, b, duration):
    if not a:
        return 0.0
    start = abs(min(s.start_seconds for s in a) - min(s.start_seconds for s in b)) / duration
    end = abs(max(s.end_seconds for s in a) - max(s.end_seconds for s in b)) / duration
    return iou_of(a, b) * max(0, 1 - start) * max(0, 1 - end)


def matched_iou_of(a, b):
    """By trying every choice of as many spans of the longer list as the shorter one has."""
    a, b = sorted(set(a)), sorted(set(b))
    few, many = sorted((a, b), key=len)
    best = 0.0
    for size in range(len(few) + 1):
        for some in itertools.combinations(few, size):
            for others in itertools.combinations(many, size):
                total = sum(iou_of([x], [y]) for x, y in zip(some, others, strict=True))
                best = max(best, total)
    return best / len(many)


def absent(case):
    answer, sample = case
    return float(sample.task == "grounding" and answer.problem == "refusal")


def spanned(measure):
    def reference(answer, sample):
        if not sample.spans:
            return absent((answer, sample))
        return measure(answer.spans, sample.spans) if answer.spans else 0.0

    return reference


def tiou_reference(answer, sample):
    return spanned(lambda a, b: tiou_of(a, b, sample.duration))(answer, sample)


def choice_reference(answer, sample):
    return 1.0 if sample.options and answer.choice == sample.answer else 0.0


def grounded_choice_reference(answer, sample):
    right = sample.options and answer.choice == sample.answer and sample.spans and answer.spans
    return 1.0 if right and iop_of(answer.spans, sample.spans) >= 0.5 else 0.0


def dual_reference(answer, sample):
    when = spanned(iou_of)(answer, sample)
    if not sample.options:
        return when
    right = choice_reference(answer, sample)
    return 0.5 * right + 0.5 * when if sample.spans else right


def length_reference(answer, sample):
    n = len(answer.reasoning)
    return 1.0 if n <= 2000 else 1 - (n - 2000) / 500 if n < 2500 else 0.0


def repetition_reference(answer, sample):
    words = answer.reasoning.lower().split()
    grams = [" ".join(words[i : i + 4]) for i in range(len(words) - 3)]
    return len(set(grams)) / len(grams) if grams else 1.0


def timestep_reference(answer, sample):
    return float("</timestep>" in answer.reasoning)


def consistency_reference(answer, sample):
    if not sample.spans:
        return absent((answer, sample))
    named = answer.named  # what the reasoning was written from
    if not answer.spans or not named:
        return 0.0
    coverage = 0.0
    for span in answer.spans:
        inside = [r for r in named if iop_of([r], [span]) >= 0.5]
        union = iou_of(inside, [span]) if inside else 0.0
        coverage += max(union, max(iou_of([r], [span]) for r in named)) / len(answer.spans)
    starts = [r.start_seconds for r in named if iop_of([r], answer.spans) >= 0.5]
    back = sum(b < a for a, b in itertools.pairwise(starts))
    order = 1 - back / (len(starts) - 1) if len(starts) > 1 else 1.0
    return coverage * (0.5 + 0.5 * order)


REFERENCES = {
    "iou": spanned(iou_of),
    "tiou": tiou_reference,
    "iop": spanned(iop_of),
    "matched_iou": spanned(matched_iou_of),
    "format": lambda answer, sample: 1.0 if answer.well_formed else 0.0,
    "choice": choice_reference,
    "grounded_choice": grounded_choice_reference,
    "dual": dual_reference,
    "temporal_consistency": consistency_reference,
    "timestep_pair": timestep_reference,
    "length": length_reference,
    "repetition": repetition_reference,
}


class Case(Answer):
    """An Answer that remembers the ranges its reasoning was written from."""

    __slots__ = ("named",)


def a_span(rng, most=LAST):
    start, end = sorted((rng.randint(0, most), rng.randint(0, most)))
    return Span(start, end)


def a_case(rng):
    """A sample of any task and an answer, near the truth or far from it."""
    task = rng.choice(("grounding", "grounding", "choice", "grounded_choice", "open"))
    true = (
        () if task in ("choice", "open") else tuple(a_span(rng) for _ in range(rng.randint(1, 3)))
    )
    if task == "grounding" and rng.random() < 0.1:
        true = ()
    options = OPTIONS if "choice" in task else ()
    letter = rng.choice("ABC") if options else None
    duration = float(rng.choice((LAST, 10, 100)))
    sample = Truth("q", task, true, duration, options, letter)
    said = tuple(dict.fromkeys(a_span(rng) for _ in range(rng.randint(0, 3))))
    if rng.random() < 0.2:
        said = tuple(dict.fromkeys(true))
    problem = rng.choice((None, "refusal", "no time found")) if not said else None
    named = tuple(dict.fromkeys(a_span(rng, int(min(LAST, duration)) - 1) for _ in range(3)))
    named = named[: rng.randint(0, 3)]
    choice = rng.choice((None, *"ABCD"))
    words = "".join(
        f"then he goes on from {s.start_seconds} s to {s.end_seconds} s. " for s in named
    )
    words += rng.choice(("", "<timestep>", "one and the same " * rng.randint(1, 160)))
    if rng.random() < 0.2:
        words += "<timestep> 5.0 to 9.25 </timestep>"
        named = (*named, Span(5.0, 9.25))
    answer = Case(said, choice, words, problem, rng.random() < 0.5)
    object.__setattr__(answer, "named", named)
    return answer, sample


def test_every_reward_has_a_reference():
    assert set(REFERENCES) == set(REWARDS)


@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_equals_its_reference(name):
    rng = random.Random(name)
    reward, reference = REWARDS[name], REFERENCES[name]
    seen = set()
    for _ in range(CASES):
        answer, sample = a_case(rng)
        if name == "temporal_consistency" and (
            answer.named[-1:] == (Span(5.0, 9.25),)  # lies on no grid
        ):
            continue
        value = reward(answer, sample)
        assert value == pytest.approx(reference(answer, sample), abs=1e-9), (answer, sample)
        seen.add(round(value, 3))
    assert len(seen) > 1


@pytest.mark.parametrize("combine", ["sum", "product"])
@pytest.mark.parametrize("overlap", ["iou", "iop", "tiou"])
def test_the_settings_of_dual_and_grounded_choice(combine, overlap):
    rng = random.Random(combine + overlap)
    measures = {"iou": iou_of, "iop": iop_of}
    for _ in range(CASES // 5):
        answer, sample = a_case(rng)
        measure = measures.get(overlap, lambda a, b, t=sample.duration: tiou_of(a, b, t))
        when = spanned(measure)(answer, sample)
        right = choice_reference(answer, sample)
        both = (right + 3 * when) / 4 if combine == "sum" else right * when
        expected = when if not sample.options else both if sample.spans else right
        settings = {"combine": combine, "overlap": overlap, "semantic": 1, "temporal": 3}
        assert REWARDS["dual"](answer, sample, **settings) == pytest.approx(expected)
        proved = right * when if sample.spans and answer.spans else 0.0
        found = REWARDS["grounded_choice"](answer, sample, overlap=overlap, threshold=None)
        assert found == pytest.approx(proved)
        at = REWARDS["grounded_choice"](answer, sample, overlap=overlap, threshold=0.3)
        assert at == float(proved >= 0.3) or proved == pytest.approx(0.3)
