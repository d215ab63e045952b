import pytest

from temporal_plugin.rewards.search import PARTS, WEIGHTS, completeness, search_weights


@pytest.mark.parametrize(
    ("accuracy", "verified", "code", "paper"),
    [
        (1.0, 1.0, 1.0, 1.0),
        (1.0, 0.0, 0.0, 0.0),
        (0.0, 1.0, 0.0, 0.0),
        (0.6, 0.7, 1.0, 0.7),
        (0.5, 1.0, 0.0, 0.0),  # above a half, not at it
        (0.9, 0.5, 0.0, 0.5),
        (1.0, None, 0.0, 0.0),
        (0.0, None, 0.0, 0.0),
    ],
)
def test_completeness(accuracy, verified, code, paper):
    assert completeness(accuracy, verified) == code
    assert completeness(accuracy, verified, variant="paper") == paper


def test_the_published_weights():
    assert WEIGHTS["code"] == {"format": 1.0, "accuracy": 0.5, "completeness": 0.5}
    assert WEIGHTS["paper"] == dict.fromkeys(PARTS, 1.0)
    assert search_weights(None, "paper") == WEIGHTS["paper"]
    assert search_weights({"format": 0.1}, "code") == {**WEIGHTS["code"], "format": 0.1}


@pytest.mark.parametrize(
    ("weights", "variant", "says"),
    [
        ({"csv": 1.0}, "code", "'csv' is no part"),
        ({"format": "1"}, "code", "it must be a number"),
        ({"format": True}, "code", "it must be a number"),
        ({"format": float("nan")}, "code", "it must be finite"),
        (None, "v7", "use one of: code, paper"),
    ],
)
def test_wrong_weights(weights, variant, says):
    with pytest.raises(ValueError, match=says):
        search_weights(weights, variant)


def test_a_wrong_variant_of_completeness():
    with pytest.raises(ValueError, match="use one of: code, paper"):
        completeness(1.0, 1.0, variant="v7")
