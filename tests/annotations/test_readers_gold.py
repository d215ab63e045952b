"""Counts of the published files, and the gold round trip of every row of them."""

import logging
from functools import lru_cache

import pytest
from gold import contracts_of, gold_faults
from reader_cases import CASES, IDS, fixture_samples

from temporal_plugin.annotations import read
from temporal_plugin.annotations.span_faults import sample_faults

# file -> (format, options, samples, videos, rows that no Sample can hold, by fault)
REAL = {
    "activitynet_train": (
        "activitynet_captions", {"split": "train"}, 37421, 10009, {"reversed_span": 2}
    ),
    "activitynet_val_2": ("activitynet_captions", {"split": "val_2"}, 17031, 4885, {}),
    "charades_sta_train": (
        "charades_sta",
        {"split": "train"},
        12408,
        5338,
        {"reversed_span": 4, "past_end": 3, "starts_past_end": 3},
    ),
    "charades_sta_test": ("charades_sta", {"split": "test"}, 3720, 1334, {}),
    "nextgqa_test": ("nextgqa", {"split": "test"}, 5553, 990, {"negative_start": 36}),
    "nextgqa_val": ("nextgqa", {"split": "val"}, 3358, 567, {}),
    "rextime_val": ("rextime", {"split": "val"}, 921, 696, {}),
    "timerft_2k5": ("timerft", {}, 2500, 2475, {}),
    "tvgbench": ("tvgbench", {}, 800, 462, {}),
}  # fmt: skip
LARGE = (
    "activitynet_train",
    "activitynet_val_2",
    "charades_sta_test",
    "charades_sta_train",
    "nextgqa_test",
)


def slow(*names):
    """All files, those of `names` marked as slow."""
    marks = dict.fromkeys(names, (pytest.mark.slow,))
    return [pytest.param(name, marks=marks.get(name, ())) for name in REAL]


@lru_cache
def real(path, format, options):
    errors = []
    return list(read(format, path, on_error=errors.append, **dict(options))), errors


@pytest.fixture
def real_file(shared):
    def load(name):
        format, options, *_ = REAL[name]
        path = shared / "data" / "annotations" / f"{name}.json"
        return real(path, format, tuple(options.items()))

    return load


@pytest.mark.parametrize("name", slow("activitynet_train", "activitynet_val_2"))
def test_counts_of_the_real_files(real_file, name):
    *_, rows, videos, faults = REAL[name]
    samples, errors = real_file(name)
    assert len(samples) + len(errors) == rows
    found = {}
    for error in errors:
        for reason in error.reasons:
            found[reason] = found.get(reason, 0) + 1
    assert found == faults
    assert len({sample.id for sample in samples}) == len(samples)
    # two of Charades' 5,338 training videos have no sentence but a reversed one
    lost = {"charades_sta_train": 2}.get(name, 0)
    assert len({sample.video for sample in samples}) == videos - lost
    assert all(error.where and error.field and error.allowed for error in errors)


@pytest.mark.parametrize("name", slow(*LARGE))
def test_gold_answers_of_every_real_row_score_one(real_file, name):
    samples, _ = real_file(name)
    assert all(contracts_of(sample) for sample in samples)
    assert gold_faults(samples) == []


@pytest.mark.parametrize(("format", "name", "options"), CASES, ids=IDS)
def test_gold_answers_of_every_fixture_score_one(caplog, format, name, options):
    caplog.set_level(logging.CRITICAL)
    samples = fixture_samples(format, name, **options)
    # A truth after the video's end cannot be said; every policy but `keep` drops its row.
    said = [sample for sample in samples if "starts_past_end" not in sample_faults(sample)]
    assert len(samples) - len(said) <= 1
    assert gold_faults(said) == []


def test_timerft_as_published(real_file):
    """Facts that Time-R1's own code gets wrong; the numbers were counted without this package."""
    samples, _ = real_file("timerft_2k5")
    assert sum(sample.clip is not None for sample in samples) == 665
    ends = [(sample.spans[0].end_seconds, sample.duration) for sample in samples]
    assert sum(end > duration + 1 for end, duration in ends) == 29
    assert sum(end > 2 * duration for end, duration in ends) == 6


def test_tvgbench_as_published(real_file):
    samples, _ = real_file("tvgbench")
    assert sum(sample.clip is not None for sample in samples) == 252
    ranges = {}
    for sample in samples:
        ranges.setdefault(sample.video, set()).add(sample.clip)
    assert sum(len(clips) > 1 for clips in ranges.values()) == 53
    assert max(sample.duration for sample in samples) <= 179


def test_charades_train_as_published(real_file):
    samples, errors = real_file("charades_sta_train")
    late = sum(sample.spans[0].end_seconds > sample.duration + 0.5 for sample in samples)
    assert late + sum("past_end" in error.reasons for error in errors) == 1546
