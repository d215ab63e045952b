"""The published rewards of other systems, quirks included, for comparison runs only.

Each seed parses the response itself, as its authors' code does, and weighs its own parts. Where
that code has no defined value (a variable never set, the value of the sample before, a number
that is not finite) the part is 0.0 here. Text never raises and costs time linear in its length:
the regular expressions are replaced by searches that accept the same language.
"""

from temporal_plugin.rewards.compat.scoring import score_like, seed_named
from temporal_plugin.rewards.compat.seed import Seed
from temporal_plugin.rewards.compat.seeds import SEEDS

__all__ = ["SEEDS", "Seed", "score_like", "seed_named"]
