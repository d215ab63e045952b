"""Masks: exact counts, nested, the truth always shown, and times that stay what they were."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.spans import Span
from temporal_plugin.video.decode import VideoError, load_frames
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.masking import Mask, chosen_mode, kept_steps, masked, touching
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.timing import step_seconds

fractions = st.floats(0, 1)
seeds = st.text(max_size=20)
#: first frames of the steps that `test_every_machine_draws_the_same` shows
DRAWN = [2, 8, 10, 14, 30, 32, 36]


@st.composite
def videos(draw, least=1):
    """Times of 1 to 60 frames, unevenly spaced, odd counts among them, not all from 0 on."""
    gaps = draw(st.lists(st.floats(0.01, 5.0), min_size=least, max_size=60))
    return np.cumsum(gaps) - draw(st.sampled_from([0.0, 1.0])) * gaps[0]


@st.composite
def truths(draw):
    pairs = draw(st.lists(st.tuples(st.floats(0, 150), st.floats(0, 30)), min_size=1, max_size=3))
    return [Span(start, start + length) for start, length in pairs]


def frames(times):
    count = len(times)
    pixels = torch.arange(1, count + 1, dtype=torch.uint8).reshape(count, 1, 1, 1)
    indices = tuple(range(0, 3 * count, 3))
    return Frames(pixels.repeat(1, 3, 2, 2), np.asarray(times), indices, 6.0, 3 * count)


def steps(keep):
    return np.asarray(keep)[::2]


def step_bounds(times, step):
    """Own reading of the rule: from its first frame to the next step's first frame."""
    start = times[2 * step] if step else 0.0
    return start, times[2 * step + 2] if 2 * step + 2 < len(times) else math.inf


def holds_a_moment(times, step, span):
    start, end = step_bounds(times, step)
    if span.start_seconds == span.end_seconds:
        return start <= span.start_seconds < end
    return max(start, span.start_seconds) < min(end, span.end_seconds)


@given(videos(), truths(), fractions, seeds)
def test_the_truth_and_an_exact_number_of_others_are_shown(times, spans, fraction, seed):
    keep = kept_steps(times, spans, show="curriculum", fraction=fraction, seed=seed)
    truth = touching(times, spans)
    assert keep.dtype == bool and len(keep) == len(times)
    assert truth.any()
    assert steps(keep)[truth].all()
    others = int((~truth).sum())
    assert int(steps(keep)[~truth].sum()) == math.floor(fraction * others + 0.5)


@given(videos(), truths(), fractions, fractions, seeds)
def test_what_was_shown_stays_shown(times, spans, one, other, seed):
    small, large = sorted((one, other))
    before = kept_steps(times, spans, show="curriculum", fraction=small, seed=seed)
    after = kept_steps(times, spans, show="curriculum", fraction=large, seed=seed)
    assert not (before & ~after).any()


@given(videos(), truths())
def test_the_ends_of_the_fraction(times, spans):
    nothing = kept_steps(times, spans, show="curriculum", fraction=0.0, seed="a")
    assert (steps(nothing) == touching(times, spans)).all()
    assert kept_steps(times, spans, show="curriculum", fraction=1.0, seed="a").all()


@given(videos(), truths())
def test_a_step_is_touched_as_the_rule_says(times, spans):
    expected = [
        any(holds_a_moment(times, step, span) for span in spans)
        for step in range(math.ceil(len(times) / 2))
    ]
    assert touching(times, spans).tolist() == expected


@given(videos(), truths())
def test_outside_hides_exactly_what_touches_the_spans(times, spans):
    truth = touching(times, spans)
    if truth.all():
        with pytest.raises(VideoError, match=r"is left to show: the spans .* cover all of it"):
            kept_steps(times, spans, show="outside")
    else:
        assert (steps(kept_steps(times, spans, show="outside")) == ~truth).all()


@given(videos(), truths(), fractions, seeds, st.sampled_from(["outside", "curriculum"]))
def test_pairs_stay_whole(times, spans, fraction, seed, show):
    try:
        keep = kept_steps(times, spans, show=show, fraction=fraction, seed=seed)
    except VideoError:
        return  # the test above
    whole = len(times) // 2 * 2
    assert (keep[:whole:2] == keep[1:whole:2]).all()
    shown = masked(frames(times), keep, "drop")
    seconds = step_seconds(np.asarray(times))
    assert step_seconds(shown.pts_seconds).tolist() == seconds[steps(keep)].tolist()


@given(videos(), truths(), fractions, seeds)
def test_a_dropped_frame_changes_no_other(times, spans, fraction, seed):
    before = frames(times)
    keep = kept_steps(times, spans, show="curriculum", fraction=fraction, seed=seed)
    after = masked(before, keep, "drop")
    assert len(after) == keep.sum()
    assert after.pts_seconds.tolist() == np.asarray(times)[keep].tolist()
    assert torch.equal(after.pixels, before.pixels[torch.from_numpy(keep)])
    assert after.indices == tuple(np.array(before.indices)[keep].tolist())
    ticks = dict(zip(before.indices, before.metadata()["frames_indices"], strict=True))
    assert after.metadata()["frames_indices"] == [ticks[number] for number in after.indices]


@given(videos(), truths(), fractions, seeds)
def test_blank_frames_are_black_and_everything_else_stays(times, spans, fraction, seed):
    before = frames(times)
    keep = kept_steps(times, spans, show="curriculum", fraction=fraction, seed=seed)
    after = masked(before, keep, "blank")
    assert after.metadata() == before.metadata()
    assert after.indices == before.indices
    assert (after.pixels[torch.from_numpy(~keep)] == 0).all()
    shown = torch.from_numpy(keep)
    assert torch.equal(after.pixels[shown], before.pixels[shown])
    assert (before.pixels[:, 0, 0, 0] == torch.arange(1, len(before) + 1)).all()  # untouched


@settings(max_examples=20)
@given(st.lists(st.text(max_size=8), min_size=8, max_size=8, unique=True))
def test_each_seed_has_an_order_of_its_own(names):
    times, span = np.arange(400) / 2, [Span(3, 5)]
    orders = {
        kept_steps(times, span, show="curriculum", fraction=0.5, seed=name).tobytes()
        for name in names
    }
    assert len(orders) == len(names)


def test_every_machine_draws_the_same():
    """A changed draw would change what resumed runs and other ranks see."""
    keep = kept_steps(
        np.arange(40) / 2, [Span(4, 6)], show="curriculum", fraction=0.3, seed="1/charades/1"
    )
    program = (
        "import numpy as np; from temporal_plugin.spans import Span; "
        "from temporal_plugin.video.masking import kept_steps as k; "
        "print(np.flatnonzero(k(np.arange(40) / 2, [Span(4, 6)], show='curriculum', fraction=0.3, "
        "seed='1/charades/1')).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == str(np.flatnonzero(keep).tolist())
    assert np.flatnonzero(keep)[::2].tolist() == DRAWN


def test_the_others_come_in_a_fair_order():
    """Over many samples every step is shown equally often."""
    times, span = np.arange(42) / 2, [Span(0, 1)]
    shown = sum(
        steps(kept_steps(times, span, show="curriculum", fraction=0.25, seed=str(number))).astype(
            int
        )
        for number in range(2000)
    )
    assert shown[0] == 2000
    assert np.abs(shown[1:] / 2000 - 0.25).max() < 0.05


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_odd_counts_keep_their_last_frame_as_a_step(count):
    times = np.arange(count) / 2
    last = (count - 1) // 2
    keep = kept_steps(times, [Span(times[2 * last], 90)], show="curriculum", fraction=0.0)
    assert np.flatnonzero(keep).tolist() == list(range(2 * last, count))
    assert len(masked(frames(times), keep, "drop")) == count - 2 * last
    if count > 2:
        keep = kept_steps(times, [Span(times[2 * last], 90)], show="outside")
        assert np.flatnonzero(keep).tolist() == list(range(2 * last))


def test_half_open_spans():
    times = np.arange(8) / 2  # steps from 0, 1, 2 and 3 seconds on
    assert touching(times, [Span(1, 2)]).tolist() == [False, True, False, False]
    assert touching(times, [Span(0.9, 2.01)]).tolist() == [True, True, True, False]
    assert touching(times, [Span(1, 1)]).tolist() == [False, True, False, False]
    assert touching(times, [Span(2.6, 2.7)]).tolist() == [False, False, True, False]
    assert touching(times, [Span(60, 70)]).tolist() == [False, False, False, True]
    assert touching(times, []).tolist() == [False] * 4


def test_nothing_left_is_a_fault_of_the_sample():
    reason = r"^nothing of the 2 steps of two frames is left to show: the spans \[0, 9\) cover"
    with pytest.raises(VideoError, match=reason):
        kept_steps(np.arange(4) / 2, [Span(0, 9)], show="outside")
    reason = "there is no span, and a fraction of 0.2 rounds to no step"
    with pytest.raises(VideoError, match=reason):
        kept_steps(np.arange(4) / 2, [], show="curriculum", fraction=0.2)
    with pytest.raises(VideoError, match=r"^some/a\.mp4: nothing of the 2 steps"):
        Mask((Span(0, 9),), "outside").apply(frames([0, 1, 2, 3]), "some/a.mp4")


def test_everything_kept_copies_nothing():
    before = frames(np.arange(6) / 2)
    assert masked(before, np.ones(6, dtype=bool), "drop") is before
    assert masked(before, np.ones(6, dtype=bool), "blank") is before


def test_a_keep_that_does_not_fit_is_our_mistake():
    with pytest.raises(ValueError, match="keep names 4 frames of 6"):
        masked(frames(np.arange(6)), np.ones(4, dtype=bool), "drop")
    with pytest.raises(ValueError, match="keep splits a step"):
        masked(frames(np.arange(4)), np.array([True, False, True, True]), "drop")
    with pytest.raises(ValueError, match="mask mode is 'auto'; allowed: drop, blank"):
        masked(frames(np.arange(4)), np.ones(4, dtype=bool), "auto")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"show": "inside"}, "mask show is 'inside'; allowed: outside, curriculum"),
        ({"mode": "grey"}, "mask mode is 'grey'; allowed: drop, blank"),
        ({"fraction": 1.5}, "mask fraction is 1.5; allowed: 0 to 1"),
        ({"fraction": math.nan}, "mask fraction is nan; allowed: 0 to 1"),
        ({"fraction": True}, "mask fraction is True; allowed: 0 to 1"),
        ({"fractoin": 0.5}, "mask has keys .*fractoin.*; allowed: .*fraction"),
        ({"spans": [[5, 3]]}, "start <= end"),
    ],
)
def test_a_wrong_mask_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        Mask.from_mapping({"spans": [[1, 2]], "show": "curriculum"} | values)


def test_a_mask_needs_spans_and_show():
    with pytest.raises(ValueError, match="needed: spans, show"):
        Mask.from_mapping({"spans": [[1, 2]]})


@given(truths(), fractions, seeds)
def test_a_mask_goes_through_json_and_is_a_key(spans, fraction, seed):
    mask = Mask(tuple(spans), "curriculum", fraction, seed, "drop")
    again = Mask.from_mapping(mask.to_mapping())
    assert again == mask and hash(again) == hash(mask)
    assert hash(Mask(tuple(spans), "outside", fraction, seed, "drop")) != hash(mask)


def test_the_mode_of_a_family():
    assert chosen_mode("auto", timestamps_in_text=True) == "drop"
    assert chosen_mode("auto", timestamps_in_text=False) == "blank"
    assert chosen_mode("drop", timestamps_in_text=True) == "drop"
    assert chosen_mode("blank", timestamps_in_text=True) == "blank"
    with pytest.raises(ValueError, match=r"a single interval for the whole video.*use 'blank'"):
        chosen_mode("drop", timestamps_in_text=False)
    with pytest.raises(ValueError, match="mask mode is 'black'; allowed: auto, drop, blank"):
        chosen_mode("black", timestamps_in_text=True)


def test_a_real_clip_shows_what_it_showed_before(clock_video):
    before = load_frames(clock_video, Sampling.from_mapping({"fps": 2.0}), patch_size=14)
    mask = Mask((Span(2, 4),), "curriculum", 0.4, "clock", "drop")
    after = mask.apply(before, clock_video)
    assert 0 < len(after) < len(before)
    pixels = dict(zip(before.indices, before.pixels, strict=True))
    times = dict(zip(before.indices, before.pts_seconds, strict=True))
    for number, seen, seconds in zip(after.indices, after.pixels, after.pts_seconds, strict=True):
        assert torch.equal(seen, pixels[number]) and seconds == times[number]
