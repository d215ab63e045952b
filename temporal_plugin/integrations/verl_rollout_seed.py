"""`data.temporal.rollout_seed`: every rollout samples with a seed of its own, the same in each run.

Neither the batch that a server makes of the waiting requests nor a restart changes what is drawn.
vLLM takes a `seed` per request; our transformers rollout does too.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def seeded(
    sampling: Mapping[str, Any], run_seed: int | None, prompt: Mapping[str, Any]
) -> dict[str, Any]:
    """The sampling settings of one rollout, with its seed.

    Args:
        sampling: verl's settings, shared by all rollouts of a batch.
        run_seed: None: the settings stay as they are.
        prompt: what verl hands the agent loop: `global_steps`, `uid`, `session_id`, `extra_info`.

    Returns:
        A copy; greedy settings (temperature 0) get no seed.
    """
    if run_seed is None or not sampling.get("temperature"):
        return dict(sampling)
    about = [
        int(run_seed),
        int(prompt["global_steps"]),
        # our trainer's uid tells apart a sample that is drawn twice in a step
        str(prompt.get("uid", "")),
        str((prompt.get("extra_info") or {}).get("id", "")),
        int(prompt.get("session_id", 0)),
    ]
    digest = hashlib.blake2b(json.dumps(about).encode(), digest_size=6).digest()
    return {**sampling, "seed": int.from_bytes(digest, "little")}
