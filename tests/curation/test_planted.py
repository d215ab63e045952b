"""Annotations made incomplete on purpose, and the figures of the flag that finds them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.curation import planted
from temporal_plugin.spans import Span


def sample(id="s", spans=((1, 2), (4, 6), (8, 9)), task="grounding", **change):
    options = ("a", "b") if "choice" in task else ()
    found = tuple(Span(*pair) for pair in spans)
    return Sample(id, task, "v.mp4", "q", spans=found, options=options, **change)


MANY = [sample(f"s{number}") for number in range(400)]


def test_one_span_of_some_samples_is_taken_out():
    chosen, rows = planted.plant(MANY, share=0.5, seed=1)
    assert [item.id for item in chosen] == [item.id for item in MANY] == list(rows)
    assert 0.4 < sum(rows.values()) / len(rows) < 0.6
    gone = set()
    for before, after in zip(MANY, chosen, strict=True):
        left = set(before.spans) - set(after.spans)
        assert set(after.spans) <= set(before.spans) and len(left) == rows[after.id]
        gone |= left
    assert gone == set(MANY[0].spans), "any of the spans may be the one"


@pytest.mark.parametrize(("share", "number"), [(0, 0), (1, 400)])
def test_none_and_all(share, number):
    assert sum(planted.plant(MANY, share=share)[1].values()) == number


def test_the_id_and_the_seed_decide_whatever_the_order():
    chosen, rows = planted.plant(MANY, seed=3)
    again, same = planted.plant(MANY[::-1], seed=3)
    assert chosen == again[::-1] and rows == same
    assert planted.plant(MANY, seed=4)[1] != rows
    part, _ = planted.plant(MANY[10:20], seed=3)
    assert part == chosen[10:20]


@pytest.mark.parametrize(
    "other",
    [
        sample(spans=[(1, 2)]),
        sample(spans=[(1, 3), (2, 5)]),  # one moment, written as two
        sample(spans=[]),
        sample(task="grounded_choice"),
    ],
)
def test_samples_that_tell_nothing_are_left_out(other):
    assert planted.plant([other]) == ([], {})
    assert [item.id for item in planted.plant([other, sample("two")])[0]] == ["two"]


def test_a_share_outside_of_0_to_1_is_refused():
    with pytest.raises(ValueError, match=r"share is 1\.5; allowed"):
        planted.plant(MANY, share=1.5)


@given(
    truth=st.dictionaries(st.sampled_from("abcdefgh"), st.booleans(), min_size=1),
    flagged=st.sets(st.sampled_from("abcdefghxyz")),
)
def test_precision_and_recall(truth, flagged):
    found = planted.quality(truth, flagged)
    known = flagged & set(truth)
    right = [id for id in known if truth[id]]
    assert found["right"] == len(right) and found["flagged"] == len(known)
    assert found["unknown_flagged"] == len(flagged - known)
    assert found["precision"] == (len(right) / len(known) if known else None)
    planted_ones = [id for id in truth if truth[id]]
    assert found["recall"] == (len(right) / len(planted_ones) if planted_ones else None)
    perfect = planted.quality(truth, planted_ones)
    assert perfect["precision"] in (1.0, None) and perfect["recall"] in (1.0, None)


def test_the_truth_is_read_back(tmp_path):
    planted.write(tmp_path / "t.jsonl", {"b": True, "ä": False, "a": False})
    assert planted.read(tmp_path / "t.jsonl") == {"a": False, "b": True, "ä": False}
    (tmp_path / "more.jsonl").write_text('{"id": "a", "planted": true, "occurrences": []}\n')
    assert planted.read(tmp_path / "more.jsonl") == {"a": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "a"}', "needed: id and planted"),
        ('{"id": "a", "planted": 1}', "needed: id and planted"),
        ('{"id": 5, "planted": true}', "needed: id and planted"),
        ("[]", "needed: id and planted"),
        ('{"id": "a", "planted": true}\n{"id": "a", "planted": true}', "t.jsonl:2: 'a' is there"),
    ],
)
def test_a_malformed_truth_is_named(tmp_path, text, message):
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message):
        planted.read(tmp_path / "t.jsonl")
