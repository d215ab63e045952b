"""Our model class on tiny random checkpoints: batches, order, broken videos, settings."""

import inspect
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("lmms_eval")

import torch
from asking import GREEDY, ask, requests_for
from PIL import Image

from temporal_plugin.annotations import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations import shared_videos
from temporal_plugin.integrations.lmms_eval_base import _batch_size
from temporal_plugin.integrations.lmms_eval_model import TemporalQwenVL, _cut, _generate_options
from temporal_plugin.spans import Span
from temporal_plugin.video import decode, source
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.model_inputs import encode
from temporal_plugin.video.sampling import Sampling

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests


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


def test_answers_do_not_depend_on_the_batch(build, questions):
    one_by_one = ask(build(batch_size=1), questions)
    assert len(set(one_by_one)) > 1
    assert ask(build(batch_size="4"), questions) == one_by_one


@pytest.mark.parametrize(
    ("settings", "memory"),
    [
        ({"batch_size": 1, "workers": 1}, source.MEMORY_BYTES),
        ({"batch_size": 5}, source.MEMORY_BYTES),
        ({"batch_size": 1, "workers": 1}, 8 * 3 * 56 * 56),  # room for one video
    ],
)
def test_a_video_is_decoded_once_for_all_its_questions(
    build, questions, monkeypatch, settings, memory
):
    decoded = []

    def count(path, *args, **kwargs):
        decoded.append(path)
        return load_frames(path, *args, **kwargs)

    # its own memory: other tests have left these videos in that of the process
    monkeypatch.setattr(source, "_open", lambda _: source.MemorySource(memory).load)
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


def test_workers_leave_the_answering_thread_its_cores(build, questions):
    before = torch.get_num_threads()
    seen = []
    model = build(workers=2)
    prepare = model.prepare
    model.prepare = lambda *args: seen.append(torch.get_num_threads()) or prepare(*args)
    ask(model, questions)
    assert set(seen) == {1}
    assert torch.get_num_threads() == before


def test_patches_are_made_once_for_all_questions_of_a_video(build, questions, monkeypatch):
    made = []
    to_patches = shared_videos.to_patches

    def count(pixels, **settings):
        made.append(tuple(pixels.shape))
        return to_patches(pixels, **settings)

    monkeypatch.setattr(shared_videos, "to_patches", count)
    ask(build(), questions)
    assert len(made) == len({docs.to_sample(doc).video for doc in questions}) == 3


@pytest.mark.parametrize("value", [0, -1, "0"])
def test_there_is_a_worker(tiny_model, value):
    with pytest.raises(ValueError, match=r"workers is .*; it must be 1 or more"):
        TemporalQwenVL(str(tiny_model("qwen2_5_vl")), device="cpu", workers=value)


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


def test_pictures_and_bare_text_are_asked_too(build, questions, tmp_path):
    red = Image.new("RGB", (90, 50), "red")
    red.save(tmp_path / "red.png")
    texts = [{"type": "text", "text": "which colour?"}]
    documents = [
        {"content": texts},
        {"content": [{"type": "image", "url": red}, *texts]},
        {"content": [{"type": "image", "url": str(tmp_path / "red.png")}, *texts]},
        {"content": [{"type": "image", "url": red.convert("L")}, *texts]},
        {"content": [{"type": "image", "url": str(tmp_path / "none.png")}, *texts]},
        {"content": [{"type": "image", "url": "http://127.0.0.1/a.png"}, *texts]},
    ]

    def to_messages(document):
        return [{"role": "user", "content": document["content"]}]

    one_by_one = ask(build(batch_size=1), documents, to_messages=to_messages)
    assert all(one_by_one[:4])
    assert one_by_one[1] == one_by_one[2]
    assert one_by_one[4:] == ["", ""]
    assert ask(build(batch_size=4), documents, to_messages=to_messages) == one_by_one

    def either(document):
        return to_messages(document) if "content" in document else docs.doc_to_messages(document)

    mixed = ask(build(batch_size=4), [*documents[:2], *questions[:2]], to_messages=either)
    assert mixed == one_by_one[:2] + ask(build(), questions[:2])


def test_the_backend_is_an_argument(tiny_model, monkeypatch, sampling_settings):
    from temporal_plugin.integrations import lmms_eval_vllm

    folder = str(tiny_model("qwen2_5_vl"))
    monkeypatch.setattr(lmms_eval_vllm.TemporalVLLM, "load_engine", lambda self, *_: "engine")
    arguments = f"pretrained={folder},backend=vllm,max_model_len=64,fps=1"
    model = TemporalQwenVL.create_from_arg_string(arguments, {"batch_size": 2, "device": "cpu"})
    assert type(model) is lmms_eval_vllm.TemporalVLLM
    assert model.engine_settings["max_model_len"] == 64
    with pytest.raises(ValueError, match="backend is 'jax'; allowed: transformers, vllm"):
        TemporalQwenVL(folder, backend="jax")


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_killed_run_goes_on_where_it_stopped(build, questions, tmp_path, monkeypatch, batch_size):
    whole = ask(build(batch_size=batch_size), questions)
    model = build(batch_size=batch_size, resume=str(tmp_path / "answers"))
    generate, calls = model.model.generate, []

    def die(**inputs):
        if len(calls) == 2:
            raise Killed
        calls.append(len(inputs["input_ids"]))
        return generate(**inputs)

    monkeypatch.setattr(model.model, "generate", die)
    with pytest.raises(Killed):
        ask(model, questions)
    model = build(batch_size=batch_size, resume=str(tmp_path / "answers"))
    generate, rest = model.model.generate, []
    monkeypatch.setattr(
        model.model,
        "generate",
        lambda **inputs: rest.append(len(inputs["input_ids"])) or generate(**inputs),
    )
    assert ask(model, questions) == whole
    assert sum(rest) == len(questions) - sum(calls) > 0
    ask(model, questions)
    assert sum(rest) == len(questions) - sum(calls), "all answers are known now"


def test_a_question_that_failed_is_asked_again(build, questions, tmp_path):
    video = tmp_path / "late.mp4"
    video.write_text("no video yet")
    sample = replace(docs.to_sample(questions[0]), video=str(video))
    late = docs.to_doc(sample, video.name, "answer")
    assert ask(build(resume=str(tmp_path / "answers")), [late]) == [""]
    failures.clear()
    shutil.copy(docs.to_sample(questions[0]).video, video)
    (answer,) = ask(build(resume=str(tmp_path / "answers")), [late])
    assert answer == ask(build(), questions[:1])[0] != ""


def test_repeats_are_answers_of_their_own(build, questions, tmp_path):
    sampled = {"max_new_tokens": 8, "temperature": 2.0, "do_sample": True}
    model = build(resume=str(tmp_path / "answers"))
    requests = requests_for(model, questions[:1], sampled) * 4
    first = [answer.text for answer in model.generate_until(requests)]
    assert len(set(first)) > 1
    model = build(resume=str(tmp_path / "answers"))
    requests = requests_for(model, questions[:1], sampled) * 4
    assert [answer.text for answer in model.generate_until(requests)] == first


def test_the_documented_arguments_exist():
    """docs/models.md names arguments in the first column of a table, and of `temporal_openai`."""
    from temporal_plugin.integrations.lmms_eval_openai import TemporalOpenAI
    from temporal_plugin.integrations.lmms_eval_vllm import TemporalVLLM

    text = (Path(__file__).parents[2] / "docs/models.md").read_text(encoding="utf-8")
    table = text.partition("## Arguments of all three")[2].partition("A video is decoded")[0]
    named = {word for row in table.splitlines() for word in re.findall("`([a-z_]+)`", row)}
    sentence = text.partition("`temporal_openai` also takes")[2].partition(".")[0]
    named_of_openai = set(re.findall("`([a-z_]+)`", sentence))
    qwen, vllm, openai = (
        set(inspect.signature(kind.__init__).parameters)
        for kind in (TemporalQwenVL, TemporalVLLM, TemporalOpenAI)
    )
    sampling = set(Sampling.__dataclass_fields__)
    assert named - {"concurrency", "temporal_openai"} <= (qwen & vllm) | sampling
    assert sampling | {"workers", "frame_store", "resume", "concurrency"} <= named
    assert len(named_of_openai) == 7 and named_of_openai | {"concurrency"} <= openai


SAMPLED = {**GREEDY, "temperature": 1.0, "do_sample": True}


def test_seeded_draws_depend_neither_on_batch_nor_shard(build, questions):
    whole = ask(build(batch_size=1, draw_seed=3), questions * 2, SAMPLED)
    assert whole[:5] != whole[5:], "a question asked again gets another answer"
    assert ask(build(batch_size=4, draw_seed="3"), questions * 2, SAMPLED) == whole
    shard = ask(build(batch_size=2, draw_seed=3), [questions[3], questions[1]], SAMPLED)
    assert shard == [whole[3], whole[1]]
    assert ask(build(batch_size=1, draw_seed=4), questions * 2, SAMPLED) != whole
    assert ask(build(draw_seed=3), questions) == ask(build(), questions), "greedy is greedy"


def test_seeded_options():
    options = _generate_options({**SAMPLED, "top_p": 0.9, "top_k": 5}, [1, 2])
    assert options["do_sample"] is False and options["temperature"] is None
    names = [type(item).__name__ for item in options["logits_processor"]]
    assert names == [
        "TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "SeededDraws",
    ]  # fmt: skip
    assert "logits_processor" not in _generate_options(GREEDY, [1, 2])
    assert "logits_processor" not in _generate_options(SAMPLED)


def test_draw_seeds_reach_far_apart(build):
    model = build(draw_seed=0)
    question = SimpleNamespace(key="k-1", document={"id": "a"})
    seeds = {model.seed_of(question)}
    for change in ({"key": "k-2"}, {"document": {"id": "b"}}, {"document": {}}):
        seeds.add(model.seed_of(SimpleNamespace(**{**vars(question), **change})))
    assert len(seeds) == 4 and all(0 <= seed < 2**63 for seed in seeds)
    assert model.seed_of(SimpleNamespace(key="other-1", document={"id": "a"})) in seeds
    assert build().seed_of(question) is None
    assert "draw_seed" not in build().identity() and model.identity()["draw_seed"] == 0
