"""Every item function against its reference on 10,000 random cases, and bounds for any input."""

import math
import random
import string

import metric_references as reference
import pytest

from temporal_plugin import metrics
from temporal_plugin.answers import PROBLEMS, Answer, parse
from temporal_plugin.metrics.moments import AP_THRESHOLDS
from temporal_plugin.spans import Span

CASES = 10_000


def chance(seed):
    return random.Random(seed)


def pairs(generator, least, most, longest=30):
    """Random spans with whole ends, now and then without length, doubled or touching."""
    found = []
    for _ in range(generator.randint(least, most)):
        start = generator.randint(0, 60)
        found.append((start, start + generator.randint(0, longest)))
    if found and generator.random() < 0.1:
        found.append(generator.choice(found))
    return found


def near(generator, truth):
    """The true spans with shaken ends, so that overlaps of all sizes occur."""
    shaken = []
    for start, end in truth:
        start = max(0, start + generator.randint(-3, 3))
        shaken.append((start, max(start, end + generator.randint(-3, 3))))
    generator.shuffle(shaken)
    return shaken


def case(generator, *, least_truth=1, most=4):
    truth = pairs(generator, least_truth, most)
    predicted = near(generator, truth) if generator.random() < 0.5 else pairs(generator, 0, most)
    return predicted, truth


def spans(found):
    return tuple(Span(*pair) for pair in found)


def test_grounding():
    generator = chance(1)
    for _ in range(CASES):
        predicted, truth = case(generator)
        item = metrics.grounding_item(Answer(spans=spans(predicted)), spans(truth))
        expected = reference.iou(predicted, truth)
        assert item["miou"] == pytest.approx(expected, abs=1e-12), (predicted, truth)
        for level in (0.3, 0.5, 0.7):
            if abs(expected - level) > 1e-9:
                assert item[f"r1@{level}"] == float(expected >= level), (predicted, truth)
        assert item["parse_failure"] == float(not predicted)


def test_moments():
    generator = chance(2)
    for _ in range(CASES):
        predicted, truth = case(generator, most=6)
        truth = list(dict.fromkeys(truth))
        item = metrics.moment_item(Answer(spans=spans(predicted)), spans(truth), 150.0)
        ious = [[reference.iou([p], [t]) for t in truth] for p in predicted[:10]]
        precisions = [reference.average_precision(ious, level) for level in AP_THRESHOLDS]
        where = (predicted, truth)
        assert item["map"] == pytest.approx(sum(precisions) / 10, abs=1e-12), where
        assert item["map@0.5"] == pytest.approx(precisions[0], abs=1e-12), where
        assert item["map@0.75"] == pytest.approx(precisions[5], abs=1e-12), where
        first = max(ious[0]) if ious else 0.0
        assert item["qvh_r1@0.5"] == float(first >= 0.5), where
        assert item["qvh_r1@0.7"] == float(first >= 0.7), where


def test_grounded_choices():
    generator = chance(3)
    for _ in range(CASES):
        predicted, truth = case(generator, most=3)
        chosen, right = generator.choice("ABCDE"), generator.choice("ABC")
        answer = Answer(spans=spans(predicted), choice=chosen)
        item = metrics.grounded_choice_item(answer, spans(truth), right)
        iou = max((reference.iou(predicted[:1], [t]) for t in truth), default=0.0)
        iop = max(reference.iop(predicted[0], t) for t in truth) if predicted else 0.0
        iou = iou if predicted else 0.0
        assert item["miou"] == pytest.approx(iou, abs=1e-12), (predicted, truth)
        assert item["miop"] == pytest.approx(iop, abs=1e-12), (predicted, truth)
        assert item["accuracy"] == float(chosen == right)
        assert item["iop@0.3"] == float(iop >= 0.3)
        assert item["acc@gqa"] == float(chosen == right and iop >= 0.5)
        assert item["acc@iou0.5"] == float(chosen == right and iou >= 0.5)
        assert item["acc@iou0.5"] <= item["r1@0.5"] <= item["r1@0.3"]
        assert item["acc@gqa"] <= item["iop@0.5"] <= item["iop@0.3"]


def test_choices():
    generator = chance(4)
    for _ in range(CASES):
        chosen = generator.choice([*"ABCD", None])
        right = generator.choice("ABCD")
        item = metrics.choice_item(Answer(choice=chosen), right)
        assert item["accuracy"] == (1.0 if chosen is not None and chosen == right else 0.0)
        assert item["parse_failure"] == (0.0 if chosen else 1.0)


def test_temporal_search():
    generator = chance(5)
    for _ in range(CASES):
        truth = [generator.randint(0, 60) for _ in range(generator.randint(1, 6))]
        predicted = [generator.randint(0, 60) for _ in range(generator.randint(0, 8))]
        tolerance = generator.choice([0, 1, 5])
        item = metrics.temporal_search_item(predicted, truth, tolerance)
        expected = reference.search(predicted, truth, tolerance)
        assert tuple(item.values()) == pytest.approx(expected, abs=1e-12), (predicted, truth)


def test_standard_errors():
    generator = chance(6)
    for _ in range(CASES):
        count = generator.randint(2, 12)
        values = [generator.choice([0.0, 1.0, generator.random()]) for _ in range(count)]
        clusters = [generator.randint(0, 4) for _ in range(count)]
        found = metrics.stderr(values, clusters)
        assert found**2 == pytest.approx(reference.stderr(values, clusters) ** 2, abs=1e-12)


def test_means_by_category_add_up():
    generator = chance(7)
    for _ in range(1_000):
        count = generator.randint(1, 20)
        items = [
            None if generator.random() < 0.1 else {"x": generator.random()} for _ in range(count)
        ]
        names = [generator.choice(["a", "b", None, ""]) for _ in range(count)]
        whole = metrics.means(items, keys=["x"])
        parts = metrics.breakdown(items, names, keys=["x"]).values()
        assert sum(part["questions"] for part in parts) == count
        assert sum(part["x"] * part["questions"] for part in parts) == pytest.approx(
            whole["x"] * count
        )


ITEMS = {
    "grounding": lambda answer, truth: metrics.grounding_item(answer, truth),
    "moment": lambda answer, truth: metrics.moment_item(answer, truth, 99.0),
    "choice": lambda answer, truth: metrics.choice_item(answer, "B"),
    "grounded": lambda answer, truth: metrics.grounded_choice_item(answer, truth, "B"),
}


@pytest.mark.parametrize("name", ITEMS)
def test_any_response_stays_within_bounds_and_keys(name):
    generator = chance(8)
    truth = spans([(3, 9), (20, 31)])
    keys = set(ITEMS[name](Answer(), truth))
    alphabet = string.printable + "0123456789 to - <answer></answer>到从∞￾"
    words = ["nan", "inf", "-1", "1e400", "3 to 9", "00:03", "<answer>", "B", "(", "not", "]"]
    for _ in range(2_000):
        text = " ".join(
            generator.choice([generator.choice(words), generator.choice(alphabet) * 2])
            for _ in range(generator.randint(0, 12))
        )
        _bounded(
            ITEMS[name](parse(text, options=["a", "b", "c"], duration_seconds=99.0), truth), keys
        )


@pytest.mark.parametrize("name", ITEMS)
def test_any_answer_stays_within_bounds_and_keys(name):
    generator = chance(9)
    keys = set(ITEMS[name](Answer(), spans([(0, 1)])))
    for _ in range(CASES):
        truth = spans([(t, t + generator.choice([0, 1e-9, 0.1, 1e9])) for t in (0, 0.3, 7)])
        found = tuple(
            Span(s, s + generator.choice([0.0, 1e-12, 0.1, 5.0, 1e12]))
            for s in (generator.random() * 10 for _ in range(generator.randint(0, 12)))
        )
        answer = Answer(
            spans=found,
            choice=generator.choice([None, "A", "B"]),
            problem=generator.choice([None, *PROBLEMS]),
        )
        _bounded(ITEMS[name](answer, truth), keys)


def _bounded(item, keys):
    assert set(item) == keys
    assert all(type(value) is float and 0.0 <= value <= 1.0 for value in item.values()), item
    assert item["parse_failure"] + item["refusal"] <= 1.0
    for key in set(item) & {"map", "map@0.5"}:
        assert math.isfinite(item[key])


def test_gold_answers_score_the_maximum():
    generator = chance(10)
    for _ in range(CASES):
        # apart from each other: where true windows overlap, a benchmark cannot be perfect
        truth, place = [], 0
        for _ in range(generator.randint(1, 4)):
            place += generator.randint(1, 9)
            truth.append((place, place + generator.randint(1, 9)))
            place = truth[-1][1]
        answer = Answer(spans=spans(truth), choice="B")
        for item in (function(answer, spans(truth)) for function in ITEMS.values()):
            assert {value for key, value in item.items() if key not in metrics.LOWER_IS_BETTER} == {
                1.0
            }
        times = [start for start, _ in truth]
        assert set(metrics.temporal_search_item(times, times).values()) == {1.0}
