"""Several sources in the proportions of their weights.

No row is repeated: the mix ends with the source that runs out first. At every point of it the
shares are as close to the weights as whole rows allow, so that a part of an epoch is mixed like
all of it. Nothing is random, so the same sources give the same mix everywhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence


def mix(available: Sequence[int], weights: Sequence[float]) -> Iterator[int]:
    """The number of the source that each row of the mix comes from.

    Args:
        available: rows of each source.
        weights: of each source, above 0; only their proportions matter.
    """
    # Next is the source that would lag furthest behind its share; the earlier one among equals.
    queue = [(1 / weight, number) for number, weight in enumerate(weights)]
    heapq.heapify(queue)
    taken = [0] * len(queue)
    while queue:
        _, number = queue[0]
        if taken[number] == available[number]:
            return
        taken[number] += 1
        yield number
        heapq.heapreplace(queue, ((taken[number] + 1) / weights[number], number))
