"""Freezes the vision tower: a recipe's `actor_rollout_ref.model.external_lib` names this module.

verl 0.9.1 has a setting `freeze_vision_tower` that its FSDP engine never reads. Importing this
module registers an engine for this machine's vendor, which verl prefers to its own: the same
engine, but the tower's weights take no gradient. The merger, which maps its output into the
language model, goes on learning, as in Time-R1.
"""

from torch import nn
from verl.plugin.platform import get_platform
from verl.workers.engine.base import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

MERGERS = ("merger", "deepstack_merger_list")  # of Qwen2.5-VL and Qwen3-VL, and Qwen3-VL's others


def freeze_vision_tower(model: nn.Module) -> tuple[int, int]:
    """Take the gradient off the vision tower's parameters, its mergers' excepted.

    Args:
        model: a Qwen2.5-VL or Qwen3-VL, the tower under `model.visual` or `model.model.visual`.

    Returns:
        Numbers of weights: (frozen, still learning in tower and mergers).

    Raises:
        ValueError: the model has no vision tower.
    """
    tower = getattr(getattr(model, "model", model), "visual", None)
    if tower is None:
        raise ValueError(
            f"{type(model).__name__} has no vision tower to freeze; take "
            "actor_rollout_ref.model.external_lib out of the recipe"
        )
    frozen = learning = 0
    for name, weight in tower.named_parameters():
        weight.requires_grad_(name.split(".")[0] in MERGERS)
        if weight.requires_grad:
            learning += weight.numel()
        else:
            frozen += weight.numel()
    return frozen, learning


@EngineRegistry.register(
    model_type="language_model",
    backend=["fsdp2"],
    device="cuda",
    vendor=get_platform().vendor_name,
)
class FrozenVisionEngine(FSDPEngineWithLMHead):
    """verl's FSDP2 engine, its vision tower frozen right after it is loaded."""

    def _build_module(self):
        module = super()._build_module()
        freeze_vision_tower(module)
        return module
