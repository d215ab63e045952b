"""Boundary reflection: agreement in time, the partial flag, and the rows of boundaries.jsonl."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.curation import boundary_rows
from temporal_plugin.curation.boundary_reflection import (
    ReflectionSettings,
    agreed,
    reflect,
    without,
)
from temporal_plugin.curation.boundary_rows import Reflection
from temporal_plugin.spans import Span, merged

DURATION = 40.0
quarters = st.integers(0, 160).map(lambda number: number / 4)  # exact in floats


@st.composite
def pairs(draw, least=0, most=4):
    edges = [
        sorted((draw(quarters), draw(quarters))) for _ in range(draw(st.integers(least, most)))
    ]
    return [tuple(pair) for pair in edges]


answers_of = st.lists(pairs(), min_size=1, max_size=6)
truths = pairs(least=1, most=3)


def spans(found):
    return [Span(*pair) for pair in found]


def holds(found, moment):
    return any(start <= moment < end for start, end in found)


def moments():
    """A moment within every quarter of a second."""
    return [number / 4 + 0.125 for number in range(160)]


@given(answers=answers_of, agree=st.integers(1, 6))
def test_a_moment_is_found_exactly_where_enough_answers_name_it(answers, agree):
    found = agreed([spans(answer) for answer in answers], agree)
    stretches = [(span.start_seconds, span.end_seconds) for span, _ in found]
    for moment in moments():
        votes = sum(holds(answer, moment) for answer in answers)
        assert holds(stretches, moment) == (votes >= agree)
    for span, votes in found:
        inside = [m for m in moments() if span.start_seconds <= m < span.end_seconds]
        assert votes == max(sum(holds(answer, m) for answer in answers) for m in inside)
        assert agree <= votes <= len(answers) and span.length_seconds > 0
    assert merged([span for span, _ in found]) == [span for span, _ in found], "maximal, in order"


@given(answers=answers_of, truth=truths, seed=st.integers(0, 99))
def test_the_order_of_answers_and_of_their_spans_changes_nothing(answers, truth, seed):
    chance = random.Random(seed)
    shuffled = [chance.sample(answer, len(answer)) for answer in answers]
    chance.shuffle(shuffled)
    first = reflect("s", answers, truth, duration_seconds=DURATION)
    assert reflect("s", shuffled, truth, duration_seconds=DURATION) == first
    doubled = [[*answer, *answer] for answer in answers]  # a moment named twice counts once
    assert reflect("s", doubled, truth, duration_seconds=DURATION) == first


@given(answers=answers_of, truth=truths, agree=st.integers(1, 5))
def test_more_agreement_only_takes_time_away(answers, truth, agree):
    less, more = (
        reflect("s", answers, truth, duration_seconds=DURATION,
                settings=ReflectionSettings(agree=number))
        for number in (agree, agree + 1)
    )  # fmt: skip
    for moment in moments():
        assert holds(more.outside, moment) <= holds(less.outside, moment)
    assert more.partial <= less.partial


@given(
    answers=answers_of,
    truth=truths,
    margins=st.tuples(st.sampled_from([0, 0.5, 1, 3]), st.sampled_from([0, 0.5, 1, 3])),
    least=st.sampled_from([0.25, 1.0, 4.0]),
)
def test_stricter_settings_flag_fewer(answers, truth, margins, least):
    def flag(margin, seconds):
        rule = ReflectionSettings(1, margin, 0.0, seconds)
        return reflect("s", answers, truth, duration_seconds=DURATION, settings=rule).partial

    small, large = sorted(margins)
    assert flag(large, least) <= flag(small, least)
    assert flag(small, least + 1) <= flag(small, least)


@given(answers=answers_of, truth=truths)
def test_what_is_found_lies_outside_of_the_annotation_and_within_the_video(answers, truth):
    long = [*answers, [(30.0, 1e9)], [(35.0, 1e12)]]
    found = reflect("s", long, truth, duration_seconds=DURATION)
    for moment in [*moments(), 41.0, 1e6]:
        if holds(found.outside, moment):
            assert not holds(truth, moment) and moment < DURATION
    assert all(0 <= start < end <= DURATION for start, end in found.outside)


@given(truth=truths, hidden=truths, votes=st.integers(2, 5), silent=st.integers(0, 3))
def test_an_oracle_finds_exactly_the_hidden_occurrence(truth, hidden, votes, silent):
    hidden = [
        (span.start_seconds, span.end_seconds) for span in without(spans(hidden), spans(truth))
    ]
    answers = [hidden] * votes + [[]] * silent
    found = reflect("s", answers, truth, duration_seconds=DURATION)
    assert list(found.outside) == hidden and set(found.votes) <= {votes}
    beyond = [part for part in hidden if distance_beyond(part, truth) >= 1.0]
    assert found.partial == bool(beyond)


def distance_beyond(part, truth, margin=1.0):
    """Seconds of `part` that lie beyond the margin, in one stretch, by counting quarters."""
    longest = run = 0
    for moment in moments():
        near = any(start - margin <= moment < end + margin for start, end in truth)
        run = run + 1 if holds([part], moment) and not near else 0
        longest = max(longest, run)
    return longest / 4


@pytest.mark.parametrize(
    ("answer", "truth", "settings", "partial"),
    [
        ([(12, 14)], [(3, 6)], {}, True),  # an occurrence elsewhere
        ([(6, 7)], [(3, 6)], {}, False),  # the imprecise end of the annotation
        ([(6, 8)], [(3, 6)], {}, True),  # 1 s beyond the margin of 1 s
        ([(6, 7.99)], [(3, 6)], {}, False),
        ([(7, 8)], [(3, 6)], {}, True),
        ([(7, 7.5), (8, 8.5)], [(3, 6)], {}, False),  # no stretch of 1 s
        ([(7, 7.5), (7.5, 8.5)], [(3, 6)], {}, True),  # touching spans are one stretch
        ([(0, 2)], [(3, 6)], {}, True),
        ([(0, 1)], [(1, 6)], {}, False),  # nothing is beyond the margin before it
        ([(6, 12)], [(3, 6), (12, 14)], {}, True),  # between two annotated spans
        ([(6, 8.5)], [(3, 6), (8.5, 14)], {}, False),
        ([(3, 6)], [(3, 6)], {}, False),  # what was not shown does not count
        ([(0, 40)], [(3, 38)], {}, True),
        ([(12, 14)], [(3, 6)], {"least_seconds": 2.5}, False),
        ([(8, 10)], [(3, 6)], {"margin_seconds": 4}, False),
        ([(8, 10)], [(3, 6)], {"margin_share": 0.1}, False),  # 10% of 40 s
        ([(5, 6)], [(3, 5)], {"margin_seconds": 0, "margin_share": 0}, True),
        ([(7.3, 8.3)], [(3, 6.3)], {}, True),  # 8.3 - 7.3 is a little more than 1,
        ([(6.3, 7.3)], [(3, 5.3)], {}, True),  # 7.3 - 6.3 a little less
        ([], [(3, 6)], {}, False),
    ],
)
def test_when_a_sample_is_partial(answer, truth, settings, partial):
    rule = ReflectionSettings(**{"agree": 2, **settings})
    found = reflect("s", [answer, answer, []], truth, duration_seconds=DURATION, settings=rule)
    assert found.partial is partial
    alone = reflect("s", [answer, [], []], truth, duration_seconds=DURATION, settings=rule)
    assert not alone.partial and alone.outside == (), "one answer of three is not agreed"


@pytest.mark.parametrize(
    ("truth", "duration", "worth"),
    [
        ([(0, 10)], 10.0, False),  # covers the whole video
        ([(0, 6), (4, 12)], 10.0, False),
        ([(0, 8.5)], 10.0, False),  # 1.5 s are left, 0.5 beyond the margin
        ([(0, 8)], 10.0, True),
        ([(3, 4)], 10.0, True),
        ([(0, 3), (5, 10)], 10.0, False),
        ([(0, 0)], 1.99, False),
        ([(0, 100)], 200.0, True),
        ([(0, 194.5)], 200.0, True),  # 5.5 s are left, the margin is 4
        ([(0, 195.5)], 200.0, False),
    ],
)
def test_what_is_worth_asking(truth, duration, worth):
    assert ReflectionSettings().is_worth_asking(spans(truth), duration) is worth


@given(start=st.floats(0, 2), length=st.floats(0, 2), duration=st.floats(0.01, 1.99))
def test_no_video_under_two_seconds_is_worth_asking(start, length, duration):
    truth = [Span(min(start, duration), min(start, duration) + length)]
    assert not ReflectionSettings().is_worth_asking(truth, duration)


@given(truth=truths, answers=answers_of)
def test_what_is_not_worth_asking_can_never_be_partial(truth, answers):
    rule = ReflectionSettings(agree=1)
    if not rule.is_worth_asking(spans(truth), DURATION):
        found = reflect("s", answers, truth, duration_seconds=DURATION, settings=rule)
        assert not found.partial


def test_an_unknown_duration_has_the_margin_in_seconds_only():
    assert ReflectionSettings().margin(None) == 1.0
    assert ReflectionSettings().margin(100.0) == 2.0
    assert reflect("s", [[(50, 60)]] * 2, [(3, 6)]).partial


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"agree": 0}, "agree is 0; allowed: a whole number from 1"),
        ({"agree": 1.5}, "agree is 1.5"),
        ({"agree": True}, "agree is True"),
        ({"margin_seconds": -1}, "margin_seconds is -1; allowed: a number from 0"),
        ({"margin_share": 1.1}, "margin_share is 1.1; allowed: 0 to 1"),
        ({"margin_share": math.nan}, "margin_share is nan"),
        ({"least_seconds": 0}, "least_seconds is 0; allowed: above 0"),
        ({"least_seconds": math.inf}, "least_seconds is inf"),
        ({"margin_seconds": "1"}, "margin_seconds is '1'"),
        ({"same_iou": 0.5}, r"no setting \['same_iou'\]; allowed: agree, margin_seconds"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ReflectionSettings.from_mapping(settings)


def test_settings_have_defaults():
    assert ReflectionSettings.from_mapping(None) == ReflectionSettings(2, 1.0, 0.02, 1.0)


def test_a_sample_without_a_true_span_is_no_matter_of_reflection():
    with pytest.raises(ValueError, match="s: no annotated span"):
        reflect("s", [[(1, 2)]], [])


rows_of = st.builds(
    lambda number, answers, truth: reflect(
        f"s{number}", answers, truth, duration_seconds=DURATION, source="ü", none=0, unparsable=1
    ),
    st.integers(0, 30),
    answers_of,
    truths,
)


@given(rows=st.lists(rows_of, min_size=1, max_size=5, unique_by=lambda row: row.id))
def test_written_rows_are_read_back_whatever_their_order(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("rows")
    assert boundary_rows.write(folder / "a.jsonl", rows) == len(rows)
    boundary_rows.write(folder / "b.jsonl", reversed(rows))
    assert (folder / "a.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()
    found = boundary_rows.read(folder / "a.jsonl")
    assert list(found.values()) == sorted(rows, key=lambda row: row.id)


def test_the_keys_of_a_row(tmp_path):
    row = reflect("s", [[(8, 9.5)], [(8, 10)], []], [(1, 2), (4, 5)], duration_seconds=12.0,
                  source="demo", none=1)  # fmt: skip
    boundary_rows.write(tmp_path / "b.jsonl", [row])
    assert json.loads((tmp_path / "b.jsonl").read_text()) == {
        "id": "s",
        "source": "demo",
        "span": [[1.0, 2.0], [4.0, 5.0]],
        "outside": [[8.0, 9.5]],
        "votes": [2],
        "partial": True,
        "duration": 12.0,
        "answers": 3,
        "none": 1,
        "unparsable": 0,
    }


GOOD = {"id": "s", "span": [[1, 2]], "outside": [[4, 6]], "votes": [2], "partial": True,
        "answers": 2}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": ""}, "id is ''; needed"),
        ({"id": 5}, "id is 5"),
        ({"votes": []}, "s: 0 votes for 1 stretches"),
        ({"votes": 2}, "not iterable"),
        ({"partial": "yes"}, "partial is 'yes'; allowed: true or false"),
        ({"partial": None}, "partial is None"),
        ({"outside": [], "votes": []}, "partial True of 0 stretches; no such row"),
        ({"span": [[2, 1]]}, "reversed spans are never swapped"),
        ({"span": [[1]]}, "argument"),
        ({"span": 5}, "not iterable"),
        ({"outside": [["a", "b"]]}, "is not a number of seconds"),
        ({"none": 3}, "3 none and 0 unparsable of 2 answers"),
        ({"unparsable": -1}, "unparsable is -1; allowed: whole numbers from 0"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, change, message):
    path = tmp_path / "b.jsonl"
    path.write_text(json.dumps({**GOOD, "id": "fine"}) + "\n" + json.dumps({**GOOD, **change}))
    with pytest.raises(ValueError, match=message) as error:
        boundary_rows.read(path)
    assert f"{path}:2" in str(error.value)


def test_other_bad_files(tmp_path):
    path = tmp_path / "b.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD) + "\n")
    with pytest.raises(ValueError, match=r"b.jsonl:2: 's' is there twice; keep one of the rows"):
        boundary_rows.read(path)
    path.write_text('{"id": "s"}\n')
    with pytest.raises(ValueError, match="needed: an object with id, span, outside, votes"):
        boundary_rows.read(path)
    for text in ("[]", "5", "null"):
        path.write_text(text + "\n")
        with pytest.raises(ValueError, match="needed: an object"):
            boundary_rows.read(path)
    path.write_text('{"id": ')
    with pytest.raises(AnnotationError, match="not JSON"):
        boundary_rows.read(path)
    assert boundary_rows.Reflection is Reflection
