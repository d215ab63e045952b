"""One question as lmms-eval asks it: messages, scores, failures."""

from dataclasses import replace

import pytest

from temporal_plugin.annotations import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.spans import Span

SAMPLE = Sample(
    id="a/1",
    task="grounding",
    video="/videos/a.mp4",
    query="a {blue} door opens",
    spans=(Span(2.0, 6.0),),
    duration=10.0,
)
FAILURES = {"parse_failure", "refusal", "request_failure"}
METRICS = {"miou", "r1@0.3", "r1@0.5", "r1@0.7", *FAILURES}


@pytest.fixture(autouse=True)
def no_failures():
    failures.clear()
    yield
    failures.clear()


@pytest.fixture(params=["answer", "think_answer"])
def doc(request):
    return docs.to_doc(SAMPLE, "a.mp4", request.param)


def scores(items):
    return {name: item["score"] for name, item in items.items()}


def test_a_document_gives_its_sample_back(doc):
    assert docs.to_sample(doc) == SAMPLE
    assert all(isinstance(value, str) for value in doc.values())


def test_messages_hold_the_video_once_and_the_query(doc):
    messages = docs.doc_to_messages(doc)
    parts = [part for message in messages for part in message["content"]]
    assert [p for p in parts if p["type"] == "video"] == [{"type": "video", "url": SAMPLE.video}]
    assert SAMPLE.query in docs.doc_to_text(doc)
    assert docs.doc_to_visual(doc) == [SAMPLE.video]


def test_messages_are_those_that_upstream_model_classes_read(doc):
    protocol = pytest.importorskip("lmms_eval.protocol")
    chat = protocol.ChatMessages(messages=docs.doc_to_messages(doc))
    assert chat.extract_media() == ([], [SAMPLE.video], [])


def test_a_clip_rides_in_the_video_entry():
    sample = Sample(
        id="b", task="grounding", video="/b.mp4", query="q", clip=Span(3, 9), spans=(Span(1, 2),)
    )
    video, text = docs.doc_to_messages(docs.to_doc(sample, "b.mp4", "answer"))[-1]["content"]
    assert (video["start_time"], video["end_time"]) == (3.0, 9.0)
    assert "6.00 seconds" in text["text"]


def test_an_unknown_length_is_measured(clock_video):
    sample = replace(SAMPLE, video=str(clock_video), duration=None)
    doc = docs.to_doc(sample, "clock.mp4", "answer")
    assert "8.00 seconds" in docs.doc_to_text(doc)
    assert docs.process_results(doc, [""])["miou"]["duration"] == 8.0


def test_a_length_that_cannot_be_measured_is_a_failed_request():
    doc = docs.to_doc(replace(SAMPLE, video="/none.mp4", duration=None), "none.mp4", "answer")
    assert docs.doc_to_text(doc) == SAMPLE.query
    assert docs.process_results(doc, ["1 to 2"])["request_failure"]["score"] == 1.0


def test_the_true_answer_scores_one(doc):
    text = "<think>so</think><answer>2.0 to 6.0</answer>"
    found = docs.process_results(doc, [text])
    assert set(found) == METRICS
    assert scores(found) == {
        **dict.fromkeys(METRICS, 1.0),
        **dict.fromkeys(FAILURES, 0.0),
    }
    assert found["miou"]["prediction"] == found["miou"]["truth"] == [[2.0, 6.0]]
    assert found["miou"]["response"] == text
    assert {item["video"] for item in found.values()} == {"a.mp4"}


def test_half_the_overlap():
    doc = docs.to_doc(SAMPLE, "a.mp4", "answer")
    found = scores(docs.process_results(doc, ["<answer>4 to 6</answer>"]))
    assert found["miou"] == 0.5
    assert (found["r1@0.3"], found["r1@0.5"], found["r1@0.7"]) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize("response", ["", "no idea", "<answer></answer>"])
def test_no_answer_is_a_parse_failure_and_scores_zero(doc, response):
    found = docs.process_results(doc, [response])
    assert scores(found) == {**dict.fromkeys(METRICS, 0.0), "parse_failure": 1.0}
    assert found["miou"]["problem"]


def test_a_broken_video_is_a_failed_request_whatever_was_answered(doc):
    failures.record(SAMPLE.video, "moov atom not found")
    parts = [p for m in docs.doc_to_messages(doc) for p in m["content"]]
    assert not [part for part in parts if part["type"] == "video"]
    assert docs.doc_to_visual(doc) == []
    found = docs.process_results(doc, ["<answer>2.0 to 6.0</answer>"])
    assert scores(found) == {**dict.fromkeys(METRICS, 0.0), "request_failure": 1.0}
    assert "moov atom not found" in found["miou"]["problem"]


CHOICE = Sample(
    id="c/1",
    task="choice",
    video="/videos/c.mp4",
    query="which colour?",
    duration=9.0,
    options=("red", "green"),
    answer="(B)",
    extra={"subtitles": "[1] It is {green}."},
)


def test_a_choice_shows_its_options_and_subtitles():
    doc = docs.to_doc(CHOICE, "c.mp4", "answer_choice", "choice")
    text = docs.doc_to_text(doc)
    assert "(A) red\n(B) green" in text
    assert text.index("[1] It is {green}.") < text.index("which colour?")
    assert docs.doc_to_target(doc) == "B"


def test_a_choice_is_scored_and_described():
    doc = docs.to_doc(CHOICE, "c.mp4", "answer_choice", "choice")
    found = docs.process_results(doc, ["<answer>B</answer>"])
    assert set(found) == {"accuracy", *FAILURES}
    details = found["accuracy"]
    assert (details["score"], details["choice"], details["letter"]) == (1.0, "B", "B")
    assert (details["kind"], details["query"]) == ("choice", "which colour?")
    assert "responses" not in details


def test_repeats_are_averaged_and_all_logged():
    doc = docs.to_doc(SAMPLE, "a.mp4", "answer")
    texts = ["<answer>2 to 6</answer>", "<answer>4 to 6</answer>", "no idea", ""]
    found = docs.process_results(doc, [texts])
    assert scores(found)["miou"] == pytest.approx((1 + 0.5) / 4)
    assert scores(found)["parse_failure"] == 0.5
    details = found["miou"]
    assert details["responses"] == texts
    assert details["predictions"] == [[[2.0, 6.0]], [[4.0, 6.0]], [], []]
    assert details["response"] == texts[0]


def test_a_question_that_was_never_asked_is_a_failed_request():
    doc = docs.to_doc(SAMPLE, "a.mp4", "answer")
    found = docs.process_results(doc, [[]])
    assert (scores(found)["request_failure"], scores(found)["parse_failure"]) == (1.0, 0.0)
    assert "never asked" in found["miou"]["problem"]


@pytest.mark.parametrize("results", [[], [None], [[None]]])
def test_no_response_at_all_is_a_parse_failure(results):
    doc = docs.to_doc(SAMPLE, "a.mp4", "answer")
    assert scores(docs.process_results(doc, results))["parse_failure"] == 1.0


def test_the_searched_times_are_logged(clock_video):
    sample = replace(CHOICE, video=str(clock_video), extra={"keyframe_seconds": [2.0]})
    doc = docs.to_doc(sample, "c.mp4", "answer_keyframes", "search")
    found = docs.process_results(doc, ["<answer>B</answer><glue>[(1, 3)]</glue>"])
    assert found["accuracy"]["predicted_seconds"] == [2.0]
    assert found["visual_f1"] == {"precision": 1.0, "recall": 1.0, "video": "c.mp4"}


def test_f1_is_that_of_the_means():
    items = [{"precision": 1.0, "recall": 0.0}, {"precision": 0.0, "recall": 1.0}]
    assert docs.f1_of_means(items) == pytest.approx(0.5)


def test_a_request_that_a_server_left_unanswered_fails_alone():
    doc = docs.to_doc(SAMPLE, "a.mp4", "answer")
    failures.record_request(doc, "HTTP 500")
    found = docs.process_results(doc, [""])
    assert scores(found)["request_failure"] == 1.0
    assert "HTTP 500" in found["miou"]["problem"]


def test_mean_score_counts_every_question():
    items = [{"score": 1.0}, {"score": 0.0}, {"score": 0.5}, {"score": 0.5}]
    assert docs.mean_score(items) == 0.5
