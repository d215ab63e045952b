import json
import os
from pathlib import Path

import pytest

RESOURCES = Path(__file__).parents[1] / "resources" / "annotations"


@pytest.fixture
def resources():
    return RESOURCES


@pytest.fixture
def shared():
    folder = Path(os.environ.get("TEMPORAL_PLUGIN_SHARED", Path(__file__).parents[3] / "shared"))
    if not (folder / "data" / "annotations").is_dir():
        pytest.skip(f"real annotation files are not here: {folder} (TEMPORAL_PLUGIN_SHARED)")
    return folder


@pytest.fixture
def write_jsonl(tmp_path):
    def write(*rows, name="samples.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def write_config(tmp_path):
    """A data config with one entry, beside the files that it names."""

    def write(text):
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
