"""`temporal_search` with `backend=vllm` on a real engine: it searches as transformers does."""

import json

import pytest

pytest.importorskip("lmms_eval")
pytest.importorskip("vllm")

from asking import GREEDY, ask

from temporal_plugin.annotations import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_search_model import TemporalSearch
from temporal_plugin.integrations.lmms_eval_search_record import Record

pytestmark = pytest.mark.slow
GENERATION = {**GREEDY, "max_new_tokens": 6, "search_record": 1}
SETTINGS = {"method": "uniform", "frame_min_pixels": 3136, "frame_max_pixels": 3136, "turns": 4,
            "completeness": True, "dtype": "float32"}  # fmt: skip
ENGINE = {"max_model_len": 2048, "max_num_seqs": 2, "enforce_eager": True}
CALL = "<think>a</think><tool_call>" + json.dumps({"name": "seek_video_frames", "arguments": {
    "query": "x", "start_time": 2, "num_frames": 2}}) + "</tool_call>"  # fmt: skip


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    failures.clear()
    yield
    failures.clear()


def searching(model):
    """The model's first turn is a call, so that what follows has pictures; the rest is its own."""
    upstream, asked = model.model.generate_turns, []

    def generate_turns(rows, room, generation):
        turns = upstream(rows, room, generation)
        asked.append(turns)
        if len(asked) > 1:
            return turns
        tokenizer = model.model.tokenizer
        return [[*tokenizer(CALL)["input_ids"], tokenizer.eos_token_id] for _ in turns]

    model.model.generate_turns = generate_turns
    return model


def test_a_real_engine_searches_as_transformers_does(tiny_model, sampling_settings, clock_video):
    samples = [
        Sample(id=f"q{n}", task="choice", video=str(clock_video), query="which " * (n + 1),
               options=("red", "blue"), answer="A", duration=8.0)
        for n in range(2)
    ]  # fmt: skip
    documents = [docs.to_doc(sample, "v", "search_choice", "search_choice") for sample in samples]
    folder, settings = str(tiny_model("qwen3_vl")), {**SETTINGS, **sampling_settings}
    plain = searching(TemporalSearch(folder, device="cpu", batch_size=2, **settings))
    expected = ask(plain, documents, GENERATION)
    engine = searching(TemporalSearch(folder, backend="vllm", batch_size=2, **ENGINE, **settings))
    assert ask(engine, documents, GENERATION) == expected
    records = [Record.from_text(text) for text in expected]
    assert all(record.counters["searches"] == 1 and record.verified for record in records)
    assert len(records[0].turns) > 3
