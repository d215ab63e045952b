"""The arguments of `temporal_search`: checked, told in the document, part of a run's name."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from temporal_plugin.integrations.lmms_eval_search_settings import (
    SEARCH,
    UNIFORM,
    LoopSettings,
)
from temporal_plugin.video.source import STORE_VARIABLE

DOCUMENT = Path(__file__).parents[2] / "docs/search_evaluation.md"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"search": "maybe"}, "search is 'maybe'; allowed: true, uniform"),
        ({"search": False}, "search is False; allowed: true, uniform"),
        ({"preview": "x"}, "preview is 'x'; allowed: true, false"),
        ({"completeness": 2}, "completeness is 2; allowed: true, false"),
        ({"turns": 1}, "turns is 1; it must be 2 or more"),
        ({"tokens_per_turn": 0}, "tokens_per_turn is 0"),
        ({"uniform_frames": 0}, "uniform_frames is 0; allowed: 1 to 4096"),
        ({"frame_max_tokens": 0}, r"sampling\.max_tokens is 0"),
        ({"frame_max_tokens": 9, "frame_max_pixels": 9}, "give one of them"),
    ],
)
def test_wrong_values_are_named(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        LoopSettings(**arguments)


@pytest.mark.parametrize("method", ["dpp", "top_k"])
def test_a_search_needs_an_encoder_and_a_store(method, monkeypatch):
    monkeypatch.delenv(STORE_VARIABLE, raising=False)
    with pytest.raises(ValueError, match=r"search\.encoder is not set"):
        LoopSettings(method=method).frame_search(14, None)
    with pytest.raises(ValueError, match=r"search\.store is not set"):
        LoopSettings(method=method, encoder="e").frame_search(14, None)
    assert LoopSettings(method="uniform").frame_search(14, None).method == "uniform"
    baseline = LoopSettings(search="uniform", method=method).frame_search(16, "cpu")
    assert (baseline.method, baseline.patch_size, baseline.device) == ("uniform", 16, "cpu")


def test_the_store_may_be_that_of_the_frames(monkeypatch):
    monkeypatch.setenv(STORE_VARIABLE, "/frames")
    assert LoopSettings().store == "/frames"
    assert LoopSettings(store="/mine").store == "/mine"


def test_as_lmms_eval_reads_them():
    found, rest = LoopSettings.split(
        {"search": "True", "preview": "false", "completeness": True, "fps": 2, "turns": 4}
    )
    assert (found.search, found.preview, found.completeness, rest) == (
        SEARCH, False, True, {"fps": 2},
    )  # fmt: skip
    assert LoopSettings(search="UNIFORM").search == UNIFORM
    assert found.limits(99).tokens_per_turn == 99
    assert LoopSettings(tokens_per_turn=7).limits(99).tokens_per_turn == 7


def test_the_size_of_frames_and_the_most_of_them():
    found = LoopSettings(frame_max_tokens=256, frame_min_pixels=3136)
    assert found.frame_sampling().max_tokens == 256
    assert found.frame_sampling().min_pixels == 3136
    assert found.most_images == 64
    assert LoopSettings(search="uniform", uniform_frames=5).most_images == 5


def test_what_decides_an_answer_is_in_its_identity():
    changes = {
        "search": "uniform", "encoder": "e", "search_fps": 1.0, "method": "top_k", "turns": 3,
        "frames_per_call": 4, "tokens_per_turn": 5, "tokens": 6, "retries": 0,
        "uniform_frames": 3, "preview": False, "completeness": True, "prompt": "p",
        "frame_min_pixels": 1, "frame_max_pixels": 2, "frame_min_tokens": 3, "frame_max_tokens": 4,
    }  # fmt: skip
    assert set(changes) | {"store"} == {field.name for field in fields(LoopSettings)}
    plain = LoopSettings().identity()
    for name, value in changes.items():
        assert LoopSettings(**{name: value}).identity() != plain, name
    assert LoopSettings(store="elsewhere").identity() == plain


def test_the_document_names_every_argument():
    table = DOCUMENT.read_text(encoding="utf-8").partition("## Arguments")[2].partition("## ")[0]
    named = set(re.findall("`([a-z_]+)`", table))
    assert {field.name for field in fields(LoopSettings)} <= named
