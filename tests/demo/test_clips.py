"""The synthetic clips: the same every time, splits apart, and true."""

import dataclasses
import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.demo import clips
from temporal_plugin.demo.settings import ClipSettings

SMALL = ClipSettings(train=3, validation=2, test=2)
av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return out, clips.write(out, SMALL, 7, progress=False)


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def contents(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_the_same_seed_gives_the_same_bytes(written, tmp_path):
    clips.write(tmp_path, SMALL, 7, progress=False)
    assert contents(tmp_path) == contents(written[0])


def test_another_seed_gives_other_clips(written, tmp_path):
    clips.write(tmp_path, SMALL, 8, progress=False)
    ours, theirs = contents(written[0]), contents(tmp_path)
    assert all(ours[name] != theirs[name] for name in ours if name.endswith(".mp4"))


def test_clips_that_are_there_are_left_alone(written):
    out, _ = written
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")}
    clips.write(out, SMALL, 7, progress=False)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4")} == before


def test_clips_of_other_settings_are_replaced(tmp_path):
    clips.write(tmp_path, SMALL, 7, progress=False)
    clips.write(tmp_path, dataclasses.replace(SMALL, train=1), 7, progress=False)
    assert len(list((tmp_path / "videos").glob("train_*.mp4"))) == 1
    assert {row["split"] for row in read(tmp_path / "train.jsonl")} == {"train"}


def test_splits_share_no_clip_and_no_id(written):
    out, paths = written
    rows = {split: read(path) for split, path in paths.items()}
    for first, second in combinations(clips.SPLITS, 2):
        for field in ("id", "video"):
            assert not {r[field] for r in rows[first]} & {r[field] for r in rows[second]}
    pixels = [data for name, data in contents(out).items() if name.endswith(".mp4")]
    assert len(set(pixels)) == SMALL.train + SMALL.validation + SMALL.test


def test_the_rows_are_samples_that_point_to_real_files(written):
    from temporal_plugin.annotations import load_samples

    for path in written[1].values():
        for sample in load_samples(path):
            assert sample.task == "grounding"
            assert len(sample.spans) == 1
            assert sample.duration == SMALL.duration_seconds
            with av.open(sample.video) as video:
                assert video.streams.video[0].frames == 64


@given(seed=st.integers(0, 50), index=st.integers(0, 500), split=st.sampled_from(clips.SPLITS))
def test_plans_keep_their_promises(seed, index, split):
    settings = ClipSettings()
    events = clips.plan(settings, seed, split, index)
    assert events == clips.plan(settings, seed, split, index)
    assert 1 <= len(events) <= 3
    assert len({(event.colour, event.shape) for event in events}) == len(events)
    for event in events:
        assert 0 <= event.start_seconds < event.end_seconds <= settings.duration_seconds
        assert event.end_seconds - event.start_seconds < settings.duration_seconds
    for first, second in combinations(events, 2):
        assert not first.hides(second)


@given(seed=st.integers(0, 20), index=st.integers(0, 200), wording=st.integers(0, 2))
def test_a_query_names_exactly_one_event(seed, index, wording):
    events = clips.plan(ClipSettings(), seed, "test", index)
    for event in events:
        words = event.query(wording).split()
        named = [other for other in events if other.colour in words and other.shape in words]
        assert named == [event]


def coloured(frames, colour):
    """Share of pixels of each frame that have a colour's hue, [T]."""
    pixels = frames.astype(float)
    target = np.asarray(clips.COLOURS[colour], float)
    # remove grey, compare directions
    pixels = pixels - pixels.mean(-1, keepdims=True)
    target = target - target.mean()
    strength = np.linalg.norm(pixels, axis=-1)
    cosine = (pixels @ target) / np.maximum(strength * np.linalg.norm(target), 1e-6)
    return ((cosine > 0.97) & (strength > 30)).mean((1, 2))


def test_an_event_is_visible_in_the_file_within_its_span_only(written):
    out, paths = written
    checked = 0
    for split, path in paths.items():
        for row in read(path):
            with av.open(str(out / row["video"])) as video:
                decoded = list(video.decode(video=0))
            frames = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])
            times = np.array([frame.time for frame in decoded])
            colour = next(c for c in clips.COLOURS if c in row["query"].split())
            [(start, end)] = row["spans"]
            inside = (times >= start) & (times < end)
            seen = coloured(frames, colour)
            assert seen[inside].min() > 0.005, (split, row)
            assert seen[~inside].max() < 0.002, (split, row)
            checked += 1
    assert checked >= SMALL.train + SMALL.validation + SMALL.test


def test_an_edge_that_the_encoder_would_pad_is_refused():
    with pytest.raises(ValueError, match="edge_pixels is 112; use a multiple of 64"):
        ClipSettings(edge_pixels=112)
