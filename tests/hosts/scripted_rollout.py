"""A mock of what the policy writes, in an otherwise real run of verl.

verl imports this module in every process (VERL_USE_EXTERNAL_MODULES). A random model never calls a
tool, so that its turns are led: it samples a few tokens itself, then it is made to write the rest
of a turn. Log-probabilities stay those of the unmodified model, for led tokens too. The batch that
goes to the actor is written to the folder SCRIPT_OUT, step by step.
"""

import json
import os
from pathlib import Path

import numpy as np
import torch

from temporal_plugin.integrations.import_hooks import when_imported

FREE = 6  # tokens at the start of each reasoning that the model really samples
SCRIPT = json.loads(os.environ.get("SCRIPT", "{}"))
_generators: list = []


def turn_of(text: str) -> int:
    """How many turns the model has had."""
    return text.count("<|im_start|>assistant\n") - 1


def plan(generator, request) -> list[int | None]:
    """The tokens to write; None is sampled. A rollout's script is chosen by its question."""
    tokenizer = generator.processor.tokenizer
    text = tokenizer.decode(request.prompt_ids)
    if "<|video_pad|>" not in text:
        turns, turn = SCRIPT["verify"], 0
    else:
        name = next(name for name in SCRIPT["turns"] if name in text)
        turns, turn = SCRIPT["turns"][name], turn_of(text)
    before, after = turns[min(turn, len(turns) - 1)].split("*")
    encode = tokenizer.encode
    return [*encode(before), *[None] * FREE, *encode(after), tokenizer.eos_token_id]


class Led:
    """A logits processor: the last one, after the draws."""

    def __init__(self, plans, ends):
        self.plans, self.ends, self.start = plans, ends, None

    def __call__(self, input_ids, scores):
        self.start = input_ids.shape[1] if self.start is None else self.start
        step = input_ids.shape[1] - self.start
        for row, steps in enumerate(self.plans):
            wanted = steps[step] if step < len(steps) else self.ends[0]
            if wanted is None:
                scores[row, self.ends] = -torch.inf
            else:
                scores[row] = -torch.inf
                scores[row, wanted] = 0.0
        return scores


def lead(module) -> None:
    """Replaces how BatchGenerator draws tokens."""
    generate, draws = module.BatchGenerator.generate, module._draws

    def remembered(self, requests):
        _generators[:] = [self]
        return generate(self, requests)

    def led(requests, temperature):
        (generator,) = _generators
        found = draws(requests, temperature)
        plans = [plan(generator, request) for request in requests]
        tokenizer = generator.processor.tokenizer
        ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
        return {**found, "logits_processor": [*found.get("logits_processor", []), Led(plans, ends)]}

    module.BatchGenerator.generate, module._draws = remembered, led


def record(module) -> None:
    """Writes what the actor computed, before verl lets go of it."""
    import transfer_queue

    upstream = module.TemporalTrainer._compute_metrics
    fields = ["input_ids", "prompts", "response_mask", "old_log_probs", "rollout_log_probs"]

    def compute(self, batch, metrics, timing_raw, global_steps, epoch):
        keys = [k for k, t in zip(batch.keys, batch.tags, strict=True) if not t.get("is_padding")]
        rows = transfer_queue.kv_batch_get(
            keys=keys, partition_id=batch.partition_id, select_fields=fields
        )
        for index, key in enumerate(keys):
            values = {name: np.asarray(list(rows[name])[index]) for name in fields}
            np.savez(Path(os.environ["SCRIPT_OUT"]) / f"{global_steps}-{key}.npz", **values)
        return upstream(self, batch, metrics, timing_raw, global_steps, epoch)

    module.TemporalTrainer._compute_metrics = compute


def break_search(module) -> None:
    """The first search for "die" finds all actors killed; "broken" cannot be read."""
    import ray

    from temporal_plugin.video.errors import VideoError

    upstream = module.RayClient.seek

    async def seek(self, video, query, *arguments, **named):
        if query == "broken":
            raise VideoError(f"{video}: cut off (scripted)")
        mark = Path(os.environ["SCRIPT_OUT"]) / "died"
        if query == "die" and not mark.exists():
            mark.touch()
            await upstream(self, video, query, *arguments, **named)  # they run now
            for actor in list(self._actors.values()):
                ray.kill(actor, no_restart=False)
        return await upstream(self, video, query, *arguments, **named)

    module.RayClient.seek = seek


if SCRIPT:
    when_imported("temporal_plugin.integrations.transformers_generate", lead)
    when_imported("temporal_plugin.integrations.verl_trainer", record)
    when_imported("temporal_plugin.integrations.verl_frame_search", break_search)
