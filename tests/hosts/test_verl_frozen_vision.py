"""The frozen vision tower: what learns, and that verl's own setting still does nothing."""

from pathlib import Path

import pytest

pytest.importorskip("verl")

import verl
from torch import nn
from transformers import AutoModelForImageTextToText

from temporal_plugin.integrations.verl_frozen_vision import (
    MERGERS,
    FrozenVisionEngine,
    freeze_vision_tower,
)

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_the_tower_is_frozen_and_its_mergers_learn(family, tiny_model):
    model = AutoModelForImageTextToText.from_pretrained(tiny_model(family))
    frozen, learning = freeze_vision_tower(model)
    tower = dict(model.model.visual.named_parameters())
    assert frozen + learning == sum(weight.numel() for weight in tower.values())
    for name, weight in tower.items():
        assert weight.requires_grad == name.startswith(MERGERS), name
    assert frozen and learning
    assert all(weight.requires_grad for weight in model.model.language_model.parameters())


def test_a_model_without_a_tower_is_refused():
    with pytest.raises(ValueError, match="Linear has no vision tower to freeze; take"):
        freeze_vision_tower(nn.Linear(2, 2))


def test_verl_prefers_our_engine_on_this_machine(monkeypatch):
    from verl.workers.engine.base import EngineRegistry

    monkeypatch.setenv("VERL_ENGINE_DEVICE", "cuda")
    assert EngineRegistry.get_engine_cls("language_model", "fsdp2") is FrozenVisionEngine


def test_verls_own_setting_is_still_read_by_no_fsdp_engine():
    """Once this fails, the recipe may set `actor.freeze_vision_tower` and the module can go."""
    engines = Path(verl.__file__).parent / "workers/engine/fsdp"
    files = list(engines.glob("*.py"))
    assert files
    assert not any("freeze_vision" in file.read_text(encoding="utf-8") for file in files)
