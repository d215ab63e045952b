"""What EasyR1 alone does to a video: per name of a patch, whether EasyR1 still needs it.

`upstream.py REQUEST OUT`: REQUEST holds `models` (family -> folder), `video` (13.4 s at 10 frames a
second, 64 x 64 pixels), `missing` (a path without a file), `rows` (a file with `video` alone). OUT
gets {patch: what was seen, empty where the patch is not needed any more}.
"""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from verl.utils import dataset as dataset_module
from verl.utils.tokenizer import get_processor, get_tokenizer
from verl.workers.rollout import vllm_rollout_spmd as rollout

from temporal_plugin.integrations.easyr1_view import EasyR1
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.patches import to_patches
from temporal_plugin.video.sampling import Sampling

LIMITS = {"min_pixels": 56 * 56, "max_pixels": 96 * 96}
SAMPLING = Sampling(fps=2.0, **LIMITS)
#: EasyR1 filters in forked processes, and a fork can hang once torch has started threads
UNFILTERED = {**LIMITS, "filter_overlong_prompts": False}


def patches(video, host):
    return to_patches(
        video,
        patch_size=host.patch_size,
        merge_size=host.merge_size,
        mean=host.image_mean,
        std=host.image_std,
        rescale_factor=host.rescale_factor,
    )


def of_reader(asked):
    """14-pixel patches for a model that has 16-pixel ones."""
    video = dataset_module.process_video(asked["video"], *LIMITS.values(), 2.0)
    right = load_frames(asked["video"], SAMPLING, patch_size=16).pixels
    return "" if video.shape == right.shape else f"{list(video.shape)}, not {list(right.shape)}"


def of_dataset(asked, model):
    """What the class does with a missing video, a system message and a clip."""
    found = []
    make = SimpleNamespace(
        format_prompt=None, prompt_key="problem", video_key="videos", image_key="images"
    )
    chat = [{"role": "system", "content": "a"}, {"role": "user", "content": "<video>b"}]
    row = {"problem": "a\n<video>b", "prompt": chat, "videos": [asked["video"]]}
    roles = [message["role"] for message in dataset_module.RLHFDataset._build_messages(make, row)]
    if roles != ["system", "user"]:
        found.append(f"roles {roles}")
    for video in (asked["missing"], {"video": asked["video"], "clip": [1.0, 3.0]}):
        try:
            dataset_module.process_video(video, *LIMITS.values(), 2.0)
        except Exception as error:
            found.append(f"{type(error).__name__} for {video}")
    return "; ".join(found)


def of_processor(asked, family):
    """The times that the dataset's prompt tells, or the tokens of a second resize."""
    host = EasyR1(
        asked["models"][family], asked["rows"], {**UNFILTERED, "max_prompt_length": 16384}
    )
    ids = host.item(0)["input_ids"]
    text = host.tokenizer.decode(ids[ids != host.tokenizer.pad_token_id])
    frames = load_frames(
        asked["video"], SAMPLING, patch_size=host.processor.video_processor.patch_size
    )
    if family == "qwen3_vl":
        told = [float(time) for time in re.findall(r"<([\d.]+) seconds>", text)]
        true = [round(float(time), 1) for time in frames.pts_seconds.reshape(-1, 2).mean(1)]
        return "" if told == true else f"{told[:3]}, not {true[:3]}"
    # a released model's processor enlarges small frames; a tiny one's is asked to
    host.processor.video_processor.size = {"shortest_edge": 128 * 28 * 28, "longest_edge": 10**7}
    ids = host.item(0)["input_ids"]
    count = int((ids == host.processor.video_token_id).sum())
    right = frames.pixels[::2, 0].numel() // 28**2
    return "" if count == right else f"{count} tokens, not {right}"


def of_actor(asked):
    """The patches of Qwen3-VL, resized once more by what a released model says of images."""
    host = EasyR1(
        asked["models"]["qwen3_vl"], asked["rows"], {**UNFILTERED, "max_prompt_length": 16384}
    )
    images, videos = host.processor.image_processor, host.processor.video_processor
    images.image_mean, images.image_std = videos.image_mean, videos.image_std
    images.size = {"shortest_edge": 65536, "longest_edge": 16777216}
    found = host.actor_inputs(host.item(0))["pixel_values_videos"]
    frames = load_frames(asked["video"], SAMPLING, patch_size=16)
    right = patches(frames.pixels, videos)
    if found.shape == right.shape and torch.equal(torch.as_tensor(found), right):
        return ""
    return f"{list(found.shape)} patches, not {list(right.shape)}"


def of_rollout(asked):
    """What the prompt tells vLLM of Qwen2.5-VL's rate."""
    host = EasyR1(
        asked["models"]["qwen2_5_vl"], asked["rows"], {**UNFILTERED, "max_prompt_length": 16384}
    )
    prompt = host.rollout_prompt(host.item(0))
    rate = prompt.get("mm_processor_kwargs", {}).get("fps")
    return "" if rate else f"no rate beside {type(prompt['multi_modal_data']['video'][0]).__name__}"


def of_bias(asked):
    """Whether the rollout can write a video's placeholder."""
    model = asked["models"]["qwen2_5_vl"]
    processor = get_processor(model, use_fast=True)
    token = get_tokenizer(model).convert_tokens_to_ids(processor.video_token)
    bias = rollout._get_logit_bias(processor)
    return "" if token in bias else f"{bias} without {token}"


def main(request: str, out: str) -> None:
    asked = json.loads(Path(request).read_text())
    reader = of_reader(asked)
    found = {
        "read_for_dataset": reader,
        "read_for_actor": reader,
        "read_for_rollout": reader,
        "dataset": of_dataset(asked, asked["models"]["qwen2_5_vl"]),
        "tell_times_qwen2_5_vl": of_processor(asked, "qwen2_5_vl"),
        "tell_times_qwen3_vl": of_processor(asked, "qwen3_vl"),
        "actor_inputs": of_actor(asked),
        "rollout_inputs": of_rollout(asked),
        "no_video_tokens": of_bias(asked),
    }
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
