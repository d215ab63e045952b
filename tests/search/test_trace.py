"""Traces of searches: reading them, running them again, and choosing them from logs."""

import json

import pytest
from typer.testing import CliRunner

from temporal_plugin.annotations import load_samples
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.cli import app
from temporal_plugin.search.conversation import Conversation, Limits
from temporal_plugin.search.frame_search import FrameSearch, SearchError
from temporal_plugin.search.trace import Turn, frames_at, replay, turns_in
from temporal_plugin.search.trace_choice import (
    FAILED,
    NEVER_SEARCHED,
    OTHERS_ARE_SHORTER,
    UNCLEAN,
    WRONG,
    choose,
)
from temporal_plugin.spans import Span
from temporal_plugin.video.sampling import Sampling

CALL = '<think>a</think><tool_call>{"name": "seek_video_frames", "arguments": {"query": "x"}}</tool_call>'  # noqa: E501
ANSWER = "<think>b</think><answer>B</answer>"


def talk():
    return Conversation([], duration_seconds=8.0, contract="think_answer_choice", limits=Limits())


def test_turns_are_the_assistants_with_the_times_of_their_frames():
    messages = [
        {"role": "user", "content": "<video>which?"},
        {"role": "assistant", "content": [{"type": "text", "text": "one "}, {"text": "two"}]},
        {"role": "tool", "content": "seen", "seconds": [1, 2.5]},
        {"role": "assistant", "content": "three"},
        {"role": "tool", "content": "an error"},
    ]
    assert turns_in(messages) == [Turn("one two", (1.0, 2.5)), Turn("three")]


@pytest.mark.parametrize("seconds", [[], "1", [True], [float("nan")], [[1]], 3])
def test_times_that_are_none(seconds):
    messages = [{"role": "assistant", "content": "a"}, {"role": "tool", "seconds": seconds}]
    with pytest.raises(ValueError, match="seconds of a tool's message"):
        turns_in(messages)


def test_a_replay_says_what_the_rollout_said(clock_video):
    search = FrameSearch(None, None, method="uniform")
    asked = []

    def seek(call, seconds):
        asked.append((call.num_frames, seconds))
        return search.seek(clock_video, call.query, call.start_seconds, call.end_seconds, 2)

    found, plain = talk(), talk()
    turns = [Turn(CALL, (0.0, 1.0)), Turn("nonsense"), Turn(ANSWER)]
    pieces = list(replay(found, turns, seek))
    assert asked == [(8, (0.0, 1.0))]
    call = plain.said(CALL)
    first = plain.found(seek(call, None))
    assert [len(reply) for _, reply in pieces] == [1, 1, 0]
    assert [part["type"] for part in pieces[0][1][0]["content"]] == [
        part["type"] for part in first[0]["content"]
    ]
    assert pieces[1][1] == plain.said("nonsense")
    assert found.answer == ANSWER and found.counts["searches"] == 1


def test_a_call_that_finds_nothing_is_answered_as_in_the_rollout():
    def seek(call, seconds):
        raise SearchError("there is no frame")

    found = talk()
    replies = [reply for _, reply in replay(found, [Turn(CALL), Turn(ANSWER)], seek)]
    assert "there is no frame." in replies[0][0]["content"][0]["text"]
    assert found.counts["failed_calls"] == 1


def test_the_frames_at_given_times_are_those_of_the_search(clock_video):
    sampling = Sampling(min_pixels=3136, max_pixels=3136)
    clip = Span(2.0, 8.0)
    search = FrameSearch(None, None, method="uniform", sampling=sampling)
    found = search.seek(clock_video, "x", 0.0, 4.0, 3, clip=clip)
    again = frames_at(clock_video, found.pts_seconds.tolist(), sampling, clip)
    assert again.indices == found.indices
    assert (again.pixels == found.pixels).all() and (again.pts_seconds == found.pts_seconds).all()
    with pytest.raises(ValueError, match="no time"):
        frames_at(clock_video, [], sampling)


def search_try(score=1.0, searches=1, turns=3, **counters):
    said = [{"role": "assistant", "text": CALL}, {"role": "tool", "text": "t", "seconds": [1.0]}]
    said = [*said * (turns // 2), {"role": "assistant", "text": ANSWER}]
    counts = {"searches": searches, "malformed": 0, **counters}
    return {"score": score, "frames": searches, "turns": said, "counters": counts}


def samples(*ids):
    return [Sample(id=id, task="choice", video="a.mp4", query="q", options=("x", "y"), answer="B")
            for id in ids]  # fmt: skip


def test_only_right_and_clean_searches_are_kept():
    rows = [
        {"id": "a", "tries": [search_try(turns=5), search_try(turns=3), search_try(0.5)]},
        {"id": "b", "tries": [search_try(searches=0), search_try(failed_calls=1)]},
        {"id": "c", "tries": [], "request_failed": True},
        {"id": "z", "tries": [search_try()]},
    ]
    found = choose(rows, samples("c", "a", "b", "d"))
    assert [trace.id for trace in found.traces] == ["a"]
    assert found.traces[0].extra["messages"] == [
        {"role": "assistant", "content": CALL},
        {"role": "tool", "seconds": [1.0]},
        {"role": "assistant", "content": ANSWER},
    ]
    assert found.dropped == {
        FAILED: 1,
        WRONG: 1,
        OTHERS_ARE_SHORTER: 1,
        NEVER_SEARCHED: 1,
        UNCLEAN: 1,
    }
    assert (found.not_asked, found.not_in_data) == (["d"], ["z"])
    both = choose(rows, samples("a"), per_sample=2)
    assert [trace.id for trace in both.traces] == ["a", "a#1"]
    assert len(both.traces[1].extra["messages"]) == 5
    assert [t.id for t in choose(rows, samples("b"), min_searches=0).traces] == ["b"]


@pytest.mark.parametrize("wrong", [{"solved_above": 1}, {"min_searches": -1}, {"per_sample": 0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match="needed: 0 to below 1"):
        choose([], [], **wrong)
    with pytest.raises(ValueError, match="'a' has no tries"):
        choose([{"id": "a"}], [])


def test_command(tmp_path):
    line = {"doc_id": 0, "accuracy": {"score": 1.0, "video": "v", "id": "a",
            "tries": [search_try()]}}  # fmt: skip
    line |= {name: {"score": 0.0, "video": "v"} for name in ("parse_failure", "request_failure")}
    log = tmp_path / "r" / "20260101_000000_samples_curate_search.jsonl"
    log.parent.mkdir()
    log.write_text(json.dumps(line) + "\n")
    data, out = tmp_path / "data.jsonl", tmp_path / "traces.jsonl"
    data.write_text("".join(json.dumps(each.to_dict()) + "\n" for each in samples("a", "b")))
    command = ["data", "traces", str(log.parent), "--data", str(data), "--out", str(out)]
    found = CliRunner().invoke(app, [*command, "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.output)["traces"] == 1
    (trace,) = load_samples(out)
    assert [turn.text for turn in turns_in(trace.extra["messages"])] == [CALL, ANSWER]
    log.write_text(json.dumps({**line, "accuracy": {**line["accuracy"], "tries": []}}) + "\n")
    nothing = CliRunner().invoke(app, command)
    assert nothing.exit_code == 1 and "no search is left" in nothing.output
