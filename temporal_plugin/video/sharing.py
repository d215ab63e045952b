"""One computation for all threads that ask at once, and a memory of bounded size."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Shared(Generic[Value]):
    """Runs a computation once for all threads that ask for it while it runs."""

    def __init__(self) -> None:
        self._running: dict[Hashable, Future] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """The result of `compute()`, by whichever thread asked first; errors go to all of them."""
        if self._pid != os.getpid():  # a forked child has the table but not the threads
            self.__init__()
        with self._lock:
            future = self._running.get(key)
            mine = future is None
            if mine:
                future = self._running[key] = Future()
        if not mine:
            return future.result()
        try:
            future.set_result(compute())
        except BaseException as error:  # Ctrl-C too: those who wait must not wait for ever
            future.set_exception(error)
        finally:
            with self._lock:
                del self._running[key]
        return future.result()


class Memory(Generic[Value]):
    """The most recently used values, as many as fit into `max_bytes`; safe from any thread."""

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes is {max_bytes}; it must be 0 (keep nothing) or more")
        self.max_bytes = max_bytes
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.RLock()
        self._pid = os.getpid()

    def get(self, key: Hashable) -> Value | None:
        """The value, now the most recently used, or None."""
        if self._pid != os.getpid():  # another thread may have held the lock at the fork
            self.__init__(self.max_bytes)
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Keep `value` of `size` bytes; what was used longest ago makes room for it."""
        if self._pid != os.getpid():
            self.__init__(self.max_bytes)
        with self._lock:
            self._bytes -= self._values.pop(key, (None, 0))[1]
            if size > self.max_bytes:
                return
            self._values[key] = (value, size)
            self._bytes += size
            while self._bytes > self.max_bytes:
                _, (_, freed) = self._values.popitem(last=False)
                self._bytes -= freed

    def __len__(self) -> int:
        return len(self._values)
