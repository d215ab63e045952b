"""The rewards of a search over several turns: format, accuracy and completeness.

After GRPO-CSV (TimeSearch-R, arXiv 2511.05489, section 4): a policy answers, then answers again
from the frames that it searched alone. The second answer can only be right if the search brought
what the question needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

VARIANTS = ("code", "paper")
PARTS = ("format", "accuracy", "completeness")
WEIGHTS: dict[str, dict[str, float]] = {
    "code": {"format": 1.0, "accuracy": 0.5, "completeness": 0.5},
    "paper": {"format": 1.0, "accuracy": 1.0, "completeness": 1.0},
}
"""Published weights by variant."""
RIGHT = 0.5
"""An answer counts as right where its accuracy, in [0, 1], is above this."""


def completeness(accuracy: float, verified: float | None, *, variant: str = "code") -> float:
    """What the second answer earns, in [0, 1].

    Args:
        accuracy: of the answer, in [0, 1].
        verified: of the second answer, in [0, 1]; None where nothing was searched: earns nothing.
        variant: "code" gives 1.0 where both are right; "paper" gives `verified` where the
            answer is right.

    Raises:
        ValueError: an unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant is {variant!r}; use one of: {', '.join(VARIANTS)}.")
    if verified is None or not accuracy > RIGHT:
        return 0.0
    return float(verified > RIGHT) if variant == "code" else float(verified)


def search_weights(given: Mapping[str, float] | None, variant: str) -> dict[str, float]:
    """The weights of PARTS: those published for the variant, changed by those given.

    Raises:
        ValueError: an unknown variant or part, or a weight that is no finite number.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant is {variant!r}; use one of: {', '.join(VARIANTS)}.")
    weights = dict(WEIGHTS[variant])
    for name, value in dict(given or {}).items():
        if name not in PARTS:
            raise ValueError(f"reward {name!r} is no part of a search; use {', '.join(PARTS)}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"the weight of {name!r} is {value!r}; it must be a number.")
        if not math.isfinite(value):
            raise ValueError(f"the weight of {name!r} is {value!r}; it must be finite.")
        weights[name] = float(value)
    return weights
