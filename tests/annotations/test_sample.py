import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.annotations import TASKS, AnnotationError, BadSpanError, Sample
from temporal_plugin.spans import Span

ROW = {"id": "a/0", "task": "grounding", "video": "v.mp4", "query": "a door opens"}
CHOICE = {**ROW, "task": "grounded_choice", "options": ["x", "y"], "answer": "A"}

texts = st.text('aZ0é{}"\\/ \n\u2028\x00😀')
words = texts.filter(str.strip)
spans = st.tuples(*[st.floats(0, 1e9)] * 2).map(lambda pair: Span(*sorted(pair)))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=5,
)
junk = json_values | st.floats() | st.binary() | st.integers(10**300, 10**320)


@st.composite
def samples(draw):
    return Sample(
        id=draw(words),
        task=draw(st.sampled_from(TASKS)),
        video=draw(st.sampled_from(["v.mp4", "a/b.mkv", "/abs/v.mp4", "with space é.mp4"])),
        query=draw(words),
        spans=tuple(draw(st.lists(spans, max_size=3))),
        clip=draw(st.none() | spans.filter(lambda span: span.length_seconds > 0)),
        duration=draw(st.none() | st.floats(0, 1e9, exclude_min=True)),
        options=tuple(draw(st.lists(words, min_size=2, max_size=4))),
        answer=draw(st.none() | words),
        source=draw(st.just("") | words),
        split=draw(st.just("") | words),
        extra=draw(st.dictionaries(words, json_values, max_size=2)),
    )


@given(samples())
def test_round_trip_through_json_is_exact(sample):
    assert Sample.from_dict(json.loads(json.dumps(sample.to_dict()))) == sample


@given(st.dictionaries(st.sampled_from([*CHOICE, "spans", "clip", "duration", "extra", "?"]), junk))
def test_a_row_of_junk_gives_a_sample_or_an_annotation_error(changes):
    try:
        Sample.from_dict({**CHOICE, **changes}, where="f:1")
    except AnnotationError as error:
        assert str(error).startswith("f:1: ")
        assert len(str(error)) < 1000


def test_defaults_and_unknown_fields():
    sample = Sample.from_dict({**ROW, "spans": [[1, 2]], "qid": 7, "extra": {"note": None}})
    assert sample.spans == (Span(1.0, 2.0),)
    assert (sample.clip, sample.duration, sample.options, sample.answer) == (None, None, (), None)
    assert sample.extra == {"qid": 7, "note": None}
    assert sample.to_dict()["spans"] == [[1.0, 2.0]]
    assert hash(sample) == hash(Sample.from_dict(sample.to_dict()))


@pytest.mark.parametrize(
    ("change", "field", "allowed"),
    [
        ({"task": "ground"}, "task", "grounding, choice, grounded_choice, open"),
        ({"task": ["grounding"]}, "task", "grounding"),
        ({"id": ""}, "id", "not blank"),
        ({"id": 7}, "id", "a string"),
        ({"query": " \n"}, "query", "not blank"),
        ({"query": "\ud800"}, "query", "valid Unicode"),
        ({"video": "../v.mp4"}, "video", "inside its data folder"),
        ({"video": "a/../../v.mp4"}, "video", "inside its data folder"),
        ({"video": "a\\..\\v.mp4"}, "video", "inside its data folder"),
        ({"video": "v\0.mp4"}, "video", "no NUL"),
        ({"video": "/"}, "video", "inside its data folder"),
        ({"spans": None}, "spans", "a list"),
        ({"spans": [1, 2]}, "spans", "[start, end]"),
        ({"spans": [[1, 2, 3]]}, "spans", "[start, end]"),
        ({"spans": [["1", "2"]]}, "spans", "not a string"),
        ({"spans": [[0, True]]}, "spans", "finite number"),
        ({"spans": [[0, float("nan")]]}, "spans", "finite number"),
        ({"spans": [[0, float("inf")]]}, "spans", "finite number"),
        ({"spans": [[0, 10**400]]}, "spans", "finite number"),
        ({"spans": [[0, 10**5000]]}, "spans", "finite number"),
        ({"spans": [[0, 1.7e12]]}, "spans", "1e+09"),
        ({"duration": 0}, "duration", "above 0"),
        ({"duration": -1.0}, "duration", "above 0"),
        ({"duration": "12"}, "duration", "finite number"),
        ({"clip": [5, 5]}, "clip", "start < end"),
        ({"clip": [6, 5]}, "clip", "start < end"),
        ({"clip": [-1, 5]}, "clip", "start < end"),
        ({"clip": 5}, "clip", "[start, end]"),
        ({"options": "ab"}, "options", "a list"),
        ({"options": ["a", 2]}, "options", "a string"),
        ({"task": "choice"}, "options", "two or more"),
        ({"answer": 3}, "answer", "a string"),
        ({"source": None}, "source", "a string"),
        ({"extra": []}, "extra", "an object"),
        ({"qid": 1, "extra": {"qid": 2}}, "qid", "keep one"),
    ],
)
def test_a_bad_field_is_named_with_place_value_and_what_is_allowed(change, field, allowed):
    with pytest.raises(AnnotationError) as caught:
        Sample.from_dict({**ROW, **change}, where="rows.jsonl:7")
    assert caught.value.where == "rows.jsonl:7"
    assert caught.value.field == field
    assert str(caught.value).startswith(f"rows.jsonl:7: field '{field}': ")
    assert allowed in str(caught.value)


@pytest.mark.parametrize("name", ["id", "task", "video", "query"])
def test_a_missing_field_is_named(name):
    with pytest.raises(AnnotationError, match=f"f:1: field '{name}': missing"):
        Sample.from_dict({key: ROW[key] for key in ROW if key != name}, where="f:1")


@pytest.mark.parametrize("row", [None, [], "text", 3, {1: 2}])
def test_a_row_is_an_object(row):
    with pytest.raises(AnnotationError, match="f:1: not an object"):
        Sample.from_dict(row, where="f:1")


def test_a_reversed_span_is_an_error_of_its_own_with_every_fault():
    row = {**ROW, "duration": 10, "spans": [[1, 2], [12, 11], [-1, 3]]}
    with pytest.raises(BadSpanError) as caught:
        Sample.from_dict(row, where="f:1")
    assert caught.value.reasons == (
        "negative_start",
        "past_end",
        "reversed_span",
        "starts_past_end",
    )
    assert "0 <= start <= end" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("spans", [(1, 2)]), ("spans", [Span(1, 2)]), ("clip", (1, 2)), ("options", ["a", "b"])],
)
def test_the_type_itself_refuses_what_from_dict_would_convert(field, value):
    with pytest.raises(AnnotationError, match=field):
        Sample(**{**ROW, field: value})


def test_errors_survive_pickling_and_stay_short():
    with pytest.raises(AnnotationError) as caught:
        Sample.from_dict({**ROW, "spans": [["x" * 10**6, 1]]}, where="f:1")
    assert len(str(caught.value)) < 500
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_import_is_light():
    code = (
        "import sys, temporal_plugin.annotations; "
        "print([m for m in ('torch', 'numpy', 'pydantic', 'av', 'rich') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
