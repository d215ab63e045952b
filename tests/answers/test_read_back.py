"""A span in any of the written styles is read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.answers import parse
from temporal_plugin.spans import Span

times = st.floats(0.0, 9e5, allow_nan=False).map(lambda value: round(value, 2))
gold_spans = st.tuples(times, times).map(lambda pair: Span(*sorted(pair)))


def clock(value: float) -> str:
    hundredths = round(value * 100)
    minutes, rest = divmod(hundredths, 6000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 100:02d}.{rest % 100:02d}"


STYLES = [
    "{s} to {e}",
    "{s}s - {e}s",
    "{s} – {e}",
    "from {s} seconds to {e} seconds.",
    "between {s} and {e}",
    "It starts at {s} and ends at {e}.",
    "start: {s}, end: {e}",
    "[{s}, {e}]",
    '{{"start_time": "{s}", "end_time": "{e}"}}',
    '```json\n{{"spans": [[{s}, {e}]]}}\n```',
    "<think>1 to 3</think><answer>{s} to {e}</answer>",
    "<time>[{s}, {e}]</time>",
    "<answer>A</answer><glue>[({s}, {e})]</glue>",
    "\\boxed{{{s} to {e}}}",
    "<answer>{s} to {e}",
]


@pytest.mark.parametrize("style", STYLES)
@settings(deadline=None)
@given(span=gold_spans)
def test_a_formatted_span_is_read_back(style, span):
    text = style.format(s=span.start_seconds, e=span.end_seconds)
    assert parse(text).spans == (span,)


@settings(deadline=None)
@given(span=gold_spans.filter(lambda span: span.end_seconds < 99 * 3600))
def test_a_clock_is_read_back(span):
    text = f"{clock(span.start_seconds)} - {clock(span.end_seconds)}"
    (read,) = parse(text).spans
    assert read.start_seconds == pytest.approx(span.start_seconds, abs=1e-6)
    assert read.end_seconds == pytest.approx(span.end_seconds, abs=1e-6)
