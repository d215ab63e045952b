"""Evaluation metrics as the benchmarks define them, with denominators that never shrink.

An item function scores one answer: the same keys for every row, each value in [0, 1]. `means`
and its named forms average items over all questions; None stands for a failed request.
"""

from temporal_plugin.metrics.choices import (
    CHOICE_KEYS,
    GROUNDED_CHOICE_KEYS,
    choice_item,
    grounded_choice_item,
)
from temporal_plugin.metrics.grounding import GROUNDING_KEYS, THRESHOLDS, grounding_item
from temporal_plugin.metrics.means import (
    LOWER_IS_BETTER,
    UNNAMED,
    breakdown,
    choice,
    grounded_qa,
    grounding,
    means,
    moments,
    temporal_search,
    visual_search,
)
from temporal_plugin.metrics.moments import MOMENT_KEYS, moment_item
from temporal_plugin.metrics.search import (
    SEARCH_KEYS,
    VISUAL_SEARCH_KEYS,
    temporal_search_item,
    visual_f1,
    visual_search_item,
)
from temporal_plugin.metrics.ssim import pairwise_ssim
from temporal_plugin.metrics.uncertainty import paired_bootstrap, stderr

__all__ = [
    "CHOICE_KEYS",
    "GROUNDED_CHOICE_KEYS",
    "GROUNDING_KEYS",
    "LOWER_IS_BETTER",
    "MOMENT_KEYS",
    "SEARCH_KEYS",
    "THRESHOLDS",
    "UNNAMED",
    "VISUAL_SEARCH_KEYS",
    "breakdown",
    "choice",
    "choice_item",
    "grounded_choice_item",
    "grounded_qa",
    "grounding",
    "grounding_item",
    "means",
    "moment_item",
    "moments",
    "paired_bootstrap",
    "pairwise_ssim",
    "stderr",
    "temporal_search",
    "temporal_search_item",
    "visual_f1",
    "visual_search",
    "visual_search_item",
]
