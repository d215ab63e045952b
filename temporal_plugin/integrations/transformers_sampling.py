"""Sampling in which each row of a batch draws from its own seeded generator."""

from collections.abc import Sequence

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

SMALLEST = 1e-30  # an exponential variate of 0 would have an infinite logarithm


class SeededDraws(LogitsProcessor):
    """Adds Gumbel noise, after which the greedy choice is a draw from the softmax of the scores.

    transformers itself draws all rows from one generator, so that a row's answer would depend on
    the rows that happen to stand beside it.

    Args:
        seeds: one per row of the batch.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        # scores [B, V]
        waiting = torch.stack(
            [
                torch.empty(scores.shape[1], dtype=torch.float64).exponential_(generator=generator)
                for generator in self._generators
            ]
        )
        return scores - waiting.clamp_min(SMALLEST).log().to(scores.device, scores.dtype)


def seeded_processors(
    seeds: Sequence[int], *, temperature: float, top_k: int, top_p: float
) -> LogitsProcessorList:
    """What to hand `generate(do_sample=False)`, so that it samples with a seed per row.

    Args:
        seeds: one per row of the batch.
        temperature: above 0.
        top_k: 0 for none.
        top_p: 1 for none.
    """
    processors = LogitsProcessorList([TemperatureLogitsWarper(temperature)])
    if top_k > 0:
        processors.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        processors.append(TopPLogitsWarper(top_p))
    processors.append(SeededDraws(seeds))
    return processors
