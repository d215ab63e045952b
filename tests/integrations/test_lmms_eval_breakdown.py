"""Scores by category: in every row, in no mean that is not theirs."""

import pytest

from temporal_plugin.annotations import Sample
from temporal_plugin.integrations import lmms_eval_breakdown as breakdown
from temporal_plugin.integrations.lmms_eval_docs import count, mean_score


def sample(**extra):
    return Sample(id="a", task="open", video="a.mp4", query="q", answer="x", extra=extra)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("short", "short"),
        ("Human Action (Simple)", "Human_Action_Simple"),
        ("a, b", "a_b"),  # lmms-eval splits its keys at commas
        (3600, "3600"),
        ("", None),
        (None, None),
        (True, None),
        (["x"], None),
    ],
)
def test_a_value_becomes_a_part_of_a_name(value, word):
    found = breakdown.categories_of(sample(length=value), {"duration": "length"})
    assert found == ({} if word is None else {"duration": word})


def test_a_row_without_the_field_has_no_category():
    assert breakdown.categories_of(sample(), {"duration": "length"}) == {}


def test_values_stand_in_order_numbers_by_size():
    rows = [{"d": "60"}, {"d": "15"}, {"d": "3600"}, {"d": "x"}, {"d": "15"}, {}]
    assert breakdown.values(rows) == ["15", "60", "3600", "x"]


def test_two_categories_with_one_value_are_refused():
    with pytest.raises(ValueError, match=r"'size' and 'mood' share the value 'big'"):
        breakdown.values([{"size": "big"}, {"mood": "big"}])


def rows(scores):
    """Items of three questions, two of them short, with every category."""
    kinds = ["short", "long", "short"]
    for score, kind in zip(scores, kinds, strict=True):
        items = {
            "accuracy": {"score": score, "video": "v", "id": "x"},
            "refusal": {"score": 0.0, "video": "v"},
        }
        mine = {"duration": kind}
        yield breakdown.with_categories(items, ["accuracy"], mine, ["short", "long", "none"])


def test_every_row_has_every_key_and_only_its_own_scores():
    found = list(rows([1.0, 1.0, 0.0]))
    assert len({tuple(row) for row in found}) == 1
    assert list(found[0])[-1] == "refusal", "lmms-eval takes a task's size from its last metric"
    assert found[0]["accuracy/short"] == {"score": 1.0, "video": "v"}
    assert found[0]["accuracy/long"] is None
    assert "refusal/short" not in found[0]
    by_key = {key: [row[key] for row in found] for key in found[0]}
    assert mean_score(by_key["accuracy/short"]) == 0.5
    assert mean_score(by_key["accuracy/long"]) == 1.0
    assert [count(by_key[f"questions/{name}"]) for name in ("short", "long", "none")] == [2, 1, 0]
    assert mean_score(by_key["accuracy"]) == pytest.approx(2 / 3)


def test_the_names_of_a_category():
    assert breakdown.names(["miou", "r1@0.5"], "short") == [
        "miou/short",
        "r1@0.5/short",
        "questions/short",
    ]
