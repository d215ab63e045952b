"""The RL dataset inside verl: prompt lengths without decoding, and its settings."""

import json
import logging

import numpy as np
import pytest

pytest.importorskip("verl")

from omegaconf import OmegaConf
from verl.utils.tokenizer import hf_processor, hf_tokenizer

from temporal_plugin.integrations.verl_agent_manager import TemporalAgentLoopWorker
from temporal_plugin.integrations.verl_config import compose
from temporal_plugin.integrations.verl_dataset import TemporalDataset, video_entries
from temporal_plugin.integrations.verl_lone_worker import LoneWorker
from temporal_plugin.integrations.verl_prompt_lengths import PromptLengths
from temporal_plugin.video.decode import VideoError

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
ROW = {"task": "grounding", "query": "the red square moves", "spans": [[1.0, 3.5]]}


@pytest.fixture(scope="module")
def rows(tmp_path_factory, write_video):
    """A data file: clips of 4 s and 40 s, a part of the long one, and the two families' edges."""
    folder = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(0)
    lines = []
    for name, seconds in (("short", 4), ("long", 40)):
        frames = rng.integers(0, 255, size=(seconds * 4, 64, 96, 3), dtype=np.uint8)
        write_video(folder / f"{name}.mp4", frames, fps=4)
        for question in range(2):
            query = "the red square moves" + " very fast" * question
            lines.append({**ROW, "id": f"{name}{question}", "video": f"{folder}/{name}.mp4",
                          "query": query})  # fmt: skip
    lines.append({**lines[-1], "id": "clip", "clip": [10.0, 16.0]})
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def model(request, tiny_model):
    return str(tiny_model(request.param))


def dataset(model, rows, **settings):
    config = compose("tiny_cpu", ["data.temporal.sampling.max_frames=128"]).data
    config = OmegaConf.merge(config, {"filter_overlong_prompts": True, **settings})
    return TemporalDataset(str(rows), hf_tokenizer(model), config, hf_processor(model))


def ids(found) -> list[str]:
    return [found[index]["extra_info"]["id"] for index in range(len(found))]


@pytest.fixture
def no_decoding(monkeypatch):
    def load(*_args, **_kwargs):
        raise AssertionError("a video was decoded")

    monkeypatch.setattr("temporal_plugin.video.decode.load_frames", load)
    monkeypatch.setattr("temporal_plugin.integrations.verl_dataset.open_source", lambda _: load)


def test_lengths_are_those_of_the_agent_loop(model, rows):
    config = compose(
        "tiny_cpu",
        [f"actor_rollout_ref.model.path={model}", "data.max_prompt_length=4096",
         "data.temporal.sampling.max_frames=128"],
    )  # fmt: skip
    found = dataset(model, rows, max_prompt_length=4096)
    chats = [found[index]["raw_prompt"] for index in range(len(found))]
    lengths = PromptLengths(hf_processor(model), processor_settings={"do_resize": False})
    worker = LoneWorker(config, "a", TemporalAgentLoopWorker)
    wanted = []
    for index in range(len(found)):
        row = {**found[index], "global_steps": 0}
        wanted.append(len(worker.run(row, 1)[0]["prompts"]))
    assert list(lengths.count(chats)) == wanted
    assert len(set(wanted)) == len(wanted), "all rows of this file differ in length"


def test_overlong_prompts_go_without_decoding(model, rows, no_decoding, caplog):
    everything = dataset(model, rows, filter_overlong_prompts=False)
    assert ids(everything) == ["short0", "short1", "long0", "long1", "clip"]
    lengths = PromptLengths(hf_processor(model), processor_settings={"do_resize": False})
    counts = list(lengths.count([everything[index]["raw_prompt"] for index in range(5)]))
    most = max(counts[0], counts[1], counts[4])
    with caplog.at_level(logging.WARNING):
        kept = dataset(model, rows, max_prompt_length=most)
    assert ids(kept) == ["short0", "short1", "clip"]
    assert f"2 of 5 prompts dropped: 2 have more than {most} tokens (up to " in caplog.text
    with pytest.raises(ValueError, match="no sample is left"):
        dataset(model, rows, max_prompt_length=20)


def test_the_processor_is_left_as_it_was(model):
    processor = hf_processor(model)
    before = processor.video_processor
    PromptLengths(processor)
    assert processor.video_processor is before


def test_a_video_that_breaks_is_dropped_or_stops(model, rows, tmp_path, caplog):
    (tmp_path / "empty.mp4").write_bytes(b"")
    video = {"type": "video", "video": str(tmp_path / "empty.mp4"), "sampling": {}}
    (found,) = PromptLengths(hf_processor(model)).count([[{"role": "user", "content": [video]}]])
    assert isinstance(found, VideoError) and "empty.mp4" in str(found)


def test_entries_of_a_chat():
    video = {"type": "video", "video": "a.mp4"}
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [video, {"type": "text", "text": "when?"}]},
    ]
    assert video_entries(messages) == [video]


def test_frames_come_from_the_store_that_is_named(model, rows, tmp_path):
    config = compose("tiny_cpu", [f"actor_rollout_ref.model.path={model}"])
    config.data.temporal.frame_store = str(tmp_path / "store")
    worker = LoneWorker(config, "a", TemporalAgentLoopWorker)
    row = dataset(model, rows, filter_overlong_prompts=False)[0]
    first = worker.run(row, 2)[0]["multi_modal_inputs"]["pixel_values_videos"]
    kept = list((tmp_path / "store").rglob("*.safetensors"))
    assert len(kept) == 1
    again = LoneWorker(config, "a", TemporalAgentLoopWorker).run(row, 2)
    assert first.equal(again[0]["multi_modal_inputs"]["pixel_values_videos"])
