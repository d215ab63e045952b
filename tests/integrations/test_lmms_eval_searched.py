"""What the search tasks make of a record: scores, tries, optional metrics, hostile records."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip("lmms_eval")

from temporal_plugin.annotations import Sample
from temporal_plugin.annotations.gold import gold_answer
from temporal_plugin.curation.search_filter import from_log
from temporal_plugin.integrations import lmms_eval_captions as captions
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations import lmms_eval_searched as searched
from temporal_plugin.integrations.lmms_eval_kinds import KINDS
from temporal_plugin.integrations.lmms_eval_search_record import Record, times_of, turns_of
from temporal_plugin.metrics.means import LOWER_IS_BETTER
from temporal_plugin.spans import Span

PROMPTS = {"choice": "search_choice", "open": "search_text", "grounding": "search"}


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    failures.clear()
    judge = SimpleNamespace(verdict=lambda question, truth, answer: truth == answer)
    monkeypatch.setattr(captions, "judge", lambda: judge)
    monkeypatch.setattr(captions, "reviewer", lambda: judge)
    yield
    failures.clear()


def sample_of(video, task="choice"):
    more = {
        "choice": {"options": ("red", "green", "blue"), "answer": "C"},
        "open": {"answer": "it is blue"},
        "grounding": {"spans": (Span(1.0, 2.5), Span(4.0, 5.0))},
    }[task]
    return Sample(
        id="a/1", task=task, video=str(video), query="which?", duration=8.0,
        extra={"keyframe_seconds": [1.5, 6.0]}, **more,
    )  # fmt: skip


def document(sample, kind):
    return docs.to_doc(sample, "v", PROMPTS[sample.task], kind)


def gold_record(sample, seconds=(1.5, 6.0)):
    answer = gold_answer(sample, docs.load_prompt(PROMPTS[sample.task]).contract)
    turns = ({"role": "assistant", "text": answer},)
    return Record(answer, turns, tuple(seconds), len(seconds), {"searches": 1.0})


def scores_of(sample, kind, *records):
    texts = [record.to_text() if isinstance(record, Record) else record for record in records]
    doc = document(sample, kind)
    items = searched.process_results(doc, [texts] if len(texts) > 1 else texts)
    json.dumps(items)
    return {name: item["score"] for name, item in items.items() if "score" in item}, items


CASES = [("search_loop", "choice"), ("search_choice", "choice")]
CASES += [("search_any", task) for task in PROMPTS]


@pytest.mark.parametrize(("kind", "task"), CASES)
def test_the_truth_scores_the_maximum(kind, task, clock_video):
    sample = sample_of(clock_video, task)
    assert KINDS[kind].lacks(sample) is None
    scores, items = scores_of(sample, kind, gold_record(sample))
    assert set(scores) == {*KINDS[kind].keys, "request_failure"}
    for name, value in scores.items():
        assert value == (0.0 if name in LOWER_IS_BETTER else 1.0), name
    if kind == "search_loop":
        joint = docs.f1_of_means([items["visual_f1"]])
        assert joint == 1.0
    (found,) = items["accuracy"]["tries"]
    assert (found["score"], found["frames"], found["seconds"]) == (1.0, 2, [1.5, 6.0])
    assert items["accuracy"]["counters"] == found["counters"] == {"searches": 1.0}


def test_one_that_never_looked_is_right_and_found_nothing(clock_video):
    sample = sample_of(clock_video)
    scores, _ = scores_of(sample, "search_loop", gold_record(sample, ()))
    assert scores["accuracy"] == 1.0
    found = ("searched", "temporal_precision", "temporal_recall", "temporal_f1",
             "visual_precision", "visual_recall")  # fmt: skip
    assert {scores[name] for name in found} == {0.0}


def test_frames_of_the_baseline_are_no_search(clock_video):
    sample = sample_of(clock_video)
    scores, _ = scores_of(sample, "search_loop", replace(gold_record(sample), counters={}))
    assert (scores["searched"], scores["temporal_f1"], scores["accuracy"]) == (0.0, 1.0, 1.0)


def test_a_search_without_an_answer_keeps_what_it_found(clock_video):
    sample = sample_of(clock_video)
    scores, items = scores_of(sample, "search_loop", replace(gold_record(sample), answer=""))
    assert (scores["accuracy"], scores["parse_failure"]) == (0.0, 1.0)  # no letter is drawn
    assert scores["temporal_f1"] == 1.0
    assert items["accuracy"]["tries"][0]["score"] == 0.0


def test_times_far_off_or_beyond_the_video(clock_video):
    sample = replace(sample_of(clock_video), extra={"keyframe_seconds": [1.5]})
    scores, _ = scores_of(sample, "search_loop", gold_record(sample, (1.5, 1e9)))
    assert (scores["temporal_precision"], scores["temporal_recall"]) == (0.5, 1.0)


def test_repeats_are_averaged_and_all_kept(clock_video):
    sample = sample_of(clock_video)
    records = [gold_record(sample), Record("<answer>A</answer>", (), (), 0, {}), Record()]
    scores, items = scores_of(sample, "search_any", *records)
    assert scores["accuracy"] == pytest.approx(1 / 3)
    tries = items["accuracy"]["tries"]
    assert [each["score"] for each in tries] == [1.0, 0.0, 0.0]
    row = {"id": "a/1", "tries": tries, "request_failed": False}
    assert from_log([row]).rows["a/1"].solved() == 1


def test_a_failed_request_is_no_search(clock_video):
    sample = sample_of(clock_video)
    failures.record(sample.video, "gone")
    scores, items = scores_of(sample, "search_loop", "")
    assert scores == {**dict.fromkeys(scores, 0.0), "request_failure": 1.0}
    assert items["accuracy"]["tries"] == []
    found = searched.extra_items(document(sample, "search_loop"), [""], ["completeness"], True)
    assert found == {"completeness": {"score": 0.0, "video": "v"}}


@pytest.mark.parametrize(
    "text", ["<answer>C</answer>", "null", "[]", "{}", '{"temporal_search": 2}', "[" * 9999, "\x00"]
)
def test_what_is_no_record_is_refused(clock_video, text):
    with pytest.raises(ValueError, match="needs --model temporal_search"):
        scores_of(sample_of(clock_video), "search_choice", text)


def test_completeness_by_task(clock_video):
    said = {"choice": "<answer>C</answer>", "open": "<answer>it is blue</answer>",
            "grounding": "<answer>1.00 to 2.50 and 4.00 to 5.00</answer>"}  # fmt: skip
    for task, right in said.items():
        sample = sample_of(clock_video, task)
        doc = document(sample, "search_any")
        for verified, score in ((right, 1.0), ("<answer>no</answer>", 0.0), ("", 0.0), (None, 0.0)):
            text = replace(gold_record(sample), verified=verified).to_text()
            found = searched.extra_items(doc, [text], ["completeness"], False)
            assert found["completeness"]["score"] == score, (task, verified)


def test_completeness_without_a_judge_is_not_right(clock_video, monkeypatch):
    monkeypatch.setattr(captions, "judge", lambda: SimpleNamespace(verdict=lambda *_: None))
    sample = sample_of(clock_video, "open")
    text = replace(gold_record(sample), verified="<answer>it is blue</answer>").to_text()
    doc = document(sample, "search_any")
    assert searched.extra_items(doc, [text], ["completeness"], False)["completeness"]["score"] == 0


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("<think>C</think><answer>C</answer>", 1.0),
        ("<think>A</think><answer>C</answer>", 0.0),  # the stand-in judge wants them equal
        ("<answer>C</answer>", 0.0),
        ("<think>C</think>", 0.0),
        ("", 0.0),
    ],
)
def test_consistency_of_reasoning_and_answer(clock_video, answer, score):
    doc = document(sample_of(clock_video), "search_choice")
    found = searched.extra_items(doc, [Record(answer).to_text()], ["consistency"], False)
    assert found["consistency"]["score"] == score


def test_samples_without_a_truth_are_named(clock_video):
    for task, change in (("choice", {"answer": None}), ("open", {"answer": None}),
                         ("grounding", {"spans": ()})):  # fmt: skip
        sample = replace(sample_of(clock_video, task), **change)
        assert "no" in KINDS["search_any"].lacks(sample)
    assert "extra.keyframe_seconds" in KINDS["search_loop"].lacks(
        replace(sample_of(clock_video), extra={})
    )
    samples = [sample_of(clock_video, task) for task in ("choice", "grounding")]
    assert not KINDS["search_any"].needs_judge(samples)
    assert KINDS["search_any"].needs_judge([*samples, sample_of(clock_video, "open")])


def test_each_task_has_its_prompt(clock_video):
    for think, names in (("search_text", "search"), ("search_brief_text", "search_brief")):
        found = [searched.prompt_for(think, sample_of(clock_video, task)) for task in PROMPTS]
        assert found == [f"{names}_choice", f"{names}_text", names]
        for name in found:
            docs.load_prompt(name)
    assert searched.prompt_for("my.yaml", sample_of(clock_video)) == "my.yaml"


def test_a_record_survives_its_text():
    turns = ({"role": "tool", "text": "x"},)
    record = Record("<answer>\ud800é\u2028</answer>", turns, (1.0, 2.5), 2, {"searches": 1.0}, "v")
    again = Record.from_text(record.to_text())
    assert again == record and "\n" not in record.to_text()
    assert Record.from_text("") == Record()


def test_turns_and_times_without_pictures():
    messages = [
        {"role": "assistant", "content": "a"},
        {"role": "tool", "content": [{"type": "text", "text": "<1.0 seconds>"},
                                     {"type": "image", "image": object()}]},
        {"role": "user", "content": [{"type": "text", "text": "now"}]},
    ]  # fmt: skip
    assert turns_of(messages, [[1.0]]) == [
        {"role": "assistant", "text": "a"},
        {"role": "tool", "text": "<1.0 seconds>", "seconds": [1.0]},
        {"role": "user", "text": "now"},
    ]
    assert times_of([[3.0, 1.0], [1.0]]) == (1.0, 3.0) and times_of([]) == ()


def test_what_a_command_asks_for_besides(monkeypatch):
    def asked(**arguments):
        return searched.optional_metrics(SimpleNamespace(**arguments), "t")

    assert searched.optional_metrics(None, "t") == []
    assert asked(model="temporal_search", model_args="pretrained=x") == []
    assert asked(model="temporal_search", model_args="completeness=true") == ["completeness"]
    assert asked(model="temporal_search", model_args={"completeness": True}) == ["completeness"]
    with pytest.raises(ValueError, match="t scores searches, and --model vllm does not search"):
        asked(model="vllm")
    monkeypatch.setenv(searched.CONSISTENCY_SETTING, "1")
    assert asked(model="temporal_search") == ["consistency"]
    monkeypatch.setattr(captions, "judge", lambda: None)
    with pytest.raises(ValueError, match="SEARCH_CONSISTENCY=1: it has open answers"):
        asked(model="temporal_search")
