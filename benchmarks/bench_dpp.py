"""Choosing 8 of N frames: our lazy greedy choice against one that forms the N x N kernel.

    python benchmarks/bench_dpp.py

Random features are the worst case for speed of ours after equal ones; "scenes" are frames around
40 centres, as alike as those of a video. One thread. The floor is reading the features once.
"""

import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402  (after the number of threads)

from temporal_plugin.search.dpp import relevance, select  # noqa: E402

DIMENSIONS, K, REPEATS = 1152, 8, 7


def rows(generator: np.random.Generator, count: int, centres: int | None) -> np.ndarray:
    found = generator.standard_normal((count, DIMENSIONS), dtype=np.float32)
    if centres:
        middle = generator.standard_normal((centres, DIMENSIONS), dtype=np.float32)
        found = middle[np.sort(generator.integers(0, centres, count))] + 0.3 * found
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def dense(features: np.ndarray, query: np.ndarray) -> list[int]:
    """The incremental algorithm on the whole kernel."""
    weights = relevance(features, query)
    kernel = (features @ features.T) * weights[:, None] * weights[None, :]
    gains, table, chosen = np.diag(kernel).copy(), np.zeros((K, len(kernel))), []
    for step in range(K):
        best = int(np.argmax(gains))
        chosen.append(best)
        entry = (kernel[best] - table[:step, best] @ table[:step]) / np.sqrt(gains[best])
        table[step] = entry
        gains = gains - entry**2
        gains[chosen] = -1.0
    return sorted(chosen)


def milliseconds(work, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    generator = np.random.default_rng(0)
    print(f"{'frames':>8} {'kind':>8} {'floor ms':>9} {'ours ms':>8} {'dense ms':>9} {'ratio':>7}")
    for count in (2048, 8192):
        for kind, centres in (("scenes", 40), ("random", None), ("equal", 1)):
            features = rows(generator, count, centres)
            if kind == "equal":
                features[:] = features[0]
            query = rows(generator, 1, None)[0]
            floor = milliseconds(lambda: features @ query, REPEATS)  # noqa: B023
            ours = milliseconds(lambda: select(features, query, K), REPEATS)  # noqa: B023
            other, ratio = "-", "-"
            if kind != "equal" and count == 2048:
                assert select(features, query, K) == dense(features, query)
                slow = milliseconds(lambda: dense(features, query), 2)  # noqa: B023
                other, ratio = f"{slow:.0f}", f"1/{slow / ours:.0f}"
            print(f"{count:>8} {kind:>8} {floor:>9.2f} {ours:>8.2f} {other:>9} {ratio:>7}")


if __name__ == "__main__":
    main()
