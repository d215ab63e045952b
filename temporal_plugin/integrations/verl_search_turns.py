"""The tokens of a rollout of several turns, and how its turns are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from verl.utils.profiler import simple_timer
from verl.workers.rollout.replica import TokenOutput


@dataclass(frozen=True)
class Tokens:
    """A rollout so far; appending gives a new one, so that what does not fit can be let go.

    Attributes:
        ids: token ids of the prompt and of all that follows.
        prompt_length: how many of them are the prompt.
        images: pictures that were appended, in order.
        mask: of what follows the prompt: 1 where the model sampled the token, 0 where not.
        log_probs: likewise, 0.0 where the mask is 0; None where the server gives none.
    """

    ids: list[int]
    prompt_length: int
    images: list[Any] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    log_probs: list[float] | None = None

    def sampled(self, ids: Sequence[int], log_probs: Sequence[float] | None) -> Tokens:
        """With a turn of the model behind it.

        Raises:
            ValueError: log-probabilities are missing, or given for the first time in a later turn.
        """
        found = None
        if log_probs is not None and len(log_probs) == len(ids):
            found = [*(self.log_probs or []), *log_probs]
        if (self.mask and ids) and (found is None) != (self.log_probs is None):
            raise ValueError("the server gave log-probabilities for some turns of a rollout only")
        mask = self.mask + [1] * len(ids)
        return replace(self, ids=[*self.ids, *ids], mask=mask, log_probs=found or self.log_probs)

    def given(self, ids: Sequence[int], images: Sequence[Any]) -> Tokens:
        """With tokens behind it that the model did not sample."""
        log_probs = None if self.log_probs is None else self.log_probs + [0.0] * len(ids)
        return replace(
            self,
            ids=[*self.ids, *ids],
            images=[*self.images, *images],
            mask=self.mask + [0] * len(ids),
            log_probs=log_probs,
        )


class Asking:
    """Asks the rollout server for the turns of one rollout.

    Attributes:
        metrics: verl's, summed over the turns.
        extra_fields: what the server says of its weights: the first turn's, and the last one's
            `max_global_steps`.
    """

    def __init__(self, loop, sampling: dict[str, Any], videos, payload, priority: int) -> None:
        self._loop, self._sampling, self._videos = loop, sampling, videos
        self._payload, self._priority = payload, priority
        determined = getattr(loop.rollout_config, "full_determinism", False)
        self._request = f"det-{priority}" if determined else uuid4().hex
        self._turns = 0
        self.metrics: dict[str, Any] = {}
        self.extra_fields: dict[str, Any] = {}

    async def __call__(
        self, ids: list[int], images: list[Any], most: int, *, preview: bool = True
    ) -> TokenOutput:
        """A turn of at most `most` tokens after these; `preview`: the video is among them."""
        sampling = {**self._sampling, "max_tokens": most}
        if "seed" in sampling:  # another one for each turn
            sampling["seed"] += self._turns
        self._turns += 1
        with simple_timer("generate_sequences", self.metrics):
            found = await self._loop.server_manager.generate(
                request_id=self._request,  # one for all turns: the server that has the prefix
                prompt_ids=ids,
                sampling_params=sampling,
                image_data=images or None,
                video_data=self._videos if preview else None,
                mm_processor_output=self._payload if preview else None,
                mm_processor_kwargs=self._loop._get_mm_processor_kwargs(None),
                priority=self._priority,
            )
        preempted = self.metrics.get("num_preempted", -1)
        if found.num_preempted is not None:
            preempted = max(preempted, 0) + found.num_preempted
        self.metrics["num_preempted"] = preempted
        last = found.extra_fields.get("max_global_steps")
        self.extra_fields = {**found.extra_fields, **self.extra_fields}
        if last is not None:
            self.extra_fields["max_global_steps"] = last
        return found
