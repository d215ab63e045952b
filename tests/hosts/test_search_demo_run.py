"""The search demo's chain on real hosts, short: cold start, two steps of GRPO-CSV, evaluation."""

import math

import pytest

pytest.importorskip("verl")
pytest.importorskip("lmms_eval")

from temporal_plugin.demo import (
    search_clips,
    search_cold_start,
    search_encoder,
    search_evaluate,
    search_model,
    search_train,
    train,
)
from temporal_plugin.demo.search_settings import (
    EncoderSettings,
    SearchClipSettings,
    SearchColdStartSettings,
    SearchDemoSettings,
    SearchGrpoSettings,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A model that searches now and then, and what it needs."""
    settings = SearchDemoSettings(
        out=tmp_path_factory.mktemp("search_demo"),
        threads=2,
        clips=SearchClipSettings(train=8, validation=2, test=4),
        encoder=EncoderSettings(batches=20),
        cold_start=SearchColdStartSettings(
            batches=60, batch_size=16, search_counts=(0.1, 0.6, 0.3)
        ),
        grpo=SearchGrpoSettings(steps=2, prompts_per_step=4, rollouts_per_prompt=4),
    )
    search_clips.write(settings.clips_dir, settings.clips, 0, progress=False)
    search_encoder.build(settings)
    search_model.build(settings)
    search_cold_start.run(settings)
    return settings


@pytest.fixture(scope="module")
def trained(settings):
    return search_train.run(settings, settings.out / "train.log")


def test_two_steps_of_grpo_csv(settings, trained):
    rows = [row for _, row in train.training_rows(settings)]
    assert len(rows) == 2
    for row in rows:
        assert math.isfinite(row["actor/pg_loss"])
        assert row["training/rollout_probs_diff_mean"] < 1e-3
        assert row["reward/search_failures/mean"] == row["reward/video_failure/mean"] == 0.0
        assert row["reward/completeness/mean"] <= row["reward/accuracy/mean"]
    assert max(row["reward/searches/mean"] for row in rows) > 0.2, "the cold start taught calls"
    found = search_train.curves(settings)
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(found, 2)


@pytest.mark.parametrize("way", search_evaluate.WAYS)
def test_evaluation_through_lmms_eval(settings, trained, way, tmp_path):
    found = search_evaluate.run(settings, trained, way, tmp_path / "out", tmp_path / "log")
    assert found["questions"] == settings.clips.test * settings.clips.events
    assert 0.0 <= found["accuracy"] <= 1.0
    if way == "search":
        assert 0.0 <= found["found"] <= 1.0
        assert found["frames"] <= settings.uniform_frames - settings.preview_frames


def test_a_perfect_reader_of_uniform_frames_misses_most_events(settings):
    best = search_evaluate.best_uniform(settings)
    assert best["accuracy"] == pytest.approx(best["visible"] + (1 - best["visible"]) / 4)
    assert best["visible"] < 0.5
