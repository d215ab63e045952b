"""Seeded draws: the right distribution, and no influence of the rows beside."""

import torch

from temporal_plugin.integrations.transformers_sampling import SeededDraws, seeded_processors


def draw(scores, seeds, **settings):
    """The token that each row would be given; scores [V] for all rows."""
    rows = scores.repeat(len(seeds), 1)
    if settings:
        return seeded_processors(seeds, **settings)(torch.zeros(len(seeds), 1), rows).argmax(-1)
    return SeededDraws(seeds)(torch.zeros(len(seeds), 1), rows).argmax(-1)


def test_draws_follow_the_softmax():
    scores = torch.tensor([0.0, 1.0, 2.0, -1.0])
    counts = torch.bincount(draw(scores, range(20_000)), minlength=4) / 20_000
    assert torch.allclose(counts, scores.softmax(0), atol=0.015)  # four standard deviations


def test_temperature_top_k_and_top_p_hold():
    scores = torch.tensor([0.0, 1.0, 2.0, -1.0])
    plain = {"temperature": 1.0, "top_k": 0, "top_p": 1.0}
    cold = draw(scores, range(2000), **{**plain, "temperature": 0.5})
    expected = (scores / 0.5).softmax(0)
    assert torch.allclose(torch.bincount(cold, minlength=4) / 2000, expected, atol=0.045)
    assert set(draw(scores, range(500), **{**plain, "top_k": 2}).tolist()) == {1, 2}
    assert set(draw(scores, range(500), **{**plain, "top_p": 0.5}).tolist()) == {2}


def test_a_row_draws_the_same_whatever_stands_beside_it():
    scores = torch.randn(50, generator=torch.Generator().manual_seed(0))
    alone = [int(draw(scores, [seed])[0]) for seed in range(20)]
    assert draw(scores, list(range(20))).tolist() == alone
    assert draw(scores, list(reversed(range(20)))).tolist() == alone[::-1]
    assert len(set(alone)) > 5


def test_a_generator_goes_on_from_token_to_token():
    scores = torch.zeros(1, 1000)
    one, two = SeededDraws([3]), SeededDraws([3])
    first = [int(one(None, scores).argmax()) for _ in range(5)]
    assert first == [int(two(None, scores).argmax()) for _ in range(5)]
    assert len(set(first)) > 1


def test_a_forbidden_token_is_never_drawn():
    scores = torch.tensor([0.0, float("-inf"), 0.0])
    assert 1 not in draw(scores, range(2000)).tolist()
