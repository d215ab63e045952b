import pytest

from temporal_plugin.search.conversation import VERIFY_PROMPTS, Limits
from temporal_plugin.search.rollout_settings import RolloutSettings, Verify

FRAMES = {"encoder": "siglip", "store": "folder"}


def read(**given) -> RolloutSettings:
    return RolloutSettings.from_mapping({"frames": FRAMES, **given}, tokens=900)


def test_defaults():
    found = read()
    assert found.frames == FRAMES
    assert found.limits == Limits(tokens=900)
    assert found.verify == Verify()
    assert dict(found.verify.prompts) == VERIFY_PROMPTS


def test_equal_settings_are_read_once():
    assert read(limits={"turns": 3}) is read(limits={"turns": 3})
    assert read(limits={"turns": 3}) is not read(limits={"turns": 4})


def test_what_is_given():
    found = read(limits={"turns": 3}, verify={"tokens": 8, "prompts": {"open": "answer_text"}})
    assert (found.limits.turns, found.limits.tokens) == (3, 900)
    assert found.verify.tokens == 8
    assert found.verify.prompt_for("open").name == "answer_text"
    assert found.verify.prompt_for("choice").name == "frames_choice"
    assert read(verify=None).verify is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"frames": None}, "search.frames is not set"),
        ({"turns": 3}, "search.turns; allowed: frames, limits, verify, seek_seconds"),
        ({"limits": {"tokens": 5}}, "search.limits.tokens; allowed: turns"),
        ({"limits": [1]}, "search.limits is"),
        ({"limits": {"turns": 1}}, "turns is 1; it must be 2 or more"),
        ({"verify": {"token": 5}}, "search.verify.token; allowed: tokens, prompts"),
        ({"verify": {"tokens": True}}, "tokens is True"),
        ({"verify": True}, "search.verify is True; it must be a mapping"),
        ({"seek_seconds": "long"}, "seek_seconds is 'long'"),
        ({"seek_seconds": -1}, "seek_seconds is -1"),
    ],
)
def test_what_is_wrong_is_named(given, says):
    with pytest.raises(ValueError, match=says):
        read(**given)


def test_a_task_without_a_template():
    with pytest.raises(ValueError, match="no template for the task 'x', only for grounding"):
        Verify().prompt_for("x")
