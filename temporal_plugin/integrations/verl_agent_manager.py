"""verl's agent loop workers, sharing the work of a group's rollouts. Chosen by the recipe:

`actor_rollout_ref.rollout.agent.agent_loop_manager_class:
temporal_plugin.integrations.verl_agent_manager.TemporalAgentLoopManager`
"""

from types import SimpleNamespace

import ray
import torch
from verl.trainer.ppo.v1.agent_loop_tq import AgentLoopManagerTQ, AgentLoopWorkerTQ

from temporal_plugin.integrations.shared_videos import (
    SMALL_BYTES,
    names_of,
    share_videos,
    sizes_only,
)
from temporal_plugin.video.sharing import Memory


class SharedInputs:
    """For a subclass of verl's AgentLoopWorker: the same tensors as its own methods, made once.

    The methods are called in the worker's event loop, one at a time.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._videos = share_videos(self.processor)
        self._small: Memory[dict] = Memory(SMALL_BYTES)
        self._positions: Memory[torch.Tensor] = Memory(SMALL_BYTES)

    def _compute_multi_modal_inputs(self, output, input_ids) -> dict[str, torch.Tensor]:
        """verl's method; the tensors are shared by all rollouts of the video."""
        data = output.multi_modal_data or {}
        videos, names = data.get("videos"), names_of(data.get("videos"))
        if names is None or data.get("images") or data.get("audios") or self._videos is None:
            return super()._compute_multi_modal_inputs(output, input_ids)
        key = (names, repr(output.mm_processor_kwargs))
        small = self._small.get(key)
        if small is None:  # everything but the patches, by verl's own method
            light = SimpleNamespace(
                multi_modal_data={"videos": sizes_only(videos)},
                mm_processor_kwargs=output.mm_processor_kwargs,
            )
            small = super()._compute_multi_modal_inputs(light, input_ids)
            if len(small["pixel_values_videos"]):  # the processor's settings rule sharing out
                return small
            self._small.put(key, small, sum(value.nbytes for value in small.values()))
        patches = [self._videos.patches(*video) for video in videos]
        return {
            **small,
            "pixel_values_videos": patches[0] if len(patches) == 1 else torch.cat(patches),
        }

    def _compute_position_ids(
        self, input_ids, attention_mask, multi_modal_inputs, mm_processor_kwargs=None
    ) -> torch.Tensor:
        """verl's method; computed once per prompt, then continued over each response."""
        upstream = super()._compute_position_ids
        length = self._prompt_part(input_ids, attention_mask, multi_modal_inputs)
        if length is None:
            return upstream(input_ids, attention_mask, multi_modal_inputs, mm_processor_kwargs)
        prompt, seconds = input_ids[:, :length], multi_modal_inputs.get("second_per_grid_ts")
        key = (
            prompt.numpy().tobytes(),
            multi_modal_inputs["video_grid_thw"].numpy().tobytes(),
            None if seconds is None else seconds.numpy().tobytes(),
        )
        head = self._positions.get(key)
        if head is None:
            mask = torch.ones_like(prompt)
            head = upstream(prompt, mask, dict(multi_modal_inputs), mm_processor_kwargs)
            self._positions.put(key, head, head.nbytes + len(key[0]))
        multi_modal_inputs.pop("mm_token_type_ids", None)  # as verl does
        steps = torch.arange(1, input_ids.shape[1] - length + 1)  # text goes on one by one
        return torch.cat([head, head[..., -1:] + steps], dim=-1)

    def _prompt_part(self, input_ids, attention_mask, multi_modal_inputs) -> int | None:
        """Tokens up to the first text token after the last video; None where verl must compute."""
        grids = multi_modal_inputs.get("video_grid_thw")
        if grids is None or multi_modal_inputs.get("image_grid_thw") is not None:
            return None
        if self._videos is None or not bool(attention_mask.all()):
            return None
        found = (input_ids[0] == self.processor.video_token_id).nonzero()
        length = int(found[-1]) + 2 if len(found) else 0
        return length if 0 < length <= input_ids.shape[1] else None


# `ray.remote` hides the class that it wraps; its methods can be overridden in no other way
UPSTREAM_WORKER = AgentLoopWorkerTQ.__ray_metadata__.modified_class.__ray_actor_class__


class TemporalAgentLoopWorker(SharedInputs, UPSTREAM_WORKER):
    """verl's worker, sharing frames, patches, token ids and positions among its rollouts."""


class TemporalAgentLoopManager(AgentLoopManagerTQ):
    """verl's manager with `TemporalAgentLoopWorker`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.agent_loop_workers_class = ray.remote(TemporalAgentLoopWorker)
