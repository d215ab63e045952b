"""One computation for many threads, and a memory that stays within its bytes."""

import threading

import pytest

from temporal_plugin.video.sharing import Memory, Shared


def test_threads_that_ask_at_once_share_one_computation(together):
    shared, calls, go = Shared(), [], threading.Event()

    def compute():
        calls.append(1)
        go.wait(0.3)  # long enough for all to ask
        return object()

    results = together(8, lambda _: shared.get("key", compute))
    assert len(calls) == 1
    assert len({id(result) for result in results}) == 1


def test_different_keys_run_side_by_side(together):
    shared, barrier = Shared(), threading.Barrier(4)
    # each computation waits for the other three: one after the other would never end
    assert sorted(together(4, lambda n: shared.get(n, lambda: barrier.wait(10)))) == [0, 1, 2, 3]


def test_an_error_reaches_all_and_is_not_kept(together):
    shared, go = Shared(), threading.Event()

    def fail():
        go.wait(0.3)
        raise ValueError("no frames")

    results = together(4, lambda _: shared.get("key", fail))
    assert [str(error) for error in results] == ["no frames"] * 4
    assert shared.get("key", lambda: 1) == 1


def test_memory_forgets_what_was_used_longest_ago():
    memory = Memory(10)
    for name in "abc":
        memory.put(name, name, 3)
    assert memory.get("a") == "a"
    memory.put("d", "d", 3)
    assert [memory.get(name) for name in "abcd"] == ["a", None, "c", "d"]


def test_memory_counts_a_replaced_value_once_and_leaves_out_what_is_too_large():
    memory = Memory(10)
    memory.put("a", 1, 6)
    memory.put("a", 2, 6)
    memory.put("b", 3, 4)
    memory.put("c", 4, 11)
    assert [memory.get(name) for name in "abc"] == [2, 3, None]


def test_memory_may_be_nothing_but_not_negative():
    memory = Memory(0)
    memory.put("a", 1, 1)
    assert len(memory) == 0
    with pytest.raises(ValueError, match="max_bytes is -1; it must be 0"):
        Memory(-1)
