"""CPU seconds that EasyR1 spends on one video, alone and through the launcher's patches.

Run it in EasyR1's environment, beside EasyR1 and a vLLM (or tests/hosts/easyr1/stubs):

    python benchmarks/bench_easyr1.py MODEL VIDEO [--launcher STORE]

MODEL is a Qwen2.5-VL checkpoint folder. What EasyR1 does with a video is timed apart: making the
dataset (with its length filter), an item, the rollout's prompt and the actor's inputs. With
--launcher a second line is a later run, which finds the frames in the store.
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

from temporal_plugin.integrations import easyr1_patches
from temporal_plugin.integrations.easyr1_settings import Settings

LIMITS = {"min_pixels": 12544, "max_pixels": 100352}


def timed(call):
    """(result, CPU seconds), those of processes that it started and ended included."""
    start = sum(os.times()[:4])
    found = call()
    return found, sum(os.times()[:4]) - start


def run(model, rows):
    """CPU seconds per stage; what is imported and cached once is not timed."""
    from verl.utils.dataset import RLHFDataset

    from temporal_plugin.integrations.easyr1_view import EasyR1

    settings = {**LIMITS, "max_prompt_length": 16384}
    host = EasyR1(model, rows, {**settings, "filter_overlong_prompts": False})
    host.data["filter_overlong_prompts"] = True
    make = lambda: RLHFDataset(  # noqa: E731
        rows, host.tokenizer, host.processor, prompt_key="problem", **host.data
    )
    _, for_dataset = timed(make)
    item, for_item = timed(lambda: host.item(0))
    _, for_rollout = timed(lambda: host.rollout_prompt(item))
    _, for_actor = timed(lambda: host.actor_inputs(item))
    return {
        "dataset": for_dataset,
        "item": for_item,
        "rollout": for_rollout,
        "actor": for_actor,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("video")
    parser.add_argument("--launcher", metavar="STORE")
    asked = parser.parse_args()
    if asked.launcher:
        os.environ.update(Settings(frame_store=asked.launcher).to_environment())
        easyr1_patches.install()
    import datasets

    datasets.disable_caching()  # a length filter that ran before would be free
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.jsonl"
        row = {"problem": "<video>When?", "answer": "{}", "videos": [asked.video]}
        rows.write_text(json.dumps(row))
        for number in range(2 if asked.launcher else 1):
            found = run(asked.model, str(rows))
            parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in found.items())
            print(f"run {number}: {sum(found.values()):.2f} CPU s ({parts})")


if __name__ == "__main__":
    main()
