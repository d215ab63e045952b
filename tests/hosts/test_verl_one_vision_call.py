"""Pictures and videos of a micro-batch go through the vision tower together."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("verl")

pytestmark = pytest.mark.slow
FAMILIES = {"qwen2_5_vl": "qwen2_vl", "qwen3_vl": "qwen3_vl"}


@pytest.fixture(scope="module", params=FAMILIES)
def case(request, tiny_model):
    """verl's module of the family, a model and a row with two pictures and a video."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = tiny_model(request.param)
    module = importlib.import_module(f"verl.models.transformers.{FAMILIES[request.param]}")
    model = AutoModelForImageTextToText.from_pretrained(folder).model
    return module, model, row(AutoProcessor.from_pretrained(folder), model.config)


def row(processor, config, *, pictures: int = 2) -> dict:
    edge = 4 * processor.image_processor.patch_size
    draw = torch.Generator().manual_seed(0)
    images = [torch.randint(255, (3, edge, edge), generator=draw) for _ in range(pictures)]
    video = torch.randint(255, (4, 3, edge, 2 * edge), generator=draw)
    found = {}
    if images:
        inputs = processor.image_processor(
            [i.to(torch.uint8) for i in images], do_resize=False, return_tensors="pt"
        )
        found |= {n: inputs[n] for n in ("pixel_values", "image_grid_thw")}
    inputs = processor.video_processor(
        [video.to(torch.uint8)], do_resize=False, do_sample_frames=False, return_tensors="pt"
    )
    found |= {n: inputs[n] for n in ("pixel_values_videos", "video_grid_thw")}
    ids = [5] + [config.video_token_id] * int(found["video_grid_thw"].prod() // 4)
    ids += [6] + [config.image_token_id] * (4 * pictures) + [7]
    return {"input_ids": torch.tensor([ids]), **found}


def asked(function, model, given):
    """What the function gives, and how often it called the tower."""
    calls = []
    handle = model.visual.register_forward_hook(lambda *_: calls.append(1))
    try:
        found = function(model, **given)
    finally:
        handle.remove()
    return found, len(calls)


def tensors(found) -> list:
    values = found.values() if isinstance(found, dict) else found
    flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
    return [value for value in flat if isinstance(value, torch.Tensor)]


def test_one_call_and_the_same_embeddings(case):
    module, model, given = case
    ours, calls = asked(module._get_input_embeds, model, given)
    theirs, upstream_calls = asked(module._get_input_embeds.__wrapped__, model, given)
    assert calls == 1
    assert upstream_calls == 2, "verl has mended it: remove verl_one_vision_call"
    assert len(tensors(ours)) == len(tensors(theirs)) >= 1
    for mine, other in zip(tensors(ours), tensors(theirs), strict=True):
        assert torch.allclose(mine.float(), other.float(), atol=1e-5)


def test_gradients_reach_the_tower(case):
    module, model, given = case
    found, _ = asked(module._get_input_embeds, model, given)
    tensors(found)[0].sum().backward()
    weight = model.visual.patch_embed.proj.weight
    assert weight.grad is not None and weight.grad.abs().sum() > 0
    model.zero_grad()


@pytest.mark.parametrize("kind", ["pixel_values", "pixel_values_videos"])
def test_one_kind_alone_is_left_to_verl(case, kind):
    module, model, given = case
    grid = {"pixel_values": "image_grid_thw", "pixel_values_videos": "video_grid_thw"}[kind]
    token = {"pixel_values": "image_token_id", "pixel_values_videos": "video_token_id"}[kind]
    ids = given["input_ids"]
    only = {
        "input_ids": ids[ids == getattr(model.config, token)][None],
        kind: given[kind],
        grid: given[grid],
    }
    ours, calls = asked(module._get_input_embeds, model, only)
    theirs, _ = asked(module._get_input_embeds.__wrapped__, model, only)
    assert calls == 1
    for mine, other in zip(tensors(ours), tensors(theirs), strict=True):
        assert torch.equal(mine, other)


RANK = """
import sys, torch
import torch.distributed as dist
from torch.distributed.fsdp import fully_shard
dist.init_process_group("gloo", init_method=sys.argv[3], rank=int(sys.argv[1]), world_size=2)
import verl.models.transformers.qwen2_vl as module
from transformers import AutoModelForImageTextToText, AutoProcessor
from test_verl_one_vision_call import row
model = AutoModelForImageTextToText.from_pretrained(sys.argv[2]).model
for block in model.visual.blocks:
    fully_shard(block)
fully_shard(model.visual)
given = row(
    AutoProcessor.from_pretrained(sys.argv[2]), model.config, pictures=2 * (dist.get_rank() == 0)
)
module._get_input_embeds(model, **given)[0].sum().backward()
dist.barrier()
"""


def test_two_ranks_with_and_without_pictures_go_on(tiny_model, tmp_path, host_seconds):
    """Rank 0 has pictures and a video, rank 1 only a video; both gather the tower's weights."""
    arguments = [str(tiny_model("qwen2_5_vl")), f"file://{tmp_path / 'meet'}"]
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), *arguments],
            env={**os.environ, "PYTHONPATH": path},
        )
        for rank in range(2)
    ]
    try:
        assert [rank.wait(timeout=host_seconds) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
