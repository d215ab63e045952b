"""`temporal_vllm` on a real engine: shown what its view says, it answers as transformers do."""

import pytest

pytest.importorskip("lmms_eval")
pytest.importorskip("vllm")

from asking import ask

from temporal_plugin.annotations import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_model import TemporalQwenVL
from temporal_plugin.integrations.lmms_eval_view import VLLMView
from temporal_plugin.integrations.lmms_eval_vllm import NEVER, TemporalVLLM
from temporal_plugin.spans import Span

pytestmark = pytest.mark.slow
GREEDY = {"max_new_tokens": 6, "temperature": 0.0, "do_sample": False, "until": []}
ENGINE = {"dtype": "float32", "max_model_len": 1024, "max_num_seqs": 4, "enforce_eager": True}
FAMILIES = ("qwen2_5_vl", "qwen3_vl")


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    failures.clear()
    yield
    failures.clear()


def sample_of(video, number=0):
    query = "the square moves " * (number + 1)
    return Sample(
        id=f"q{number}", task="grounding", video=str(video), query=query,
        spans=(Span(1, 2),), duration=6.0,
    )  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_a_real_engine_answers_as_transformers_does(
    tiny_model, sampling_settings, data_root, tmp_path, family, monkeypatch
):
    folder = str(tiny_model(family))
    videos = [data_root / f"demo/videos/V{number}.mp4" for number in (0, 1, 0, 2)]
    samples = [sample_of(video, number) for number, video in enumerate(videos)]
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    documents = [docs.to_doc(sample, "v", "answer") for sample in samples]
    bad = docs.to_doc(sample_of(broken, 9), "broken.mp4", "answer")

    model = TemporalVLLM(folder, batch_size=4, **ENGINE, **sampling_settings)
    shown = []
    generate = model.engine.generate

    def record(rows, *args, **kwargs):
        outputs = generate(rows, *args, **kwargs)
        shown.extend(tuple(output.prompt_token_ids) for output in outputs)
        return outputs

    monkeypatch.setattr(model.engine, "generate", record)
    answers = ask(model, [*documents, bad], GREEDY)
    assert answers[-1] == "" and "broken.mp4" in failures.reason(str(broken))

    view = VLLMView(folder, **sampling_settings)
    expected = [view.view(sample, "answer").token_ids for sample in samples]
    assert sorted(shown) == sorted(expected), "the engine expands the prompt as the view says"

    plain = TemporalQwenVL(folder, device="cpu", dtype="float32", **sampling_settings)
    assert answers[:-1] == ask(plain, documents, GREEDY)
    assert len(set(answers[:-1])) > 1


def test_generation_settings(tiny_model, sampling_settings):
    model = VLLMView(str(tiny_model("qwen2_5_vl")), **sampling_settings)
    greedy = model._sampling_params({**GREEDY, "until": ["", "x"]})
    assert (greedy.temperature, greedy.max_tokens, greedy.stop) == (0.0, 6, ["x"])
    assert greedy.logit_bias == dict.fromkeys(model.forbidden, NEVER)
    sampled = model._sampling_params({"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 5})
    assert (sampled.temperature, sampled.top_p) == (0.7, 0.9)
    assert sampled.seed is None
    assert model._sampling_params({"temperature": 0.7}, 12).seed == 12
    off = model._sampling_params({"temperature": 0.7, "do_sample": False})
    assert (off.temperature, off.max_tokens) == (0.0, 128)


def test_several_processes_are_refused(tiny_model, sampling_settings, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"WORLD_SIZE is 2; .* set tensor_parallel_size"):
        VLLMView(str(tiny_model("qwen2_5_vl")), **sampling_settings)


def test_a_wrong_engine_argument_is_vllms_to_refuse(tiny_model, sampling_settings):
    with pytest.raises(TypeError, match="max_pixel"):
        VLLMView(str(tiny_model("qwen2_5_vl")), max_pixel=3, **sampling_settings)
