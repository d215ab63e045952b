"""The trainer's own hooks, without a run: names of prompts, order of a batch, rewards by sample."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("verl")

from omegaconf import OmegaConf
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils.dataset.rl_dataset import collate_fn

from temporal_plugin.integrations import verl_trainer
from temporal_plugin.integrations.verl_curriculum import STATE_FILE, Rollout
from temporal_plugin.integrations.verl_trainer import TemporalTrainer, parts_of

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests


@pytest.fixture
def trainer(tmp_path):
    found = object.__new__(TemporalTrainer)  # its __init__ needs a whole run
    found.global_steps, found.total_training_steps, found._fetched = 1, 10, (0, 0)
    found.curriculum = found.masks = None
    found.config = OmegaConf.create(
        {
            "data": {"train_batch_size": 2, "gen_batch_size": None, "seed": 5, "temporal": {}},
            "trainer": {"default_local_dir": str(tmp_path), "resume_mode": "auto"},
        }
    )
    return found


def test_prompts_are_named_by_step_and_place(trainer):
    first = trainer._names(2) + trainer._names(1)
    assert first == ["0000001-000000", "0000001-000001", "0000001-000002"]
    trainer.global_steps = 2
    assert trainer._names(1) == ["0000002-000000"]
    assert first == sorted(first) and not any("_" in name for name in first)


def test_a_batch_is_sorted_by_prompt_and_rollout(trainer, monkeypatch):
    monkeypatch.setattr(PPOTrainerSync, "_balance_batch", lambda self, batch, metrics: batch)
    keys = ["b_0_0", "a_10_0", "a_2_1", "a_2_0", "b_1_0"]
    batch = KVBatchMeta(partition_id="train", keys=keys, tags=[{"key": key} for key in keys])
    batch = trainer._balance_batch(batch, {})
    assert batch.keys == ["a_2_0", "a_2_1", "a_10_0", "b_0_0", "b_1_0"]
    assert [tag["key"] for tag in batch.tags] == batch.keys


def test_rewards_are_read_by_sample_without_padding(trainer, monkeypatch):
    asked = {}

    def kv_batch_get(keys, partition_id, select_fields):
        asked["keys"] = keys
        return {
            "extra_fields": [{"reward_extra_info": {"score": float(n)}} for n in range(len(keys))],
            "extra_info": [{"id": f"s{n // 2}"} for n in range(len(keys))],
        }

    monkeypatch.setattr(verl_trainer.transfer_queue, "kv_batch_get", kv_batch_get)
    keys = ["u_0_0", "u_0_1", "v_0_0", "padding"]
    tags = [{}, {}, {}, {"is_padding": True}]
    batch = SimpleNamespace(keys=keys, tags=tags, partition_id="train")
    assert trainer._rollouts(batch) == [
        Rollout("u", "s0", 0, {"score": 1.0}),  # of two parts the last
        Rollout("v", "s1", 0, {"score": 2.0}),
    ]
    assert asked["keys"] == keys[:3]


class Rows:
    """What the trainer takes of a TemporalDataset."""

    def __init__(self):
        spans = {"spans": [[1.0, 3.0]]}
        rows = [{"id": f"s{n}", **spans, "extra": {"difficulty": 0.3 * n}} for n in range(5)]
        self.dataframe = {"sample": [json.dumps(row) for row in rows]}

        self.processor = None

    def __getitem__(self, number):
        video = {"type": "video", "video": f"{number}.mp4"}
        return {
            "index": number,
            "raw_prompt": [{"role": "user", "content": [video, {"type": "text", "text": "?"}]}],
            "extra_info": {"id": f"s{number}", "index": number},
        }


@pytest.fixture
def with_curriculum(trainer, monkeypatch):
    def load_data(self):
        self.train_dataset = Rows()

    monkeypatch.setattr(PPOTrainerSync, "_init_dataloader", load_data)
    trainer.config.data.temporal = {"curriculum": {"order": "file"}}
    trainer._init_dataloader()
    return trainer


def test_a_step_is_drawn_from_the_curriculum(with_curriculum):
    with_curriculum.global_steps = 6
    batch = with_curriculum._fetch_one_gen_batch()
    assert [info["id"] for info in batch["extra_info"]] == ["s0", "s1"]
    assert [info["progress"] for info in batch["extra_info"]] == [0.5, 0.5]
    assert list(batch["uid"]) == ["0000006-000000", "0000006-000001"]
    assert [info["id"] for info in with_curriculum._fetch_one_gen_batch()["extra_info"]] == [
        "s2", "s3"
    ]  # fmt: skip
    assert with_curriculum.curriculum.settings.seed == 5, "data.seed"


def masks_of(batch):
    return [messages[0]["content"][0].get("mask") for messages in batch["raw_prompt"]]


@pytest.mark.parametrize("order", ["file", None])
def test_hard_samples_are_masked_by_the_progress_of_their_step(trainer, monkeypatch, order):
    rows = Rows()

    def load_data(self):
        self.train_dataset, self.train_dataloader_it = rows, None
        numbers = [[0, 1], [2, 3], [4, 0]]
        self.train_dataloader = [collate_fn([rows[n] for n in pair]) for pair in numbers]

    monkeypatch.setattr(PPOTrainerSync, "_init_dataloader", load_data)
    monkeypatch.setattr(PPOTrainerSync, "step", lambda *_: None)
    curriculum = None if order is None else {"order": order}
    trainer.config.data.temporal = {"masking": {"full_at": 0.6}, "curriculum": curriculum}
    trainer._init_dataloader()
    assert masks_of(trainer._fetch_one_gen_batch()) == [None, None], "easy and medium"
    trainer.global_steps = 4
    masks = masks_of(trainer._fetch_one_gen_batch())
    mask = {"spans": [[1.0, 3.0]], "show": "curriculum", "fraction": 0.5, "seed": "5/s3",
            "mode": "blank"}  # fmt: skip
    assert masks == [None, mask]
    trainer.curriculum, metrics = None, {}  # which would ask for the rewards
    trainer.step(metrics, {})
    assert metrics == {"masking/fraction": 0.5, "masking/masked_share": 0.5}
    assert "mask" not in rows[3]["raw_prompt"][0]["content"][0]


def test_masks_end_where_everything_is_shown(with_curriculum):
    with_curriculum.config.data.temporal = {"curriculum": {"order": "file"}, "masking": {}}
    with_curriculum._init_dataloader()
    with_curriculum.global_steps = 6  # half of ten steps lie behind
    found = [masks_of(with_curriculum._fetch_one_gen_batch()) for _ in range(2)]
    assert found == [[None, None], [None, None]]
    assert with_curriculum.masks.metrics(0.5) == {
        "masking/fraction": 1.0,
        "masking/masked_share": 0.0,
    }


def test_the_state_is_there_before_verl_names_the_checkpoint(
    with_curriculum, monkeypatch, tmp_path
):
    state = tmp_path / "global_step_1" / STATE_FILE
    saved = []
    monkeypatch.setattr(PPOTrainerSync, "_save_checkpoint", lambda _: saved.append(state.is_file()))
    with_curriculum._fetch_one_gen_batch()
    with_curriculum._save_checkpoint()
    assert saved == [True]


@pytest.mark.parametrize("mode", ["auto", "resume_path"])
def test_a_checkpoint_is_loaded_from_where_verl_loads_its_own(
    with_curriculum, monkeypatch, tmp_path, mode
):
    with_curriculum._fetch_one_gen_batch()
    with_curriculum.global_steps = 3
    monkeypatch.setattr(PPOTrainerSync, "_save_checkpoint", lambda _: None)
    with_curriculum._save_checkpoint()
    folder = tmp_path / "global_step_3"
    if mode == "resume_path":
        folder = folder.rename(tmp_path / "elsewhere_global_step_3")
        with_curriculum.config.trainer.resume_from_path = str(folder)
    with_curriculum.config.trainer.resume_mode = mode
    monkeypatch.setattr(PPOTrainerSync, "_load_checkpoint", lambda _: None)
    with_curriculum._init_dataloader()  # a new process
    with_curriculum._load_checkpoint()
    infos = with_curriculum._fetch_one_gen_batch()["extra_info"]
    assert [info["id"] for info in infos] == ["s2", "s3"]


def test_keys_of_verls_batches():
    assert parts_of("0000001-000002_3_0") == ("0000001-000002", 3, 0)
