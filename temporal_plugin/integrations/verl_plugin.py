"""verl's entry point (group `verl.plugins`): loaded in every process that imports verl.

It only registers names; the modules behind them are imported when verl asks for one.
"""

import os

from temporal_plugin.integrations.import_hooks import when_imported

_HERE = "temporal_plugin.integrations"
AGENT_LOOP = "temporal_single_turn"
SEARCH_LOOP = "temporal_search"
ROLLOUT = "transformers"
TRAINER_MODE = "temporal_sync"


def register() -> None:
    """Register the CPU platform, the agent loops, the rollout, the trainer and the fixes."""
    from temporal_plugin.integrations.versions import require_verl

    require_verl()
    if os.environ.get("VERL_PLATFORM") == "cpu":
        from temporal_plugin.integrations.verl_cpu_platform import register_cpu_platform

        register_cpu_platform()
    when_imported("verl.experimental.agent_loop.agent_loop", _register_agent_loop)
    when_imported("verl.workers.rollout.replica", _register_rollout_replica)
    when_imported("verl.workers.rollout.base", _register_rollout_adapter)
    when_imported("verl.trainer.ppo.v1", _register_trainer)
    when_imported("verl.utils.tensordict_utils", _fix_equal_lengths)
    for family in ("qwen2_vl", "qwen3_vl"):
        when_imported(f"verl.models.transformers.{family}", _fix_vision_calls)
    when_imported("transformers.models.qwen2_5_vl.modeling_qwen2_5_vl", _fix_positions)
    when_imported("transformers.models.qwen2_5_vl.processing_qwen2_5_vl", _pass_seconds_per_grid)


def _register_agent_loop(module) -> None:
    loops = {
        AGENT_LOOP: "verl_agent_loop.TemporalAgentLoop",
        SEARCH_LOOP: "verl_search_loop.TemporalSearchLoop",
    }
    for name, target in loops.items():
        module._agent_loop_registry[name] = {"_target_": f"{_HERE}.{target}"}


def _register_rollout_replica(module) -> None:
    def load():
        from temporal_plugin.integrations.verl_transformers_rollout import TransformersReplica

        return TransformersReplica

    module.RolloutReplicaRegistry.register(ROLLOUT, load)


def _register_rollout_adapter(module) -> None:
    target = f"{_HERE}.verl_transformers_rollout.TransformersAdapter"
    module._ROLLOUT_REGISTRY[(ROLLOUT, "async")] = target


def _register_trainer(module) -> None:
    import temporal_plugin.integrations.verl_trainer  # noqa: F401  (its decorator registers it)


def _fix_equal_lengths(module) -> None:
    from temporal_plugin.integrations.verl_equal_lengths import fix_equal_lengths

    fix_equal_lengths(module)


def _fix_vision_calls(module) -> None:
    from temporal_plugin.integrations.verl_one_vision_call import fix_vision_calls

    fix_vision_calls(module)


def _fix_positions(module) -> None:
    from temporal_plugin.integrations.transformers_time import fix_qwen2_5_vl_positions

    fix_qwen2_5_vl_positions()


def _pass_seconds_per_grid(module) -> None:
    """verl asks the processor for what else its position ids need; upstream's never answers."""

    def get_rope_index_kwargs(self, multi_modal_inputs: dict) -> dict:
        return {"second_per_grid_ts": multi_modal_inputs.get("second_per_grid_ts")}

    module.Qwen2_5_VLProcessor.get_rope_index_kwargs = get_rope_index_kwargs


register()
