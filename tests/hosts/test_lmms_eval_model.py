"""Our model class on tiny random checkpoints: batches, order, broken videos, settings."""

from dataclasses import replace

import pytest

pytest.importorskip("lmms_eval")

import torch
from lmms_eval.api.instance import Instance

from temporal_plugin.annotations import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_base import _batch_size
from temporal_plugin.integrations.lmms_eval_model import TemporalQwenVL, _cut, _generate_options
from temporal_plugin.spans import Span
from temporal_plugin.video import decode, source
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.model_inputs import encode

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests

GREEDY = {"max_new_tokens": 8, "temperature": 0.0, "top_p": 1.0, "do_sample": False, "until": []}


@pytest.fixture(autouse=True)
def no_failures():
    failures.clear()
    yield
    failures.clear()


@pytest.fixture
def questions(data_root):
    """Documents of different prompt lengths, questions about one video not side by side."""
    videos = [data_root / f"demo/videos/V{number}.mp4" for number in (0, 1, 0, 2, 1)]
    return [
        docs.to_doc(
            Sample(
                id=f"q{index}",
                task="grounding",
                video=str(video),
                query="the square moves " * (index + 1),
                spans=(Span(1, 2),),
                duration=6.0,
            ),
            video.name,
            "answer",
        )
        for index, video in enumerate(videos)
    ]


@pytest.fixture(params=["qwen2_5_vl", "qwen3_vl"])
def build(request, tiny_model, sampling_settings):
    def make(**settings):
        folder = str(tiny_model(request.param))
        settings |= sampling_settings
        return TemporalQwenVL(folder, device="cpu", dtype="float32", **settings)

    return make


def ask(model, documents, generation=GREEDY):
    model.task_dict = {"t": {"test": documents}}
    requests = [
        Instance(
            request_type="generate_until",
            arguments=("", docs.doc_to_messages, dict(generation), index, "t", "test"),
            idx=0,
            metadata={"task": "t", "doc_id": index, "repeats": 1},
        )
        for index in range(len(documents))
    ]
    return [answer.text for answer in model.generate_until(requests)]


def test_answers_do_not_depend_on_the_batch(build, questions):
    one_by_one = ask(build(batch_size=1), questions)
    assert len(set(one_by_one)) > 1
    assert ask(build(batch_size="4"), questions) == one_by_one


@pytest.mark.parametrize("settings", [{"batch_size": 1, "workers": 1}, {"batch_size": 5}])
def test_a_video_is_decoded_once_for_all_its_questions(build, questions, monkeypatch, settings):
    decoded = []

    def count(path, *args, **kwargs):
        decoded.append(path)
        return load_frames(path, *args, **kwargs)

    source._open.cache_clear()  # other tests have left these videos in memory
    monkeypatch.setattr(decode, "load_frames", count)
    ask(build(**settings), questions)
    assert len(questions) == 5
    assert sorted(decoded) == sorted({docs.to_sample(doc).video for doc in questions})


def test_the_model_gets_what_encode_gives(build, questions):
    model = build()
    sample = docs.to_sample(questions[0])
    frames = load_frames(sample.video, model.sampling, patch_size=model.patch_size)
    inputs = encode(model.processor, docs.doc_to_messages(questions[0]), [frames])
    with torch.inference_mode():
        tokens = model.model.generate(
            **inputs,
            max_new_tokens=8,
            do_sample=False,
            bad_words_ids=[[token] for token in model.forbidden],
        )
    expected = model.tokenizer.decode(
        tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    assert ask(model, questions[:1]) == [expected]


def test_a_broken_video_costs_its_own_questions_only(build, questions, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    sample = replace(docs.to_sample(questions[0]), id="b", video=str(broken))
    bad = docs.to_doc(sample, broken.name, "answer")
    model = build(batch_size=3)
    whole = ask(model, questions)
    assert ask(model, [bad, *questions, bad]) == ["", *whole, ""]
    assert "broken.mp4" in failures.reason(str(broken))
    assert docs.process_results(bad, [""])["request_failure"]["score"] == 1.0


def test_a_question_whose_video_was_left_out_is_not_asked(build, questions):
    failures.record(docs.to_sample(questions[0]).video, "missing")
    answers = ask(build(), questions[:2])
    assert answers[0] == ""
    assert answers[1] != ""


def test_another_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match="gpt2 model; this class knows qwen2_5_vl, qwen3_vl"):
        TemporalQwenVL(str(tmp_path), device="cpu")


def test_a_wrong_dtype_names_the_allowed_ones(tiny_model):
    with pytest.raises(ValueError, match="allowed: auto, bfloat16, float16, float32"):
        TemporalQwenVL(str(tiny_model("qwen2_5_vl")), device="cpu", dtype="int8")


@pytest.mark.parametrize("value", ["auto", "0", 0, -1, "2.5"])
def test_a_batch_size_is_a_whole_number(value):
    with pytest.raises(ValueError, match="--batch_size"):
        _batch_size(value)


def test_generation_settings():
    assert _generate_options(GREEDY)["do_sample"] is False
    sampled = _generate_options({"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 5})
    assert sampled == {
        "max_new_tokens": 5,
        "num_beams": 1,
        "do_sample": True,
        "temperature": 0.7,
        "top_p": 0.9,
    }


@pytest.mark.parametrize(
    ("until", "expected"),
    [([], "ab;c\nd"), ([";"], "ab"), (["\n", ";"], "ab"), (["", "x"], "ab;c\nd")],
)
def test_stop_strings_cut_the_answer(until, expected):
    assert _cut("ab;c\nd", until) == expected
