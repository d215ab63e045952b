"""Each of the launcher's patches is needed by the EasyR1 that is there, and fits it."""

import json

import pytest

from temporal_plugin.integrations import easyr1_patches

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def needs(easyr1, old_model, noise, tmp_path_factory):
    """name of a patch -> what EasyR1 does without it."""
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
    assert needs[name], f"EasyR1 does without {name} now: take it out"
