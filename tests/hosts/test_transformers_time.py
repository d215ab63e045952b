"""transformers' position ids of Qwen2.5-VL: our fix, and whether the host still needs it."""

import subprocess
import sys

import pytest
import torch
from transformers import Qwen2_5_VLConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel

from temporal_plugin.integrations.transformers_time import (
    batch_positions,
    fix_qwen2_5_vl_positions,
)

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests

TEXT = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 32,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]},
}
VISION = {
    "depth": 1,
    "hidden_size": 32,
    "num_heads": 2,
    "intermediate_size": 32,
    "out_hidden_size": 32,
    "tokens_per_second": 2,
}

UPSTREAM = """
import torch
from types import SimpleNamespace as N
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel as M
m = N(config=N(vision_config=N(spatial_merge_size=2, tokens_per_second=2)))
m.get_vision_position_ids = M.get_vision_position_ids.__get__(m)
types = torch.tensor([[0, 2, 2, 2, 0]])
p, _ = M.get_rope_index(m, torch.ones_like(types), mm_token_type_ids=types,
    video_grid_thw=torch.tensor([[3, 2, 2]]), second_per_grid_ts=[1.5])
print(p[0, 0].tolist())
"""


def test_upstream_still_needs_the_fix():
    """Fails once transformers tells fractional seconds and places the text after the video."""
    found = subprocess.run(
        [sys.executable, "-c", UPSTREAM], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[0, 1, 3, 5, 2]", (
        "transformers changed its position ids: right would be [0, 1, 4, 7, 8]; "
        "if it is right now, remove integrations/transformers_time.py"
    )


@pytest.fixture(scope="module")
def model():
    fix_qwen2_5_vl_positions()
    config = Qwen2_5_VLConfig(text_config=TEXT, vision_config=VISION)
    return Qwen2_5_VLModel(config)


def test_fixed_positions_of_a_left_padded_batch(model):
    types = torch.tensor([[0, 2, 2, 2, 0], [0, 0, 2, 2, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 1, 1, 1]])
    positions, deltas = model.get_rope_index(
        torch.ones_like(types),
        mm_token_type_ids=types,
        video_grid_thw=torch.tensor([[3, 2, 2], [2, 2, 2]]),
        second_per_grid_ts=torch.tensor([1.5, 1.0]),
        attention_mask=mask,
    )
    assert positions[0].tolist() == [[0, 1, 4, 7, 8], [0, 0, 1, 3, 4]]
    assert deltas.flatten().tolist() == [9 - 5, 5 - 4]


def test_a_video_without_seconds_is_refused(model):
    types = torch.tensor([[2]])
    with pytest.raises(ValueError, match="1 videos without second_per_grid_ts"):
        batch_positions(model.config, types, types, None, torch.tensor([[1, 2, 2]]), None, None)


def test_same_positions_as_vllm(model):
    """The rollout engine's own code, where it is installed."""
    vllm = pytest.importorskip("vllm.model_executor.models.qwen2_5_vl", reason="no vLLM here")
    types = [0] + [2] * 80 + [0] * 4 + [2] * 12 + [0] * 5

    class Server:
        def iter_mm_grid_thw(self, _features):
            yield 1, 5, 4, 4, 2 * 1.03  # offset, t, h, w, positions per grid step
            yield 85, 3, 2, 2, 2 * 0.7

    expected, delta = vllm.Qwen2_5_VLForConditionalGeneration.get_mrope_input_positions(
        Server(), [0] * len(types), []
    )
    ids = torch.tensor([types])
    found, deltas = model.get_rope_index(
        torch.ones_like(ids),
        mm_token_type_ids=ids,
        video_grid_thw=torch.tensor([[5, 8, 8], [3, 4, 4]]),
        second_per_grid_ts=[1.03, 0.7],
    )
    assert torch.equal(found[:, 0], expected.to(found.dtype))
    assert deltas.item() == delta
