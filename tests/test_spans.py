import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.spans import Span, hull, iop, iou, merged, tiou

seconds = st.floats(0.0, 1e6, allow_nan=False)
any_span = st.tuples(seconds, seconds).map(lambda pair: Span(*sorted(pair)))
span_sets = st.lists(any_span, min_size=1, max_size=6).map(tuple)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (9.0, 5.0),
        (-1.0, 5.0),
        (math.nan, 5.0),
        (5.0, math.nan),
        (0.0, math.inf),
        (-math.inf, 0.0),
    ],
)
def test_a_span_refuses_what_is_no_stretch_of_time(start, end):
    with pytest.raises(ValueError, match=r"finite seconds with 0 <= start <= end"):
        Span(start, end)


@pytest.mark.parametrize("value", ["5", None, b"5", True, [5], 10**400])
def test_a_span_refuses_what_is_no_number(value):
    with pytest.raises(ValueError, match="is not a number of seconds"):
        Span(value, 9.0)


def test_integers_become_floats():
    span = Span(5, 9)
    assert (type(span.start_seconds), type(span.end_seconds)) == (float, float)
    assert span == Span(5.0, 9.0)
    assert span.length_seconds == 4.0


def test_a_span_cannot_be_changed():
    with pytest.raises(AttributeError):
        Span(1, 2).start_seconds = 0.0


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Span(0, 10), Span(0, 10), 1.0),
        (Span(0, 10), Span(5, 15), 5 / 15),
        (Span(0, 10), Span(2, 4), 0.2),
        (Span(0, 10), Span(10, 20), 0.0),  # half-open: they touch, they do not overlap
        (Span(0, 10), Span(30, 40), 0.0),
        (Span(3, 3), Span(3, 3), 1.0),  # a moment equals itself
        (Span(3, 3), Span(4, 4), 0.0),
        (Span(3, 3), Span(0, 10), 0.0),
        ([Span(0, 5), Span(10, 15)], Span(0, 15), 10 / 15),
        ([Span(0, 5), Span(3, 8)], Span(0, 8), 1.0),  # overlapping parts count once
        ([Span(10, 15), Span(0, 5)], [Span(0, 5), Span(10, 15)], 1.0),  # order does not matter
        ([Span(0, 5), Span(5, 8)], [Span(0, 8)], 1.0),
        ([], Span(0, 5), 0.0),
        ([], [], 0.0),
        ([Span(3, 3), Span(4, 4)], [Span(5, 5), Span(6, 6)], 0.0),
    ],
)
def test_iou(a, b, expected):
    assert iou(a, b) == pytest.approx(expected)
    assert iou(b, a) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pred", "truth", "expected"),
    [
        (Span(2, 4), Span(0, 10), 1.0),
        (Span(0, 10), Span(2, 4), 0.2),
        (Span(0, 10), Span(20, 30), 0.0),
        ([Span(0, 2), Span(8, 12)], Span(0, 10), 4 / 6),
        (Span(3, 3), Span(3, 3), 1.0),
        (Span(3, 3), Span(0, 10), 0.0),
        ([], Span(0, 10), 0.0),
    ],
)
def test_iop(pred, truth, expected):
    assert iop(pred, truth) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pred", "truth", "duration", "expected"),
    [
        (Span(5, 9), Span(5, 9), 30, 1.0),
        (Span(0, 10), Span(5, 15), 20, (5 / 15) * (1 - 5 / 20) * (1 - 5 / 20)),
        (Span(0, 10), Span(20, 30), 30, 0.0),
        # a truth past the end of the video: the factors stop at 0 instead of going negative
        (Span(0, 158), Span(0, 14220), 158, 0.0),
        # of several spans the hull gives the distances
        ([Span(0, 2), Span(8, 10)], Span(0, 10), 10, 4 / 10),
    ],
)
def test_tiou(pred, truth, duration, expected):
    assert tiou(pred, truth, duration) == pytest.approx(expected)


@pytest.mark.parametrize("duration", [0, -1, math.nan, math.inf])
def test_tiou_needs_a_duration(duration):
    with pytest.raises(ValueError, match="finite and above 0"):
        tiou(Span(0, 1), Span(0, 1), duration)


def test_hull_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no spans"):
        hull([])


def test_merged_joins_what_touches():
    assert merged([Span(5, 8), Span(0, 5), Span(9, 9)]) == [Span(0, 8), Span(9, 9)]


@settings(deadline=None)
@given(span_sets, span_sets)
def test_overlaps_stay_within_bounds(a, b):
    assert 0.0 <= iou(a, b) <= 1.0
    assert iou(a, b) == pytest.approx(iou(b, a))
    assert 0.0 <= iop(a, b) <= 1.0
    assert 0.0 <= tiou(a, b, 1e6) <= iou(a, b)


@settings(deadline=None)
@given(span_sets)
def test_the_same_spans_score_exactly_one(spans):
    assert iou(spans, spans) == 1.0
    assert iou(spans, tuple(reversed(spans))) == 1.0
    assert iop(spans, spans) == 1.0
    assert tiou(spans, spans, 1.0) == 1.0


@settings(deadline=None)
@given(any_span, any_span)
def test_one_span_and_a_sequence_of_one_are_the_same(a, b):
    assert iou(a, b) == iou([a], (b,)) == pytest.approx(iou([a, a], [b, b]))
