"""The reward of many responses by EasyR1's real reward manager.

`score.py REQUEST OUT`: REQUEST holds `model`, `function` (as worker.reward.reward_function),
`settings`, `responses` and `truths`. OUT gets `scores` (per response, name -> value), `where` (the
token at which the reward stands) and `lengths`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from verl.protocol import DataProto
from verl.utils.tokenizer import get_tokenizer
from verl.workers.reward import AutoRewardManager, RewardConfig


def main(request: str, out: str) -> None:
    asked = json.loads(Path(request).read_text())
    tokenizer = get_tokenizer(asked["model"], use_fast=True)
    ids = [[*tokenizer.encode(text), tokenizer.eos_token_id] for text in asked["responses"]]
    longest = max(map(len, ids))
    padded = [row + [tokenizer.pad_token_id] * (longest - len(row)) for row in ids]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in ids]
    truths = np.empty(len(ids), dtype=object)
    truths[:] = asked["truths"]
    data = DataProto.from_single_dict(
        {
            "responses": torch.tensor(padded),
            "response_mask": torch.tensor(mask),
            "ground_truth": truths,
        }
    )
    config = RewardConfig(
        reward_function=asked["function"], reward_function_kwargs=asked["settings"]
    )
    config.post_init()
    manager = AutoRewardManager(config, tokenizer)
    reward, parts = manager.compute_reward(data)
    names = list(parts)
    found = {
        "type": manager.reward_type,
        "scores": [{name: parts[name][i] for name in names} for i in range(len(ids))],
        "reward": reward.sum(-1).tolist(),
        "where": [int(row.nonzero()[0]) if row.any() else None for row in reward],
        "lengths": [len(row) for row in ids],
        "texts": [tokenizer.decode(row, skip_special_tokens=True) for row in ids],
    }
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
