"""The minute-long clips: true, balanced, and too long for a few uniform frames."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.demo import clips, search_clips
from temporal_plugin.demo.search_settings import SearchClipSettings, SearchDemoSettings

av = pytest.importorskip("av")
SMALL = SearchClipSettings(train=4, validation=2, test=2)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("search_demo")
    return out, search_clips.write(out, SMALL, 7, progress=False)


def samples(paths, split):
    from temporal_plugin.annotations import load_samples

    return load_samples(paths[split])


def decoded(path):
    """(seconds [T], uint8 [T, H, W, 3]) of a file."""
    with av.open(str(path)) as video:
        frames = list(video.decode(video=0))
    pixels = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
    return np.array([frame.time for frame in frames]), pixels


def coloured(frames, colour):
    """Share of the pixels of each frame that have a colour's hue, [T]."""
    pixels = frames.astype(float) - frames.mean(-1, keepdims=True)
    target = np.asarray(clips.COLOURS[colour], float)
    target -= target.mean()
    strength = np.linalg.norm(pixels, axis=-1)
    cosine = (pixels @ target) / np.maximum(strength * np.linalg.norm(target), 1e-6)
    return ((cosine > 0.95) & (strength > 30)).mean((1, 2))


@given(seed=st.integers(0, 50), index=st.integers(0, 60), split=st.sampled_from(clips.SPLITS))
def test_plans_keep_their_promises(seed, index, split):
    settings = SearchClipSettings(train=61, validation=61, test=61)
    duration, events = search_clips.plan(settings, seed, split, index)
    assert (duration, events) == search_clips.plan(settings, seed, split, index)
    assert settings.least_seconds <= duration <= settings.most_seconds
    assert len({event.colour for event in events}) == len(events) == settings.events
    edges = [0.0, *(t for e in events for t in (e.start_seconds, e.end_seconds)), duration]
    assert min(b - a for a, b in list(pairwise(edges))[::2]) >= search_clips.GAP_SECONDS
    for event in events:
        assert event.end_seconds - event.start_seconds in settings.event_seconds
        assert event.start_seconds % search_clips.GRID_SECONDS == 0


def test_events_that_do_not_fit_are_refused():
    settings = SearchClipSettings(least_seconds=4, most_seconds=4)
    with pytest.raises(ValueError, match=r"do not fit into 4.0 s; use fewer events or longer"):
        search_clips.plan(settings, 0, "train", 0)


@pytest.mark.parametrize("split", clips.SPLITS)
def test_each_shape_answers_a_quarter_of_the_questions(split):
    settings = SearchClipSettings(train=40, validation=16, test=20)
    found = [
        event.shape
        for index in range(getattr(settings, split))
        for event in search_clips.plan(settings, 3, split, index)[1]
    ]
    assert set(Counter(found).values()) == {len(found) // 4}


def test_shapes_of_a_clip_are_independent():
    """Having seen one event must not tell the shape of another: repeats are as likely as chance."""
    settings = SearchClipSettings(train=400)
    plans = [search_clips.plan(settings, 0, "train", index)[1] for index in range(400)]
    same = np.mean([events[0].shape == events[1].shape for events in plans])
    assert 0.18 < same < 0.32


def test_a_question_names_the_one_thing_that_is_visible_in_its_span_only(written):
    out, paths = written
    checked = 0
    for sample in samples(paths, "train"):
        times, frames = decoded(out / "videos" / sample.video.rpartition("/")[2])
        assert times[-1] < sample.duration <= times[-1] + 0.5
        [span] = sample.spans
        inside = (times >= span.start_seconds) & (times < span.end_seconds)
        share = coloured(frames, sample.extra["colour"])
        assert sample.extra["colour"] in sample.query.split()
        assert share[inside].min() > 0.03
        assert share[~inside].max() < 0.01
        checked += 1
    assert checked == SMALL.train * SMALL.events


def test_the_answer_is_the_letter_of_the_shape(written):
    for sample in samples(written[1], "test"):
        assert sample.task == "choice"
        assert sample.options["ABCD".index(sample.answer)] == sample.extra["shape"]


def test_a_few_uniform_frames_miss_the_event_of_most_questions():
    settings, seen = SearchDemoSettings(), []
    for index in range(200):
        duration, events = search_clips.plan(SearchClipSettings(test=200), 0, "test", index)
        total = round(duration * settings.clips.frames_per_second)
        picked = np.linspace(0, total - 1, settings.uniform_frames).round()
        times = picked / settings.clips.frames_per_second
        seen += [bool(((times >= e.start_seconds) & (times < e.end_seconds)).any()) for e in events]
    assert 0.05 < np.mean(seen) < 0.25


def test_clips_that_are_there_are_left_alone(written):
    before = {path: path.stat().st_mtime_ns for path in written[0].rglob("*.mp4")}
    search_clips.write(written[0], SMALL, 7, progress=False)
    assert {path: path.stat().st_mtime_ns for path in written[0].rglob("*.mp4")} == before


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(written, tmp_path):
    def contents(folder):
        return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    for seed in (7, 8):
        search_clips.write(tmp_path / str(seed), SMALL, seed, progress=False)
    first = contents(written[0])
    assert contents(tmp_path / "7") == first
    other = contents(tmp_path / "8")
    assert all(other[name] != first[name] for name in first)
    manifest = json.loads(first["manifest.json"])
    assert (manifest["seed"], manifest["version"]) == (7, search_clips.VERSION)
