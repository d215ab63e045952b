"""Random numbers that belong to a sample's id: no matter in which row it stands, or beside whom.

Hashes and integer arithmetic only, so that every version of Python and numpy draws the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

# the constants of splitmix64 (Steele, Lea and Flood 2014)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def id_hashes(ids: Sequence[str]) -> np.ndarray:
    """uint64 [N]: a hash of each id, the same in every process."""
    digests = [hashlib.blake2b(id.encode(), digest_size=8).digest() for id in ids]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def uniforms(hashes: np.ndarray, *salt: int | str) -> np.ndarray:
    """float64 [N] in (0, 1): one number per id hash, another one for every `salt`."""
    start = id_hashes([repr(salt)])
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        mixed = (hashes ^ start) + _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
        mixed ^= mixed >> np.uint64(31)
    return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def weighted_order(hashes: np.ndarray, log_weights: np.ndarray, *salt: int | str) -> np.ndarray:
    """int64 [N]: the order in which weighted draws without replacement take the ids.

    The first k are a draw of k, so that a larger k only adds. Each has an exponential waiting
    time of rate `weight` and the shortest come first (Efraimidis and Spirakis 2006); in logs,
    so that the smallest weight still decides. A weight of 0 (log: -inf) comes last.
    """
    waiting = np.log(-np.log(uniforms(hashes, *salt))) - log_weights
    return np.lexsort((hashes, waiting))
