"""Each of the launcher's patches is needed by the EasyR1 that is there, and fits it."""

import json
import re

import pytest

from temporal_plugin.integrations import easyr1_patches

pytestmark = pytest.mark.slow
NOT_16_PIXELS = r"\[26, 3, 56, 56\], not \[26, 3, 64, 64\]"
WITHOUT = {
    "read_for_dataset": NOT_16_PIXELS,
    "read_for_actor": NOT_16_PIXELS,
    "read_for_rollout": NOT_16_PIXELS,
    "dataset": r"roles \['user'\]; \w+Error for .*missing.mp4; \w+Error for {'video': .*",
    "tell_times_qwen2_5_vl": r"\d{4} tokens, not 52",
    "tell_times_qwen3_vl": r"\[0.2, 0.9\], not \[0.2, 1.4, 2.4\]",
    "actor_inputs": r"\[\d{4}, 1536\] patches, not \[208, 1536\]",
    "rollout_inputs": "no rate beside Tensor",
    "no_video_tokens": r"{\d+: -100} without \d+",
}
"""name of a patch -> what EasyR1 does without it, with a video of 26 frames sampled at 2 fps."""


@pytest.fixture(scope="module")
def needs(easyr1, old_model, noise, tmp_path_factory):
    """name of a patch -> what EasyR1 does without it, empty where it needs the patch no more."""
    folder = tmp_path_factory.mktemp("upstream")
    video = noise("upstream.mp4", 13.4)
    row = {"problem": "<video>When?", "answer": "{}", "videos": [str(video)]}
    (folder / "rows.jsonl").write_text(json.dumps(row))
    request, out = folder / "request.json", folder / "out.json"
    request.write_text(
        json.dumps(
            {
                "models": {name: str(old_model(name)) for name in ("qwen2_5_vl", "qwen3_vl")},
                "video": str(video),
                "missing": str(folder / "missing.mp4"),
                "rows": str(folder / "rows.jsonl"),
            }
        )
    )
    easyr1.program("upstream.py", str(request), str(out))
    return json.loads(out.read_text())


@pytest.mark.parametrize("name", easyr1_patches.PATCHES)
def test_easyr1_needs_it(needs, name):
    assert re.fullmatch(WITHOUT[name], needs[name]), f"{needs[name]!r}: is {name} still needed?"
