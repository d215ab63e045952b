"""Fixtures of the video tests."""

import threading

import pytest


@pytest.fixture(scope="session")
def together():
    """together(count, work): results of `work(number)` in threads that start at once."""

    def start(count, work):
        results = [None] * count
        barrier = threading.Barrier(count)

        def run(number):
            barrier.wait()
            try:
                results[number] = work(number)
            except Exception as error:  # the test looks at it
                results[number] = error

        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)
        return results

    return start
