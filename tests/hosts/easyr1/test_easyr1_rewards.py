"""The same responses score the same in verl's and in EasyR1's real reward managers."""

import asyncio
import json
import random

import pytest

pytest.importorskip("verl")

import torch
from omegaconf import OmegaConf
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
from verl.utils.tokenizer import hf_tokenizer

from temporal_plugin import prompts
from temporal_plugin.annotations import export_rows
from temporal_plugin.annotations.gold import gold_answer
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import easyr1_reward, verl_reward

pytestmark = pytest.mark.slow
COUNT = 200
WEIGHTS = {"iou": 1.0, "tiou": 0.5, "format": 0.2}
SEQUENTIAL = """
from temporal_plugin.integrations.easyr1_reward import compute_score as batch
REWARD_TYPE = "sequential"
def compute_score(row, **settings):
    return batch([row], **settings)[0]
"""


@pytest.fixture(scope="module")
def rows():
    """(row as both trainers read it, response) of 200 questions."""
    random_ = random.Random(0)
    prompt = prompts.load("think_answer")
    found = []
    for number in range(COUNT):
        start = random_.uniform(0, 20)
        sample = Sample.from_dict(
            {
                "id": str(number), "task": "grounding", "video": "/v/a.mp4",
                "query": "the red square \u00e9 moves", "duration": 30.0,
                "spans": [[start, start + random_.uniform(1, 9)]],
            }
        )  # fmt: skip
        row = export_rows.trainer_row(sample, export_rows.Target(prompt), number)
        found.append((row, response(random_, sample)))
    return found


def response(random_, sample):
    """One of the ways in which a model writes, and fails to write, an answer."""
    a, b = sorted(random_.uniform(0, 30) for _ in range(2))
    return random_.choice(
        [
            gold_answer(sample, "think_answer"),
            f"<think>It moves at {a:.1f}.</think><answer>{a:.2f} to {b:.2f}</answer>",
            f"<think>\u00fc</think>\n<answer>from {a:.1f}s to {b:.1f} seconds</answer>",
            f"<answer>{b:.2f} to {a:.2f}</answer>",
            f"between {a:.1f} and {b:.1f}",
            f"<think>00:{int(a):02d}</think><answer>00:{int(a):02d} - 00:{int(b):02d}</answer>",
            f'<answer>{{"start_time": "{a}", "end_time": {b}}}</answer>',
            "<think></think><answer></answer>",
            "The event does not occur in the video.",
            "",
            "\n" * random_.randrange(9) + "0" * random_.randrange(300),
        ]
    )


def verls_scores(model, rows):
    """verl's manager, with the function and the settings of our recipes."""
    tokenizer = hf_tokenizer(str(model))

    def compute_score(**row):
        return verl_reward.compute_score(**row, weights=WEIGHTS)

    async def run():
        manager = NaiveRewardManager(OmegaConf.create({}), tokenizer, compute_score)
        return [await manager.run_single(data) for data in map(batch, rows)]

    def batch(pair):
        row, text = pair
        ids = [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id]
        return DataProto.from_dict(
            tensors={
                "responses": torch.tensor([ids]),
                "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
            },
            non_tensors={
                name: [row[name]] for name in ("data_source", "reward_model", "extra_info")
            },
        )

    return asyncio.run(run())


def easyr1_scores(easyr1, model, rows, folder, function, parsed):
    request, out = folder / "request.json", folder / "out.json"
    truths = [row["answer"] for row, _ in rows]
    request.write_text(
        json.dumps(
            {
                "model": str(model),
                "function": function,
                "settings": {"weights": WEIGHTS},
                "responses": [text for _, text in rows],
                "truths": list(map(json.loads, truths)) if parsed else truths,
            }
        )
    )
    easyr1.program("score.py", str(request), str(out))
    return json.loads(out.read_text())


@pytest.mark.parametrize(
    ("kind", "parsed"), [("batch", False), ("batch", True), ("sequential", False)]
)
def test_200_responses(easyr1, old_model, tiny_model, rows, tmp_path, kind, parsed):
    function = easyr1_reward.reference()
    if kind == "sequential":
        (tmp_path / "one_by_one.py").write_text(SEQUENTIAL)
        function = f"{tmp_path / 'one_by_one.py'}:compute_score"
    found = easyr1_scores(easyr1, old_model("qwen2_5_vl"), rows, tmp_path, function, parsed)
    verls = verls_scores(tiny_model("qwen2_5_vl"), rows)
    assert found["type"] == kind
    assert len(found["scores"]) == len(verls) == COUNT
    for scores, reward, verl in zip(found["scores"], found["reward"], verls, strict=True):
        assert scores.pop("overall") == verl["reward_score"]
        assert reward == pytest.approx(verl["reward_score"], rel=1e-6)  # a float32 tensor
        assert scores == {k: v for k, v in verl["reward_extra_info"].items() if k != "score"}
    distinct = {verl["reward_score"] for verl in verls}
    assert len(distinct) > 20 and max(distinct) == pytest.approx(sum(WEIGHTS.values()))
    at_the_end = [length - 1 for length in found["lengths"]]
    assert all(where in (None, end) for where, end in zip(found["where"], at_the_end, strict=True))
