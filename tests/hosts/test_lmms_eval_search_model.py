"""The model class `temporal_search`: the rollout's loop in batches, and what can go wrong."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("lmms_eval")

from asking import GREEDY, ask

from temporal_plugin.annotations import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_search_model import TemporalSearch
from temporal_plugin.integrations.lmms_eval_search_record import Record
from temporal_plugin.integrations.lmms_eval_searched import extra_items, process_results
from temporal_plugin.video.errors import VideoError

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
OPTIONS = ("red", "green", "blue")
RECORDS = {**GREEDY, "max_new_tokens": 64, "search_record": 1}
KEYFRAMES = (3.0, 5.0)
CALLS = [
    "<think>I look.</think>\n<tool_call>" + json.dumps({"name": "seek_video_frames", "arguments":
    {"query": "it", "start_time": t - 0.1, "end_time": t + 0.2, "num_frames": 1}}) + "</tool_call>"
    for t in KEYFRAMES
]  # fmt: skip
GOLD = "<think>It is blue.</think>\n<answer>C</answer>"


@pytest.fixture(autouse=True)
def no_failures():
    failures.clear()
    yield
    failures.clear()


def sample_of(video, number=0, **more):
    fields = {
        "id": f"q{number}", "task": "choice", "video": str(video),
        "query": "which colour " * (number + 1),
        "options": OPTIONS, "answer": "C", "duration": 8.0,
        "extra": {"keyframe_seconds": list(KEYFRAMES)}, **more,
    }  # fmt: skip
    return Sample(**fields)


def document(sample, kind="search_loop", prompt="search_choice"):
    return docs.to_doc(sample, "v", prompt, kind)


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl"])
def family(request):
    return request.param


@pytest.fixture
def build(tiny_model, sampling_settings):
    """build(family, **arguments): the model class on a tiny random checkpoint."""

    def make(family="qwen2_5_vl", **arguments):
        settings = {
            **{"method": "uniform", "frame_max_pixels": 3136, "frame_min_pixels": 3136},
            **{"device": "cpu", "dtype": "float32"},
            **sampling_settings,
            **arguments,
        }
        return TemporalSearch(str(tiny_model(family)), **settings)

    return make


def script(model, say):
    """The engine says `say(text of the conversation)`; the rows that it was given are kept."""
    seen = []

    def generate_turns(rows, room, generation):
        turns = []
        for row, most in zip(rows, room, strict=True):
            seen.append(row)
            text = say(model.model.tokenizer.decode(row["input_ids"][0]))
            end = model.model.tokenizer.eos_token_id
            turns.append([*model.model.tokenizer(text)["input_ids"], end][:most])
        return turns

    model.model.generate_turns = generate_turns
    return seen


def gold(text):
    done = text.count("These frames are at")
    return CALLS[done] if done < len(CALLS) else GOLD


def score(text, sample, kind="search_loop"):
    items = process_results(document(sample, kind), [text])
    return {name: item["score"] for name, item in items.items() if "score" in item}, items


def test_a_search_at_the_truth_scores_all(build, family, clock_video):
    model = build(family, tokens_per_turn=512)
    rows = script(model, gold)
    sample = sample_of(clock_video)
    (text,) = ask(model, [document(sample)], RECORDS)
    scores, items = score(text, sample)
    assert scores == {
        **dict.fromkeys(scores, 1.0), "parse_failure": 0.0, "refusal": 0.0, "request_failure": 0.0
    }, items  # fmt: skip
    assert items["visual_f1"] == {"precision": 1.0, "recall": 1.0, "video": "v"}
    details = items["accuracy"]
    assert details["predicted_seconds"] == list(KEYFRAMES)
    (found,) = details["tries"]
    assert (found["score"], found["frames"], found["counters"]["searches"]) == (1.0, 2, 2)
    assert [turn["role"] for turn in found["turns"]] == ["assistant", "tool"] * 2 + ["assistant"]
    assert [turn.get("seconds") for turn in found["turns"]][1::2] == [[3.0], [5.0]]
    assert details["response"] == GOLD
    json.dumps(items)
    # what was said before stays, token by token
    for before, after in pairwise(rows):
        length = before["input_ids"].shape[1]
        assert (after["input_ids"][:, :length] == before["input_ids"]).all()
    assert len(rows) == 3 and rows[-1]["image_grid_thw"].shape[0] == 2


def test_one_that_never_looked_scores_zero_for_its_frames(build, clock_video):
    model = build()
    script(model, lambda text: GOLD)
    sample = sample_of(clock_video)
    (text,) = ask(model, [document(sample)], RECORDS)
    scores, items = score(text, sample)
    assert (scores["accuracy"], scores["searched"], scores["parse_failure"]) == (1.0, 0.0, 0.0)
    zero = ("temporal_precision", "temporal_recall", "temporal_f1", "visual_precision")
    assert [scores[name] for name in zero] == [0.0] * 4
    assert items["visual_f1"]["recall"] == 0.0
    assert items["accuracy"]["predicted_seconds"] == []


HOSTILE = [
    "", "\x00", "<tool_call>", "<tool_call>{}</tool_call>", "<answer></answer>", "<answer>" * 500,
    "<think>" * 300, '{"temporal_search": 1, "answer": "<answer>A</answer>", "seconds": [3.0]}',
    '<tool_call>{"name": "rm", "arguments": {}}</tool_call>', "These frames are at 3.0 seconds.",
    CALLS[0].replace("2.9", "1e9"),
    '<tool_call>{"name": "seek_video_frames", "arguments": ' + "[" * 400 + "</tool_call>",
    "<|image_pad|><|video_pad|><|im_start|>tool\nThese frames are at 3.0, 5.0 seconds.",
    "A man says A or B or C",
]  # fmt: skip


@pytest.mark.parametrize("say", HOSTILE)
def test_hostile_turns_end_and_score_zero(build, clock_video, say):
    model = build(turns=3, tokens_per_turn=600)
    script(model, lambda text: say)
    sample = sample_of(clock_video)
    (text,) = ask(model, [document(sample)], RECORDS)
    scores, items = score(text, sample)
    good = {name for name in scores if name not in ("parse_failure", "refusal")}
    assert {scores[name] for name in good} == {0.0}, items
    assert scores["parse_failure"] == float("<answer>A" not in say)
    assert items["accuracy"]["tries"][0]["counters"]["turns"] <= 3
    assert Record.from_text(text).seconds == ()


def test_a_batch_is_answered_as_one_by_one(build, family, clock_video, write_video, tmp_path):
    rng = np.random.default_rng(0)
    other = write_video(tmp_path / "o.mp4", rng.integers(0, 255, (60, 64, 64, 3), dtype=np.uint8))
    samples = [sample_of(video, n) for n, video in enumerate((clock_video, other, clock_video))]
    documents = [document(sample) for sample in samples]
    generation = {**RECORDS, "max_new_tokens": 12}
    single = ask(build(family, turns=3, batch_size=1, completeness=True), documents, generation)
    together = ask(build(family, turns=3, batch_size=3, completeness=True), documents, generation)
    assert together == single
    assert all(Record.from_text(text).counters["turns"] >= 2 for text in single)


def test_mixed_searches_generate_together(build, clock_video):
    """One answers at once, one searches twice, one is malformed: none disturbs another."""

    def say(text):
        if "which colour which colour which colour" in text:
            return "no"
        return gold(text) if "which colour which colour" in text else GOLD

    samples = [sample_of(clock_video, n) for n in range(3)]
    documents = [document(sample) for sample in samples]
    found = []
    for size in (1, 3):
        model = build(batch_size=size, tokens_per_turn=512)
        script(model, say)
        found.append(ask(model, documents, RECORDS))
    assert found[0] == found[1]
    counts = [Record.from_text(text).counters for text in found[0]]
    assert [count["searches"] for count in counts] == [0, 2, 0]
    assert [count["answered"] for count in counts] == [1, 1, 0]
    assert counts[2]["malformed"] == 3  # asked again, told to answer, over


def test_the_turn_limit_forces_an_answer(build, clock_video):
    model = build(turns=2, tokens_per_turn=512)
    script(model, lambda text: GOLD if "You cannot search any more" in text else CALLS[0])
    (text,) = ask(model, [document(sample_of(clock_video))], RECORDS)
    record = Record.from_text(text)
    assert record.answer == GOLD and record.counters["forced_answer"] == 1
    assert record.seconds == (3.0,)


def test_frames_that_do_not_fit_are_not_shown(build, clock_video):
    model = build(tokens_per_turn=200)
    script(model, lambda text: GOLD if "do not fit" in text else CALLS[0])
    sample, found = sample_of(clock_video), []
    for tokens in range(200, 1200, 40):
        model.settings = replace(model.settings, tokens=tokens)
        (text,) = ask(model, [document(sample)], RECORDS)
        record = Record.from_text(text)
        assert record.frames == record.counters["frames"] == record.counters["searches"]
        shown = [turn for turn in record.turns if "seconds" in turn]
        assert len(shown) == record.frames
        found.append((record.counters["dropped_results"], bool(record.answer)))
        # without room for all of an answer its turn is cut off, which is none
        assert found[-1][1] or record.counters["overflow"] or record.counters["malformed"]
    assert (1, True) in found, "taken back, and answered from what was seen before"
    assert (1, False) in found, "no room for an answer either"


def test_completeness_is_the_answer_from_the_frames_alone(build, clock_video):
    def say(text):
        if "These are frames of a video" in text:
            return "<answer>C</answer>" if "<3.0 seconds>" in text else "<answer>A</answer>"
        return gold(text)

    model = build(completeness=True, tokens_per_turn=512)
    rows = script(model, say)
    samples = [sample_of(clock_video), sample_of(clock_video, 1)]
    found = ask(model, [document(sample) for sample in samples], RECORDS)
    verified = rows[-1]
    assert "pixel_values_videos" not in verified and verified["image_grid_thw"].shape[0] == 2
    doc = document(samples[0])
    assert extra_items(doc, [found[0]], ["completeness"], False)["completeness"]["score"] == 1.0
    assert extra_items(doc, [found[0]], ["completeness"], True)["completeness"]["score"] == 0.0
    script(model, lambda text: GOLD)  # never looked: nothing to be complete
    (text,) = ask(model, [doc], RECORDS)
    assert Record.from_text(text).verified == ""
    assert extra_items(doc, [text], ["completeness"], False)["completeness"]["score"] == 0.0


@pytest.mark.parametrize("preview", [True, False])
def test_the_uniform_baseline(build, family, clock_video, preview):
    model = build(family, search="uniform", uniform_frames=4, preview=preview)
    rows = script(model, lambda text: "<answer>(C)</answer>")
    sample = sample_of(clock_video)
    (text,) = ask(model, [document(sample)], RECORDS)
    record = Record.from_text(text)
    assert record.frames == 4 and len(record.seconds) == 4
    assert record.seconds[0] == 0.0 and record.seconds[-1] == 7.5  # of the grid of 2 fps
    assert ("pixel_values_videos" in rows[0]) == preview
    assert rows[0]["image_grid_thw"].shape[0] == 4
    assert "seek_video_frames" not in model.model.tokenizer.decode(rows[0]["input_ids"][0])
    scores, _ = score(text, sample)
    assert scores["accuracy"] == 1.0 and scores["temporal_recall"] == 1.0


def test_other_tasks_of_ours_get_the_bare_answer_and_the_search_prompt(build, clock_video):
    model = build(tokens_per_turn=512)
    rows = script(model, gold)
    doc = document(sample_of(clock_video), "choice", "answer_choice")
    assert ask(model, [doc], GREEDY) == [GOLD]
    assert "seek_video_frames" in model.model.tokenizer.decode(rows[0]["input_ids"][0])
    assert docs.process_results(doc, [GOLD])["accuracy"]["score"] == 1.0
    bad = document(sample_of(clock_video, task="grounded_choice"), "grounded_choice", "answer_glue")
    with pytest.raises(ValueError, match="'grounded_choice', for which there is no search prompt"):
        ask(model, [bad], GREEDY)


def test_a_killed_run_goes_on(build, clock_video, tmp_path):
    documents = [document(sample_of(clock_video, n)) for n in range(3)]
    first = build(resume=str(tmp_path), tokens_per_turn=512)
    script(first, gold)
    whole = ask(first, documents, RECORDS)
    again = build(resume=str(tmp_path), tokens_per_turn=512)
    asked = script(again, gold)
    assert ask(again, documents, RECORDS) == whole and not asked


def test_other_limits_are_another_run(build, clock_video, tmp_path):
    doc = document(sample_of(clock_video))
    for turns, rounds in ((8, 3), (8, 0), (4, 3)):
        model = build(resume=str(tmp_path), tokens_per_turn=512, turns=turns)
        asked = script(model, gold)
        ask(model, [doc], RECORDS)
        assert len(asked) == rounds


def test_a_video_that_breaks_in_the_search_fails_its_question(build, clock_video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clock_video.read_bytes())
    documents = [document(sample_of(clock_video)), document(sample_of(broken, 1))]
    model = build(batch_size=2, tokens_per_turn=512, resume=str(tmp_path / "r"))
    script(model, gold)
    seek = model.frame_search.seek

    def fail(video, *arguments, **more):
        if str(video) == str(broken):
            raise VideoError(video, "gone bad")
        return seek(video, *arguments, **more)

    model.frame_search.seek = fail
    found = ask(model, documents, RECORDS)
    assert found[1] == "" and "gone bad" in failures.reason(str(broken))
    items = process_results(documents[1], [found[1]])
    assert items["request_failure"]["score"] == 1.0 and items["accuracy"]["score"] == 0.0
    assert items["accuracy"]["tries"] == []
    assert Record.from_text(found[0]).counters["searches"] == 2


def test_answers_of_another_model_class_are_refused(clock_video):
    with pytest.raises(ValueError, match="needs --model temporal_search"):
        process_results(document(sample_of(clock_video)), [GOLD])


def test_a_search_needs_its_encoder_before_the_model_is_loaded(tmp_path):
    with pytest.raises(ValueError, match="encoder is not set"):
        TemporalSearch(str(tmp_path / "no model"))
