"""Filling a store in processes and on Ray: nothing twice, and bad videos fail alone."""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from temporal_plugin.spans import Span
from temporal_plugin.video.frame_store import FrameStore, build, names
from temporal_plugin.video.frame_store.build import Done, Job
from temporal_plugin.video.sampling import Sampling

SAMPLING = Sampling(fps=1.0)


def build_fake(store: FrameStore, job: Job) -> Done:
    """Stands for `build_one` in a worker: "dies" ends the worker."""
    if "dies" in job.path:
        os.kill(os.getpid(), signal.SIGKILL)
    if "fails" in job.path:
        return Done(job, "failed", job.path)
    if "full" in job.path:
        return Done(job, "unwritable", job.path)
    return Done(job, "built")


@pytest.fixture
def jobs(clock_video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    return [
        Job(str(clock_video), SAMPLING),
        Job(str(clock_video), SAMPLING, Span(0, 4)),
        Job(str(clock_video), SAMPLING, patch_size=16),
        Job(str(broken), SAMPLING),
        Job(str(tmp_path / "gone.mp4"), SAMPLING),
    ]


def states(results):
    return Counter(done.state for done in results)


def test_one_job_in_this_process(tmp_path, jobs):
    store = FrameStore(tmp_path / "store")
    results = [build.build_one(store, job) for job in jobs]
    assert [done.state for done in results] == ["built"] * 3 + ["failed"] * 2
    assert "broken.mp4" in results[3].reason
    assert "gone.mp4: no such video file" in results[4].reason
    assert results[0].bytes == store.load(jobs[0].path, SAMPLING).pixels.nbytes
    assert len(list(names.entries(store.folder))) == 3


def test_a_job_that_does_not_fit_and_one_that_cannot_be_written(tmp_path, jobs):
    done = build.build_one(FrameStore(tmp_path / "small", max_bytes=100), jobs[0])
    assert (done.state, "max_bytes 100); raise the limit" in done.reason) == ("failed", True)
    (tmp_path / "file").touch()
    done = build.build_one(FrameStore(tmp_path / "file" / "store"), jobs[0])
    assert (done.state, "cannot be written" in done.reason) == ("unwritable", True)


def test_what_is_there_is_skipped_without_any_worker(tmp_path, jobs, monkeypatch):
    store = FrameStore(tmp_path / "store")
    for job in jobs[:3]:
        build.build_one(store, job)
    monkeypatch.setattr(build, "in_processes", None)
    assert states(build.build(store, jobs[:3])) == {"there": 3}


@pytest.mark.slow
def test_processes_build_all_and_resume(tmp_path, jobs):
    store = FrameStore(tmp_path / "store")
    assert states(build.build(store, jobs, workers=2)) == {"built": 3, "failed": 2}
    before = {path: path.stat().st_ino for _, path in names.entries(store.folder)}
    assert states(build.build(store, jobs, workers=2)) == {"there": 3, "failed": 2}
    assert before == {path: path.stat().st_ino for _, path in names.entries(store.folder)}


@pytest.mark.slow
def test_a_video_that_ends_its_worker_fails_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "build_one", build_fake)
    monkeypatch.setattr(build, "_start_worker", os.getpid)
    listed = ["a", "dies1", "b", "fails", "c", "d", "e"]
    results = list(
        build.build(FrameStore(tmp_path), [Job(name, SAMPLING) for name in listed], workers=2)
    )
    assert sorted(done.job.path for done in results) == sorted(listed)
    bad = {done.job.path: done.reason for done in results if done.state == "failed"}
    assert set(bad) == {"dies1", "fails"}
    assert "the process that decoded it ended" in bad["dies1"]


@pytest.mark.slow
def test_a_full_disk_ends_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "build_one", build_fake)
    monkeypatch.setattr(build, "_start_worker", os.getpid)
    listed = ["a", "full", *"bcdefgh"]
    results = list(build.build(FrameStore(tmp_path), [Job(name, SAMPLING) for name in listed]))
    assert results[-1].state == "unwritable"
    assert len(results) < len(listed)


@pytest.mark.slow
def test_ray_builds_all(tmp_path, jobs, monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setenv("PYTHONPATH", f"{Path(build.__file__).parents[3]}")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        store = FrameStore(tmp_path / "store")
        assert states(build.build(store, jobs, ray=True)) == {"built": 3, "failed": 2}
        assert states(build.build(store, jobs[:3], ray=True)) == {"there": 3}
        assert ray.is_initialized()  # it was the caller's
    finally:
        ray.shutdown()
    assert store.verify().entries == 3


class FakeRay:
    """As much of Ray as the builder uses: tasks run when they are waited for."""

    class exceptions:
        class RayError(Exception):
            pass

    def __init__(self, processors):
        self.processors, self.most_waiting, self.started = processors, 0, False

    def is_initialized(self):
        return self.started

    def init(self, **_options):
        self.started = True

    def shutdown(self):
        self.started = False

    def cluster_resources(self):
        return {"CPU": float(self.processors)}

    def remote(self, **options):
        assert options["num_cpus"] == 1

        class Task:
            def __init__(self, function):
                self.function = function

            def remote(self, *arguments):
                return (self.function, arguments)

        return Task

    def wait(self, references, num_returns):
        self.most_waiting = max(self.most_waiting, len(references))
        return references[-num_returns:], references[:-num_returns]

    def get(self, reference):
        function, arguments = reference
        if "dies" in arguments[1].path:
            raise self.exceptions.RayError("the worker died")
        return function(*arguments)


def test_tasks_are_handed_to_a_cluster_a_few_at_a_time(tmp_path, monkeypatch):
    ray = FakeRay(processors=2)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(build, "build_one", build_fake)
    listed = ["a", "dies", *"bcdefgh", "fails"]
    results = list(
        build.build(FrameStore(tmp_path), [Job(name, SAMPLING) for name in listed], ray=True)
    )
    assert sorted(done.job.path for done in results) == sorted(listed)
    assert {done.job.path for done in results if done.state == "failed"} == {"dies", "fails"}
    assert ray.most_waiting == build.AHEAD * 2
    assert not ray.started  # what was started here was ended here


def test_without_ray_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match="pip install ray"):
        list(build.build(FrameStore(tmp_path), [Job("a", SAMPLING)], ray=True))
