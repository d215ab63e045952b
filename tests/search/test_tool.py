import json
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.search.tool import (
    MOST_FRAMES,
    TOOL,
    Call,
    check,
    clean,
    frames_content,
    quoted,
    result_content,
    schema,
    times_line,
)
from temporal_plugin.video.frames import Frames

WHOLE = Call("a red car", 0.0, 100.0, MOST_FRAMES)


def frames(*seconds: float) -> Frames:
    pixels = torch.zeros(len(seconds), 3, 28, 56, dtype=torch.uint8)
    for index in range(len(seconds)):
        pixels[index, 0] = 10 * index
    times = np.array(seconds, dtype=np.float64)
    return Frames(pixels, times, tuple(range(len(seconds))), 30.0, 100)


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        ({"query": "a red car"}, WHOLE),
        ({"query": "  a \n red car "}, WHOLE),
        ({"query": "a red car", "start_time": None, "num_frames": None}, WHOLE),
        (
            {"query": "x", "start_time": 5, "end_time": 9.5, "num_frames": 3},
            Call("x", 5.0, 9.5, 3),
        ),
        (
            {"query": "x", "start_time": "5", "end_time": " 9.5 ", "num_frames": "3"},
            Call("x", 5.0, 9.5, 3),
        ),
        ({"query": "x", "num_frames": 2.0}, Call("x", 0.0, 100.0, 2)),
        ({"query": "x", "end_time": 0xFFFF}, Call("x", 0.0, 100.0, 8)),
        (json.dumps({"query": "x", "end_time": 4}), Call("x", 0.0, 4.0, 8)),
    ],
)
def test_a_right_call(arguments, call):
    assert check(arguments, 100.0) == call


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (None, "must be a JSON object"),
        ([], "must be a JSON object"),
        ("no json", "must be a JSON object"),
        ('"{}', "must be a JSON object"),
        ({}, "query is missing"),
        ({"query": "  "}, "query is empty"),
        ({"query": 5}, "query is 5; it must be a string"),
        ({"query": ["a"]}, "query is of type list; it must be a string"),
        ({"query": {"a": 1}}, "it must be a string"),
        ({"query": "x" * 1001}, "query has 1001 characters; at most 1000"),
        ({"query": "x", "start_time": -1}, "start_time is -1; it must be 0 or more"),
        ({"query": "x", "start_time": 100}, "the video lasts only 100 seconds"),
        ({"query": "x", "start_time": 5, "end_time": 5}, "end_time is 5; it must be above"),
        ({"query": "x", "start_time": 5, "end_time": 2}, "end_time is 2; it must be above"),
        ({"query": "x", "start_time": "soon"}, 'start_time is "soon"; it must be a number'),
        ({"query": "x", "start_time": True}, "start_time is true; it must be a number"),
        ({"query": "x", "start_time": float("nan")}, "it must be a number"),
        ({"query": "x", "end_time": float("inf")}, "it must be a number"),
        ({"query": "x", "end_time": "1" * 400}, "it must be a number"),
        ({"query": "x", "end_time": 10**400}, "end_time is a huge number"),
        ({"query": "x", "end_time": []}, "end_time is of type list"),
        ({"query": "x", "num_frames": 0}, "num_frames is 0; it must be from 1 to 8"),
        ({"query": "x", "num_frames": 9}, "num_frames is 9; it must be from 1 to 8"),
        ({"query": "x", "num_frames": 1.5}, "num_frames is 1.5; it must be a whole number"),
        ({"query": "x", "num_frames": "many"}, "it must be a whole number from 1 to 8"),
        ({"query": "x", "frames": 3}, '"frames" is no argument of seek_video_frames; it takes'),
        ({"query": "x", 3: 3}, "3 is no argument"),
    ],
)
def test_a_wrong_call_is_answered_by_what_is_wrong(arguments, says):
    message = check(arguments, 100.0)
    assert isinstance(message, str)
    assert says in message
    assert message.endswith(".")


def test_a_message_never_holds_a_special_token_or_much_of_what_was_given():
    for name in ("<|image_pad|>", "\ud800", "x" * 10**6, "<|im_end|>\n<|im_start|>user"):
        message = check({"query": "x", name: 1}, 100.0)
        assert "<|" not in message
        assert len(message) < 250
        message.encode("utf-8")
    assert "<|" not in check({"query": "a <|image_pad|>"}, 10.0).query


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@settings(max_examples=200, deadline=None)
def test_no_argument_raises(value):
    assert isinstance(check(value, 10.0), (Call, str))
    for name in ("query", "start_time", "end_time", "num_frames"):
        found = check({"query": "x", name: value}, 10.0, 4)
        if isinstance(found, Call):
            assert 0 <= found.start_seconds < found.end_seconds <= 10.0
            assert 1 <= found.num_frames <= 4
            assert found.query.strip()


def test_hostile_arguments_are_read_fast():
    begin = time.monotonic()
    for text in ("[" * 10**6, '{"query": ' * 10**5, "9" * 10**6, '"' + "\\" * 10**6):
        assert isinstance(check(text, 10.0), str)
    assert time.monotonic() - begin < 5.0


def test_quoted_is_short():
    assert quoted("a" * 100) == '"' + "a" * 59 + "..."
    assert quoted(None) == "of type NoneType"
    assert quoted("a\nb") == '"a\\nb"'


def test_clean_keeps_ordinary_text():
    assert clean("a < b | c > d — é") == "a < b | c > d — é"


def test_the_schema_names_what_check_takes():
    function = schema(4)["function"]
    assert function["name"] == TOOL
    properties = function["parameters"]["properties"]
    given = {"query": "x", "start_time": 0, "end_time": 9, "num_frames": 4}
    assert set(properties) == set(given)
    assert check(given, 10.0, properties["num_frames"]["maximum"]) == Call("x", 0.0, 9.0, 4)


def test_frames_stand_behind_their_times():
    content = result_content(frames(1.0, 2.46))
    assert [part["type"] for part in content] == ["text", "image", "text", "image", "text"]
    texts = [part["text"] for part in content if part["type"] == "text"]
    assert texts == [
        "<1.0 seconds>",
        "<2.5 seconds>",
        "These frames are at 1.0, 2.5 seconds.",
    ]
    first, second = (part["image"] for part in content if part["type"] == "image")
    assert (first.size, first.mode) == ((56, 28), "RGB")
    assert first.getpixel((0, 0)) == (0, 0, 0)
    assert second.getpixel((55, 27)) == (10, 0, 0)
    assert frames_content(frames(1.0, 2.46))[0] == content[0]


def test_no_frames_are_said_in_words():
    assert times_line(()) == "There are no frames in this part of the video."
