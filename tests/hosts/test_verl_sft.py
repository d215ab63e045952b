"""verl's SFT trainer with our dataset: what it teaches, and that it shows the rollout's inputs."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("verl")

from omegaconf import OmegaConf
from verl.utils.dataset.dataset_utils import DatasetPadMode, SFTTensorCollator
from verl.utils.tokenizer import hf_processor, hf_tokenizer

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.answers import contract_named, encode_truth
from temporal_plugin.integrations.verl_agent_manager import TemporalAgentLoopWorker
from temporal_plugin.integrations.verl_config import compose
from temporal_plugin.integrations.verl_dataset import TemporalDataset
from temporal_plugin.integrations.verl_lone_worker import LoneWorker
from temporal_plugin.integrations.verl_reward import compute_score
from temporal_plugin.integrations.verl_sft_dataset import (
    TemporalSFTDataset,
    taught_messages,
    turns,
)
from temporal_plugin.prompts import load, shipped
from temporal_plugin.video.decode import VideoError

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
SAMPLING = {"fps": 2.0, "max_frames": 16, "min_pixels": 3136, "max_pixels": 4096}
ROW = {
    "id": "a",
    "task": "grounding",
    "query": "the red square moves",
    "spans": [[1.0, 2.5]],
    "duration": 8.0,
}
GOLD = "<answer>1.00 to 2.50</answer>"


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def model(request, tiny_model):
    return str(tiny_model(request.param))


def dataset(model, folder, *rows, temporal=None, **settings):
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    temporal = {"prompt": "answer", "sampling": SAMPLING, **(temporal or {})}
    config = {"max_length": 1024, "pad_mode": "no_padding", "temporal": temporal, **settings}
    tokenizer, processor = hf_tokenizer(model), hf_processor(model)
    return TemporalSFTDataset([str(path)], tokenizer, OmegaConf.create(config), processor)


def taught(found, item) -> str:
    return found.tokenizer.decode(item["input_ids"][item["loss_mask"].bool()])


def test_bit_for_bit_what_rollout_and_log_prob_show(model, clock_video, tmp_path):
    row = {**ROW, "video": str(clock_video), "clip": [1.0, 7.5], "duration": 6.5}
    found = dataset(model, tmp_path, row)[0]
    config = compose(
        "tiny_cpu", [f"actor_rollout_ref.model.path={model}", "data.filter_overlong_prompts=false"]
    )
    config.data.temporal.sampling = SAMPLING
    rl = TemporalDataset(str(tmp_path / "rows.jsonl"), hf_tokenizer(model), config.data, None)
    rollout = LoneWorker(config, GOLD, TemporalAgentLoopWorker).run(rl[0], 1)[0]
    prompt = len(rollout["prompts"])
    assert torch.equal(found["input_ids"][:prompt], rollout["prompts"])
    assert found["loss_mask"].nonzero()[0] == prompt
    length = len(rollout["input_ids"])  # the template writes one more token behind the end token
    assert torch.equal(found["input_ids"][:length], rollout["input_ids"])
    assert torch.equal(found["position_ids"][:, :length], rollout["position_ids"])
    assert set(found["multi_modal_inputs"]) == set(rollout["multi_modal_inputs"])
    for name, value in rollout["multi_modal_inputs"].items():
        assert torch.equal(found["multi_modal_inputs"][name], value), name


def test_the_truth_is_taught_up_to_its_end_token(model, clock_video, tmp_path):
    found = dataset(model, tmp_path, {**ROW, "video": str(clock_video)})
    item = found[0]
    assert taught(found, item) == GOLD + "<|im_end|>"
    assert item["input_ids"].shape == item["loss_mask"].shape == item["position_ids"][0].shape
    assert found.tokenizer.decode(item["input_ids"]).endswith(GOLD + "<|im_end|>\n")


def test_own_response_and_own_messages(model, clock_video, tmp_path):
    video = {**ROW, "video": str(clock_video)}
    own = [
        {"role": "user", "content": "<video>What moves?"},
        {"role": "assistant", "content": "A square."},
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": "At 1 s."},
    ]
    rows = [{**video, "response": "at once"}, {**video, "id": "b", "messages": own}]
    found = dataset(model, tmp_path, *rows)
    assert taught(found, found[0]) == "at once<|im_end|>"
    assert taught(found, found[1]) == "A square.<|im_end|>At 1 s.<|im_end|>"
    grids = [found[i]["multi_modal_inputs"]["video_grid_thw"].tolist() for i in range(2)]
    assert grids[0] == grids[1]
    with pytest.raises(ValueError, match="'b': `messages` must end with the assistant's answer"):
        dataset(model, tmp_path, {**rows[1], "messages": own[:3]})[0]


@pytest.mark.parametrize("name", shipped())
def test_a_taught_answer_scores_all_it_can(name):
    prompt = load(name)
    row = {**ROW, "video": "a.mp4", "reasoning": "I look."}
    if contract_named(prompt.contract).asks_choice:
        row |= {"task": "grounded_choice", "options": ["a cat", "a dog"], "answer": "B"}
    if contract_named(prompt.contract).asks_text:
        row |= {"task": "open", "answer": "it moves"}
    sample = Sample.from_dict(row)
    text = taught_messages(prompt, sample, {})[-1]["content"]
    truth = encode_truth(sample)
    weights = {"format": 1.0}
    score = compute_score("x", text, truth, {"contract": prompt.contract}, weights=weights)
    assert score["score"] == 1.0, text


def test_collation_as_the_trainer_does_it(model, clock_video, tmp_path):
    rows = [{**ROW, "id": str(n), "video": str(clock_video), "query": "x " * n} for n in (1, 9)]
    found = dataset(model, tmp_path, *rows)
    batch = SFTTensorCollator(DatasetPadMode.NO_PADDING)([found[0], found[1]])
    assert batch["input_ids"].is_nested and len(batch["multi_modal_inputs"]) == 2
    padded = dataset(model, tmp_path, *rows, pad_mode="right", max_length=600)[0]
    assert {len(padded[name]) for name in ("input_ids", "loss_mask", "attention_mask")} == {600}
    assert padded["position_ids"].shape == (4, 600)
    assert int(padded["attention_mask"].sum()) == len(found[0]["input_ids"])


def test_a_row_that_is_too_long_is_named(model, clock_video, tmp_path):
    found = dataset(model, tmp_path, {**ROW, "video": str(clock_video)}, max_length=30)
    with pytest.raises(ValueError, match=r"sample 'a' has \d+ tokens, data.max_length is 30"):
        found[0]


def test_a_video_that_fails_later_stops_or_teaches_nothing(
    model, write_video, tmp_path, caplog, monkeypatch
):
    path = write_video(tmp_path / "v.mp4", np.zeros((40, 64, 64, 3), dtype=np.uint8))
    row = {**ROW, "video": str(path), "duration": 4.0}
    strict = dataset(model, tmp_path, row)
    lenient = dataset(model, tmp_path, row, temporal={"on_bad_video": "skip"})
    path.write_bytes(b"gone bad")
    with pytest.raises(VideoError, match=r"v\.mp4"):
        strict[0]
    item = lenient[0]
    assert int(item["loss_mask"].sum()) == 0 and "multi_modal_inputs" not in item
    assert "teaches nothing" in caplog.text


def test_a_template_that_rewrites_history_is_refused():
    class Forgetful:
        def apply_chat_template(self, messages, *, add_generation_prompt, **_):
            kept = messages[-1:] if len(messages) > 2 else messages
            text = "".join(">" * (m["role"] == "assistant") + m["content"] for m in kept)
            return text + ">" * add_generation_prompt

    chat = [{"role": r, "content": r[0] * n} for n in (1, 2) for r in ("user", "assistant")]
    with pytest.raises(ValueError, match=r"rewrites turn 3 of 4.*one row per answer"):
        turns(Forgetful(), chat, {})


def test_no_processor_is_said_at_once(tmp_path, model):
    (tmp_path / "rows.jsonl").write_text("{}")
    config = OmegaConf.create({"temporal": {}})
    with pytest.raises(ValueError, match="needs a model with a processor"):
        TemporalSFTDataset([str(tmp_path / "rows.jsonl")], hf_tokenizer(model), config, None)
