"""Straightforward references that share nothing with the package.

Spans have whole-number ends here, so that a span is the set of unit cells it covers and every
measure is a count.
"""

import math


def cells(pairs):
    return {cell for start, end in pairs for cell in range(start, end)}


def iou(a, b):
    one, other = cells(a), cells(b)
    if one or other:
        return len(one & other) / len(one | other)
    return float(bool(a) and sorted(set(a)) == sorted(set(b)))  # moments without length


def iop(pair, true):
    covered = cells([pair])
    if not covered:
        return float(true[0] <= pair[0] <= true[1])
    return len(covered & cells([true])) / len(covered)


def average_precision(ious, threshold):
    """Mean over recall levels k / P of the best precision at that recall or beyond it."""
    if not ious:
        return 0.0
    positives = len(ious[0])
    taken = [False] * positives
    points = []  # (true positives so far, precision)
    hits = 0
    for rank, row in enumerate(ious, 1):
        for j in sorted(range(positives), key=lambda j: (-row[j], -j)):
            if row[j] >= threshold and not taken[j]:
                taken[j] = True
                hits += 1
                break
        points.append((hits, hits / rank))
    return (
        sum(
            max([precision for found, precision in points if found >= k], default=0.0)
            for k in range(1, positives + 1)
        )
        / positives
    )


def search(predicted, truth, tolerance):
    predicted = sorted(set(predicted))
    if not predicted:
        return 0.0, 0.0, 0.0
    precision = sum(min(abs(p - t) for t in truth) <= tolerance for p in predicted) / len(predicted)
    recall = sum(min(abs(p - t) for p in predicted) <= tolerance for t in truth) / len(truth)
    f1 = 0.0 if precision == recall == 0 else 2 / (1 / precision + 1 / recall)
    return precision, recall, f1


def stderr(values, clusters):
    """The double sum of Miller's equation 4, term by term."""
    n = len(values)
    mean = sum(values) / n
    plain = sum((v - mean) ** 2 for v in values) / (n - 1) / n
    cross = sum(
        (values[i] - mean) * (values[j] - mean)
        for i in range(n)
        for j in range(n)
        if i != j and clusters[i] == clusters[j]
    )
    return math.sqrt(max(0.0, plain + cross / n**2))
