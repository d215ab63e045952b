"""Videos of which a part is hidden: what is asked, by whom, and what the model gets to see."""

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("lmms_eval")

import torch
from asking import GREEDY, ask, requests_for

from temporal_plugin.annotations import Sample
from temporal_plugin.answers import parse
from temporal_plugin.curation.boundary_log import NOTHING_OUTSIDE, from_log
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations import lmms_eval_preflight as preflight
from temporal_plugin.integrations import lmms_eval_reflection as reflection
from temporal_plugin.integrations.lmms_eval_base import VideoModel
from temporal_plugin.integrations.lmms_eval_config import complete
from temporal_plugin.integrations.lmms_eval_kinds import KINDS
from temporal_plugin.integrations.lmms_eval_model import TemporalQwenVL
from temporal_plugin.integrations.lmms_eval_openai import TemporalOpenAI
from temporal_plugin.spans import Span
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.timing import step_seconds

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
DEMO = {"task": "demo", "dataset_kwargs": {"format": "jsonl", "annotations": "demo/test.jsonl"}}


@pytest.fixture(autouse=True)
def no_failures():
    failures.clear()
    yield
    failures.clear()


@pytest.fixture
def sample(clock_video):
    """A question about an 8 s clip; 2 to 4 s are annotated."""
    return Sample("s", "grounding", str(clock_video), "it jumps", (Span(2, 4),), duration=8.0)


def document(sample, settings=None):
    doc = docs.to_doc(sample, "clock.mp4", "answer_list", "reflection")
    return reflection.add_settings([doc], settings)[0]


def process(doc, *responses):
    return reflection.process_results(doc, [list(responses)])


def scores(items):
    return {name: item["score"] for name, item in items.items()}


def test_the_chat_hides_the_annotated_spans(sample):
    [message] = reflection.doc_to_messages(document(sample))
    assert message["content"][0] == {
        "type": "video", "url": sample.video, "mask": {"spans": [[2.0, 4.0]], "show": "outside"},
    }  # fmt: skip
    assert "8.00 seconds" in message["content"][1]["text"], "all of it, as the times are"
    assert "mask" not in docs.doc_to_messages(document(sample))[0]["content"][0]


@pytest.mark.parametrize("spans", [[(0, 8)], [(0, 3), (3, 7)], [(1, 7)]])
def test_where_nothing_is_outside_nothing_is_asked_or_shown(sample, spans):
    sample = replace(sample, spans=tuple(Span(*pair) for pair in spans))
    doc = document(sample)
    [message] = reflection.doc_to_messages(doc)
    assert [part["type"] for part in message["content"]] == ["text"]
    items = process(doc, "", "", "")
    assert scores(items) == {
        "named": 0.0, "refusal": 0.0, "parse_failure": 0.0, "nothing_outside": 1.0,
        "request_failure": 0.0,
    }  # fmt: skip
    assert items["named"]["not_asked"] == NOTHING_OUTSIDE
    assert "leave no 1 s of the video's 8 s" in items["named"]["problem"]


def test_the_settings_decide_what_is_worth_asking(sample):
    sample = replace(sample, spans=(Span(0, 6.5),))
    strict = reflection.doc_to_messages(document(sample))
    loose = reflection.doc_to_messages(document(sample, {"margin_seconds": 0.5}))
    assert [len(messages[0]["content"]) for messages in (strict, loose)] == [1, 2]
    with pytest.raises(ValueError, match="reflection has no setting"):
        document(sample, {"margin": 1})


def test_a_broken_video_is_a_failed_request_and_nothing_else(sample, tmp_path):
    path = tmp_path / "none.mp4"
    doc = document(replace(sample, video=str(path), duration=None))
    reflection.doc_to_messages(doc)
    items = process(doc, "", "")
    assert scores(items)["request_failure"] == 1.0 and sum(scores(items).values()) == 1.0
    assert "not_asked" not in items["named"]


def test_answers_are_told_apart_and_make_a_row(sample):
    doc = document(sample)
    responses = ("<answer>[[6, 8]]</answer>", "<answer>[]</answer>", "no idea", "[[9, 5]]")
    items = process(doc, *responses)
    assert scores(items) == {
        "named": 0.25, "refusal": 0.25, "parse_failure": 0.5, "nothing_outside": 0.0,
        "request_failure": 0.0,
    }  # fmt: skip
    details = {**items["named"], "request_failed": False}
    assert details["problems"] == [None, "refusal", "declined to answer", "reversed span"]
    [row] = from_log([details]).rows
    assert (row.answers, row.none, row.unparsable, row.partial) == (4, 1, 2, False)
    [row] = from_log([{**process(doc, *responses[:1] * 2)["named"]}]).rows
    assert row.partial and row.outside == ((6.0, 8.0),)


@pytest.mark.parametrize(
    "text", ["", "I like trains", "[[" * 50_000, "[[1, 2], " * 50_000, "你好", "<answer>", "\ud800"]
)
def test_no_response_stops_a_run(sample, text):
    found = scores(process(document(sample), text, text))
    assert sum(found.values()) == pytest.approx(1.0)
    kind = KINDS["reflection"].score(parse(text, contract="answer_list"), sample)
    assert set(kind) == set(KINDS["reflection"].keys) and sum(kind.values()) == 1.0


def test_the_right_answers_are_no_parse_failures(sample):
    for text, name in (
        ("<answer>[[1.00, 2.00]]</answer>", "named"),
        ("<answer>[]</answer>", "refusal"),
    ):
        found = KINDS["reflection"].score(parse(text, contract="answer_list"), sample)
        assert found[name] == 1.0 and sum(found.values()) == 1.0


def test_other_tasks_are_left_out_where_the_task_says_so(data_root, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(data_root))
    rows = (data_root / "demo/test.jsonl").read_text("utf-8").split("\n")[:2]
    choice = {**json.loads(rows[0]), "id": "c", "task": "choice", "options": ["a", "b"],
              "answer": "a", "spans": []}  # fmt: skip
    path = data_root / "demo/mixed.jsonl"
    path.write_text("\n".join([*rows, json.dumps(choice)]) + "\n", "utf-8")
    kwargs = {**DEMO["dataset_kwargs"], "annotations": "demo/mixed.jsonl"}
    with pytest.raises(ValueError, match=r"1 of the 3 questions .* first c: no true span"):
        preflight.check_tasks([("reflection", {"task": "x", "dataset_kwargs": kwargs})])
    task = {"task": "x", "dataset_kwargs": {**kwargs, "on_other_task": "leave_out"}}
    preflight.check_tasks([("reflection", task)])
    path.write_text(json.dumps(choice) + "\n")
    with pytest.raises(ValueError, match="1 of the 1 questions"):
        preflight.check_tasks([("reflection", task)])
    task["dataset_kwargs"]["on_other_task"] = "drop"
    with pytest.raises(ValueError, match="on_other_task is 'drop'; allowed: error, leave_out"):
        preflight.check_tasks([("reflection", task)])


@pytest.mark.parametrize("model", ["temporal_qwen_vl", "temporal_vllm", "temporal_openai"])
def test_our_model_classes_reflect(data_root, model, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(data_root))
    assert reflection.model_problem(model) is None
    preflight.check_tasks([("reflection", dict(DEMO))], model=model)


@pytest.mark.parametrize("model", ["qwen2_5_vl", "qwen3_vl", "vllm", "openai", "no_such_model"])
def test_other_model_classes_are_refused_before_anything_is_loaded(data_root, model, monkeypatch):
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(data_root))
    with pytest.raises(
        ValueError, match=f"demo: --model {model} may show whole videos.*use temporal"
    ):
        preflight.check_tasks([("reflection", dict(DEMO))], model=model)
    preflight.check_tasks([("grounding", dict(DEMO))], model=model)


def test_an_instance_is_judged_by_its_class():
    assert "--model object may show whole videos" in reflection.model_problem(object())
    assert reflection.model_problem(TemporalQwenVL.__new__(TemporalQwenVL)) is None
    assert not VideoModel.applies_masks, "a class of one's own may look at the file itself"


def test_only_a_prompt_that_asks_for_a_list_fits(monkeypatch):
    monkeypatch.setenv("TEMPORAL_PLUGIN_PROMPT", "think_answer")  # of the training: of no concern
    assert complete(dict(DEMO), "reflection")["dataset_kwargs"]["prompt"] == "answer_list"
    monkeypatch.setenv("TEMPORAL_PLUGIN_REFLECTION_PROMPT", "think_answer_list")
    config = complete(dict(DEMO), "reflection")
    assert config["dataset_kwargs"]["prompt"] == "think_answer_list"
    assert config["generation_kwargs"]["max_new_tokens"] == 1024
    monkeypatch.setenv("TEMPORAL_PLUGIN_REFLECTION_PROMPT", "answer")
    with pytest.raises(ValueError, match=r"asks for no list.*TEMPORAL_PLUGIN_REFLECTION_PROMPT"):
        complete(dict(DEMO), "reflection")


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl"])
def model(request, tiny_model, sampling_settings):
    settings = {**sampling_settings, "fps": 2.0, "max_frames": 16, "times": "exact"}
    folder = str(tiny_model(request.param))
    return TemporalQwenVL(folder, batch_size=4, device="cpu", dtype="float32", **settings)


def seen_by(model, documents, monkeypatch):
    """What the model class prepares of each question, in the documents' order."""
    seen = {}
    prepare = type(model).prepare

    def note(self, question, frames):
        seen[question.index] = (frames, question)
        return prepare(self, question, frames)

    monkeypatch.setattr(type(model), "prepare", note)
    answers = ask(model, documents, to_messages=reflection.doc_to_messages)
    assert len(answers) == len(documents)
    return [seen.get(index) for index in range(len(documents))]


def test_the_model_sees_what_lies_outside_at_its_own_time(model, sample, monkeypatch):
    whole = load_frames(sample.video, model.sampling, patch_size=model.patch_size)
    assert len(whole) == 16 and whole.pts_seconds[4] == 2.0
    other = replace(sample, id="other", spans=(Span(6, 8),))
    docs_seen = seen_by(model, [document(sample), document(other)], monkeypatch)
    for (frames, question), (start, end) in zip(docs_seen, ((4, 8), (12, 16)), strict=True):
        hidden = np.arange(16) // 2 * 2
        keep = (hidden < start) | (hidden >= end)
        if model.config.model_type == "qwen2_5_vl":  # one interval tells the time: all steps stay
            assert question.mask.mode == "blank" and len(frames) == 16
            assert (frames.pts_seconds == whole.pts_seconds).all()
            assert torch.equal(frames.pixels[keep], whole.pixels[keep])
            assert not frames.pixels[~keep].any()
        else:
            assert question.mask.mode == "drop" and len(frames) == 12
            assert (frames.pts_seconds == whole.pts_seconds[keep]).all()
            assert torch.equal(frames.pixels, whole.pixels[keep])
            times = step_seconds(whole.pts_seconds)[keep[::2]]
            assert np.allclose(step_seconds(frames.pts_seconds), times)


def test_spans_count_from_the_start_of_a_clip(model, sample, monkeypatch):
    clip = Span(1.0, 8.0)
    cut = replace(sample, clip=clip, duration=7.0, spans=(Span(1, 3),))
    whole = load_frames(sample.video, model.sampling, clip=clip, patch_size=model.patch_size)
    [(frames, question)] = seen_by(model, [document(cut)], monkeypatch)
    times = whole.pts_seconds // 1  # a step lasts a second
    keep = (times < 1) | (times >= 3)
    shown = frames.pixels.flatten(1).any(dim=1).numpy()
    if question.mask.mode == "drop":
        assert (frames.pts_seconds == whole.pts_seconds[keep]).all() and shown.all()
    else:
        assert (shown == keep).all()


def test_masked_and_whole_videos_of_one_file_are_not_mixed_up(model, sample):
    masked = [document(sample), document(replace(sample, spans=(Span(5, 8),)))]
    both = ask(model, masked, to_messages=reflection.doc_to_messages)
    whole = ask(model, masked)
    alone = [ask(model, [doc], to_messages=reflection.doc_to_messages)[0] for doc in masked]
    assert both == alone and whole == [whole[0]] * 2
    assert len({*both, *whole}) > 1


def test_a_question_whose_mask_hides_all_frames_goes_unasked_alone(model, sample, monkeypatch):
    model.sampling = replace(model.sampling, fps=0.25, max_frames=4, min_frames=4)
    long_spans = replace(sample, spans=(Span(0.5, 1), Span(5.5, 6.5)))
    documents = [document(long_spans), document(replace(sample, id="fine"))]
    hidden, shown = seen_by(model, documents, monkeypatch)
    assert hidden is None and shown is not None
    items = process(documents[0], "", "")
    assert scores(items)["nothing_outside"] == 1.0
    assert "is left to show" in items["named"]["problem"]
    assert failures.reason(sample.video) is None
    assert scores(process(documents[1], "[]"))["refusal"] == 1.0


def test_a_wrong_mask_is_our_mistake(model, sample):
    def to_messages(doc):
        messages = reflection.doc_to_messages(doc)
        messages[0]["content"][0]["mask"]["mode"] = mode
        return messages

    mode = "hide"
    with pytest.raises(ValueError, match="mode is 'hide'"):
        ask(model, [document(sample)], to_messages=to_messages)
    mode = "drop"
    if model.config.model_type == "qwen2_5_vl":
        with pytest.raises(ValueError, match="blank"):
            ask(model, [document(sample)], to_messages=to_messages)
    else:
        assert ask(model, [document(sample)], to_messages=to_messages)


def test_an_answer_is_kept_for_its_mask_only(model, sample, tmp_path):
    model.resume = str(tmp_path)
    documents = [document(sample), document(replace(sample, spans=(Span(5, 8),)))]
    ask(model, documents, to_messages=reflection.doc_to_messages)
    ask(model, documents, to_messages=reflection.doc_to_messages)
    ask(model, documents[:1])
    rows = (tmp_path / "answers_0.jsonl").read_text().splitlines()
    assert len({json.loads(row)["key"] for row in rows}) == len(rows) == 3


def test_a_server_gets_the_shown_frames_with_their_times(sample, openai_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    bodies = []

    def reply(body, number):
        bodies.append(body)
        return "<answer>[[6, 8]]</answer>"

    server = openai_server(reply)
    model = TemporalOpenAI("m", base_url=server.url, fps=2.0, times="exact", max_pixels=3136,
                           min_pixels=3136)  # fmt: skip
    requests = requests_for(model, [document(sample)], GREEDY, reflection.doc_to_messages)
    assert [answer.text for answer in model.generate_until(requests)] == [
        "<answer>[[6, 8]]</answer>"
    ]
    parts = bodies[0]["messages"][-1]["content"]
    times = [
        part["text"] for part in parts if part["type"] == "text" and "seconds>" in part["text"]
    ]
    wanted = [number / 2 for number in range(16) if not 4 <= number < 8]
    assert times == [f"<{seconds:.1f} seconds>" for seconds in wanted]
    assert sum(part["type"] == "image_url" for part in parts) == 12
