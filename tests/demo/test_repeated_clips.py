"""Clips whose event happens twice: true, repeatable, and silent about which are planted."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.annotations import load_samples
from temporal_plugin.demo import clips, repeated_clips
from temporal_plugin.demo.clips import COLOURS
from temporal_plugin.demo.repeated_clips import GAP_SECONDS, KINDS, plan
from temporal_plugin.demo.settings import ClipSettings

SMALL = ClipSettings(train=6, validation=1, test=2)
pytest.importorskip("av")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("repeated")
    return out, repeated_clips.write(out, SMALL, 3, progress=False)


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def contents(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@given(
    seed=st.integers(0, 10_000),
    index=st.integers(0, 500),
    duration=st.integers(7, 30),
    split=st.sampled_from(clips.SPLITS),
)
def test_a_plan_keeps_its_promises(seed, index, duration, split):
    settings = ClipSettings(duration_seconds=float(duration))
    clip = plan(settings, seed, split, index)
    assert clip == plan(settings, seed, split, index)
    times = [(event.start_seconds, event.end_seconds) for event in clip.occurrences]
    assert len(times) == (1 if clip.kind == "once" else 2)
    assert len(clip.annotated) == (2 if clip.kind == "both" else 1)
    assert set(clip.annotated) <= set(clip.occurrences)
    edges = [0.0 - GAP_SECONDS, *(edge for pair in times for edge in pair)]
    assert all(start - end >= GAP_SECONDS for end, start in zip(edges[::2], edges[1::2],
                                                               strict=False))  # fmt: skip
    assert times[-1][1] <= duration
    assert all(2 <= end - start <= 3 and start == int(start) for start, end in times)
    looks = {(e.kind, e.colour, e.shape, e.lane, e.centre) for e in clip.occurrences}
    assert len(looks) == 1, "the same event twice"
    if clip.distractor is not None:
        first = clip.occurrences[0]
        assert clip.distractor.lane != first.lane and clip.distractor.colour != first.colour
        assert clip.distractor.shape != first.shape
        assert 0 <= clip.distractor.start_seconds < clip.distractor.end_seconds <= duration


def test_all_kinds_come_about_as_often_as_asked():
    found = Counter(plan(SMALL, 0, "train", n, planted=0.5, both=0.2).kind for n in range(600))
    shares = {kind: found[kind] / 600 for kind in KINDS}
    assert shares == pytest.approx({"planted": 0.5, "both": 0.2, "once": 0.3}, abs=0.07)
    planted = [clip for n in range(600) if (clip := plan(SMALL, 0, "train", n)).kind == "planted"]
    first = sum(clip.annotated[0] == clip.occurrences[0] for clip in planted) / len(planted)
    assert 0.4 < first < 0.6, "either occurrence may be the annotated one"


def test_the_same_seed_gives_the_same_bytes(written, tmp_path):
    repeated_clips.write(tmp_path, SMALL, 3, progress=False)
    assert contents(tmp_path) == contents(written[0])
    repeated_clips.write(tmp_path, SMALL, 4, progress=False)
    assert contents(tmp_path)["train.jsonl"] != contents(written[0])["train.jsonl"]


def test_the_files_hold_samples_and_only_the_side_file_tells(written):
    out, paths = written
    truth = {row["id"]: row for row in read(paths["truth"])}
    samples = [sample for split in clips.SPLITS for sample in load_samples(paths[split])]
    assert set(truth) == {sample.id for sample in samples}
    for sample in samples:
        known = truth[sample.id]
        spans = [[span.start_seconds, span.end_seconds] for span in sample.spans]
        assert all(pair in known["occurrences"] for pair in spans)
        assert known["planted"] == (len(spans) < len(known["occurrences"]))
        assert known["planted"] == (known["kind"] == "planted")
    told = json.dumps([row for split in clips.SPLITS for row in read(paths[split])])
    assert not any(word in told for word in ("planted", "both", "once", "occurrences"))
    assert not any(word in path.name for path in out.rglob("*") for word in ("planted", "once"))


def test_every_occurrence_is_drawn_and_nothing_of_it_between():
    settings = ClipSettings()
    index = next(
        n for n in range(99)
        if (clip := plan(settings, 5, "train", n)).kind == "planted" and clip.distractor is None
        and clip.occurrences[0].kind == "appear"
    )  # fmt: skip
    clip = plan(settings, 5, "train", index)
    frames = clips.draw(settings, list(clip.occurrences), [5, 0, index]).astype(int)
    colour = np.array(COLOURS[clip.occurrences[0].colour])
    for number, frame in enumerate(frames):
        seconds = number / settings.frames_per_second
        is_there = (abs(frame - colour).sum(axis=-1) < 10).any()
        assert is_there == any(e.start_seconds <= seconds < e.end_seconds for e in clip.occurrences)


@pytest.mark.parametrize(
    ("settings", "rates", "message"),
    [
        (ClipSettings(duration_seconds=6.0), {}, "duration_seconds is 6.0; two .* need 7"),
        (ClipSettings(), {"planted": 0.8, "both": 0.3}, "planted is 0.8, both 0.3; allowed"),
        (ClipSettings(), {"planted": -0.1}, "planted is -0.1"),
    ],
)
def test_wrong_settings_are_refused(settings, rates, message):
    with pytest.raises(ValueError, match=message):
        plan(settings, 0, "train", 0, **rates)
