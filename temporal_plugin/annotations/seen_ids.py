"""Which ids came before, in 24 to 48 bytes an id instead of the 200 of a dict of strings."""

from __future__ import annotations

from array import array

_FIRST_SLOTS = 1 << 10


class SeenIds:
    """Remembers the number of the row at which each id came first.

    Ids are told apart by their 64-bit hash: among a million different ones two are taken for
    the same with a probability of 3e-8.
    """

    def __init__(self) -> None:
        self._count = 0
        self._clear(_FIRST_SLOTS)

    def __len__(self) -> int:
        return self._count

    def first(self, id: str, number: int) -> int:
        """The number of the row where `id` came first: `number` itself if it is new.

        Numbers are from 0 to 2**32 - 1.
        """
        if 2 * self._count >= len(self._hashes):
            self._grow()
        slot, found = self._slot(hash(id) or 1)  # 0 marks a free slot
        if found:
            return self._numbers[slot]
        self._hashes[slot] = hash(id) or 1
        self._numbers[slot] = number
        self._count += 1
        return number

    def _slot(self, key: int) -> tuple[int, bool]:
        """The slot of `key` and whether it is taken by it; neighbours are tried in turn."""
        mask = len(self._hashes) - 1
        slot = key & mask
        while True:
            there = self._hashes[slot]
            if there == key:
                return slot, True
            if there == 0:
                return slot, False
            slot = (slot + 1) & mask

    def _grow(self) -> None:
        hashes, numbers = self._hashes, self._numbers
        self._clear(2 * len(hashes))
        for key, number in zip(hashes, numbers, strict=True):
            if key:
                slot, _ = self._slot(key)
                self._hashes[slot] = key
                self._numbers[slot] = number

    def _clear(self, slots: int) -> None:
        self._hashes = array("q", (0,)) * slots
        self._numbers = array("I", (0,)) * slots
