"""The fraction of a hard sample that is shown: its ends, its shape, and settings that are wrong."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.curation.masking_schedule import SCHEDULES, MaskingSettings

shares = st.floats(0, 1)
any_settings = st.builds(
    MaskingSettings,
    schedule=st.sampled_from(SCHEDULES),
    start=shares,
    full_at=st.floats(0.01, 1),
    steps=st.integers(1, 20),
)


@given(any_settings, shares, shares)
def test_it_never_falls(settings, one, other):
    before, after = sorted((one, other))
    assert settings.fraction(before) <= settings.fraction(after)


@given(any_settings, shares)
def test_its_ends(settings, progress):
    assert settings.fraction(0.0) == pytest.approx(settings.start)
    assert settings.start - 1e-9 <= settings.fraction(progress) <= 1.0
    assert settings.fraction(1.0) == 1.0
    if progress >= settings.full_at:
        assert settings.fraction(progress) == 1.0


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # progress 0, 1/8, 1/4, 3/8, 1/2, 3/4 of training; full at half of it
        ("linear", [0, 1 / 4, 1 / 2, 3 / 4, 1, 1]),
        ("step", [0, 0, 1 / 2, 1 / 2, 1, 1]),
        ("cosine", [0, (1 - math.sqrt(0.5)) / 2, 1 / 2, (1 + math.sqrt(0.5)) / 2, 1, 1]),
    ],
)
def test_the_three_shapes(schedule, expected):
    settings = MaskingSettings(schedule, full_at=0.5, steps=2)
    found = [settings.fraction(progress) for progress in (0, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4)]
    assert found == pytest.approx(expected)
    raised = MaskingSettings(schedule, full_at=0.5, steps=2, start=0.2)
    assert [raised.fraction(p) for p in (0, 1 / 4, 1)] == pytest.approx([0.2, 0.6, 1.0])


@given(st.integers(1, 12))
def test_step_has_as_many_values_below_one_as_jumps(steps):
    settings = MaskingSettings("step", full_at=1.0, steps=steps)
    found = {settings.fraction(number / 1000) for number in range(1000)}
    assert found == {jump / steps for jump in range(steps)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schedule": "sudden"}, "masking.schedule is 'sudden'; allowed: linear, step, cosine"),
        ({"mode": "hide"}, "masking.mode is 'hide'; allowed: auto, drop, blank"),
        ({"start": -0.1}, "masking.start is -0.1; allowed: 0 to 1"),
        ({"start": True}, "masking.start is True; allowed: 0 to 1"),
        ({"full_at": 0}, "masking.full_at is 0; allowed: above 0, to 1"),
        ({"full_at": 1.5}, "masking.full_at is 1.5; allowed: above 0, to 1"),
        ({"full_at": math.nan}, "masking.full_at is nan; allowed: above 0, to 1"),
        ({"steps": 0}, "masking.steps is 0; allowed: 1 or more"),
        ({"steps": 2.5}, "masking.steps is 2.5; allowed: 1 or more"),
        ({"hard_above": "0.7"}, "masking.hard_above is '0.7'; allowed: 0 to 1, or null"),
        ({"seed": 0.5}, "masking.seed is 0.5; allowed: a whole number"),
        ({"ful_at": 0.5}, "masking has unknown keys ['ful_at']; allowed: ['schedule', "),
    ],
)
def test_a_wrong_setting_is_named(values, message):
    with pytest.raises(ValueError) as error:
        MaskingSettings.from_mapping(values)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("progress", [-0.1, 1.1, math.nan, None])
def test_progress_is_a_share(progress):
    with pytest.raises(ValueError, match=r"progress is .*; allowed: 0 to 1"):
        MaskingSettings().fraction(progress)
