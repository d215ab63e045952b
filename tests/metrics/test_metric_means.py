"""Means over questions: fixed denominators, clusters, categories."""

import math

import pytest

from temporal_plugin import metrics
from temporal_plugin.answers import parse
from temporal_plugin.metrics import UNNAMED, breakdown, grounding, grounding_item, means
from temporal_plugin.spans import Span


def item(text: str) -> dict[str, float]:
    return grounding_item(parse(text), (Span(0, 10),))


def test_the_denominator_never_shrinks():
    scores = grounding([item("0 to 10"), item("somewhere"), None, None])
    assert scores["questions"] == 4.0
    assert scores["miou"] == scores["r1@0.7"] == 0.25
    assert scores["parse_failure"] == 0.25
    assert scores["request_failure"] == 0.5
    assert grounding([item("no such event"), None])["refusal"] == 0.5


def test_only_failures_still_give_every_key():
    failed = grounding([None, None])
    assert failed.keys() == grounding([item("0 to 10"), item("0 to 5")]).keys()
    assert failed["miou"] == 0.0
    assert failed["request_failure"] == 1.0


def test_no_items_is_an_error():
    with pytest.raises(ValueError, match="no items"):
        grounding([])


def test_a_logged_item_says_itself_that_its_request_failed():
    logged = [{"x": 0.0, "request_failure": 1.0}, {"x": 1.0, "request_failure": 0.0}]
    assert means(logged, keys=["x"]) == means([None, {"x": 1.0}], keys=["x"])


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 1.1])
def test_a_score_that_is_none_is_an_error(value):
    with pytest.raises(ValueError, match=r"'accuracy' is .*must lie in \[0, 1\]"):
        means([{"accuracy": value}], keys=["accuracy"])


def test_grounding_clusters_by_video():
    items = [item("0 to 10"), item("0 to 10"), item("x"), item("x")]
    clustered = grounding(items, ["a", "a", "b", "b"])
    assert clustered["miou_stderr"] > grounding(items)["miou_stderr"]
    with pytest.raises(ValueError, match="4 values but 1 clusters"):
        grounding(items, ["a"])


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("grounding", metrics.GROUNDING_KEYS),
        ("moments", metrics.MOMENT_KEYS),
        ("choice", metrics.CHOICE_KEYS),
        ("grounded_qa", metrics.GROUNDED_CHOICE_KEYS),
        ("temporal_search", metrics.SEARCH_KEYS),
        ("visual_search", metrics.VISUAL_SEARCH_KEYS),
    ],
)
def test_each_kind_of_task_has_its_mean(name, keys):
    found = getattr(metrics, name)([dict.fromkeys(keys, 0.5), None], ["a", "b"])
    assert {key: found[key] for key in keys} == dict.fromkeys(keys, 0.25)
    assert found["request_failure"] == 0.5


def test_visual_f1_is_of_the_means_and_not_the_mean():
    items = [
        {"visual_precision": 1.0, "visual_recall": 0.0},
        {"visual_precision": 0.0, "visual_recall": 1.0},
    ]
    assert metrics.visual_search(items)["visual_f1"] == 0.5
    assert metrics.visual_search([None])["visual_f1"] == 0.0


def test_a_breakdown_loses_no_question():
    items = [item("0 to 10"), item("0 to 10"), None, item("0 to 5"), item("x")]
    found = breakdown(items, ["a", "b", "a", None, math.nan], "vwvuu", keys=["miou"])
    assert list(found) == ["a", "b", UNNAMED]
    assert [part["questions"] for part in found.values()] == [2.0, 1.0, 2.0]
    assert [part["miou"] for part in found.values()] == [0.5, 1.0, 0.25]
    assert found["a"]["request_failure"] == 0.5
    assert math.isnan(found["b"]["miou_stderr"])


def test_categories_are_compared_as_text():
    found = breakdown([item("0 to 10")] * 4, [1, " 1 ", "", "  "], keys=["miou"])
    assert {name: part["questions"] for name, part in found.items()} == {"1": 2.0, UNNAMED: 2.0}


def test_a_breakdown_wants_one_category_and_cluster_per_item():
    with pytest.raises(ValueError, match="2 items but 1 categories"):
        breakdown([None, None], ["a"], keys=["miou"])
    with pytest.raises(ValueError, match="2 items but 1 clusters"):
        breakdown([None, None], ["a", "b"], ["v"], keys=["miou"])
