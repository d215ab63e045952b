"""Who made a file, whether that process is still there, and one builder at a time."""

import os
import subprocess
import sys
import time

import pytest

from temporal_plugin.video.frame_store import lock, names
from temporal_plugin.video.frame_store.lock import BuildLock
from temporal_plugin.video.frame_store.owner import Owner

KEY = "ab" + "0" * 62


def ended() -> Owner:
    """An owner that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    here = Owner.this_process()
    return Owner(here.machine, child.pid, here.start)


def elsewhere() -> Owner:
    return Owner("0123456789ab", os.getpid(), 1)


@pytest.fixture
def path(tmp_path):
    path = names.lock_path(tmp_path, KEY)
    path.parent.mkdir()
    return path


def test_an_owner_is_read_as_it_was_written():
    owner = Owner.this_process()
    assert Owner.parse(str(owner)) == owner
    for text in ("", "x", f"{owner}\n", f"{owner}"[:5], "../../etc-1-2"):
        assert Owner.parse(text) is None


def test_who_is_gone():
    here = Owner.this_process()
    assert here.gone() is False
    assert ended().gone() is True
    assert elsewhere().gone() is None
    if here.start:
        assert Owner(here.machine, here.pid, here.start - 1).gone() is True  # its number's heir


def test_only_one_takes_it(path, together):
    locks = [BuildLock(path) for _ in range(8)]
    assert sorted(together(8, lambda number: locks[number].take())) == [False] * 7 + [True]


def test_a_released_lock_is_free(path):
    first, second = BuildLock(path), BuildLock(path)
    assert first.take() and not second.take()
    first.release()
    assert second.take()


def test_nobody_releases_the_lock_of_another(path):
    first = BuildLock(path)
    assert first.take()
    path.write_text(str(elsewhere()))
    first.release()
    assert path.exists()


def test_a_dead_builders_lock_is_taken_over_at_once(path):
    path.write_text(str(ended()))
    start = time.monotonic()
    assert BuildLock(path).take_or_wait(lambda: False)
    assert time.monotonic() - start < 1
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


@pytest.mark.parametrize("content", ["", "cut of"])
def test_a_lock_whose_maker_died_writing_it(path, content, monkeypatch):
    monkeypatch.setattr(names, "UNWRITTEN_SECONDS", 0.1)
    path.write_text(content)
    assert BuildLock(path).take_or_wait(lambda: False)


def test_another_machines_lock_is_taken_over_when_it_was_watched_long_enough(path, monkeypatch):
    path.write_text(str(elsewhere()))
    other = BuildLock(path)
    assert not other.take_over()
    monkeypatch.setattr(lock, "UNKNOWN_SECONDS", 0.05)
    time.sleep(0.06)
    assert other.take_over()
    assert not path.exists()


def test_another_machines_old_lock_is_taken_over_at_once(path):
    path.write_text(str(elsewhere()))
    os.utime(path, (1, 1))
    assert BuildLock(path).take_over()


def test_a_living_builder_is_waited_for_but_not_for_ever(path, monkeypatch, caplog):
    assert BuildLock(path).take()
    answers = iter([False, False, True])
    assert not BuildLock(path).take_or_wait(lambda: next(answers))
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.05)
    assert not BuildLock(path).take_or_wait(lambda: False)
    assert "waited 0 s for" in caplog.text
    assert path.exists()


def test_a_fresh_lock_caught_by_mistake_is_put_back(path, monkeypatch):
    path.write_text(str(ended()))
    late = BuildLock(path)
    version = late._stale_version()
    assert BuildLock(path).take_or_wait(lambda: False)  # faster: the lock is a new one now
    monkeypatch.setattr(late, "_stale_version", lambda: version)
    late.take_over()
    assert path.read_text() == str(Owner.this_process())
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


def test_what_dead_processes_left_behind_is_found(path):
    folder = path.parent
    dead, living, foreign = ended(), Owner.this_process(), elsewhere()
    temporary = {who: folder / f"{KEY}.{who}.0123abcd.tmp" for who in (dead, living, foreign)}
    for file in temporary.values():
        file.touch()
    path.write_text(str(dead))
    assert set(names.left_behind(folder.parent)) == {temporary[dead], path}
    os.utime(temporary[foreign], (1, 1))
    assert set(names.left_behind(folder.parent)) == {temporary[dead], path, temporary[foreign]}
    path.write_text(str(living))
    assert path not in set(names.left_behind(folder.parent))
