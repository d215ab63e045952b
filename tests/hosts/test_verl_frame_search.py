"""The search actors in a real Ray cluster: shared, restarted, and never ended by a video."""

import asyncio
import os
import signal

import numpy as np
import pytest
import ray

from temporal_plugin.integrations.verl_frame_search import RayClient, frame_search
from temporal_plugin.search.client import LocalClient, SearchUnavailable
from temporal_plugin.spans import Span

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def settings(siglip_folder, tmp_path_factory):
    return {
        "encoder": str(siglip_folder),
        "store": str(tmp_path_factory.mktemp("store")),
        "sampling": {"min_pixels": 28 * 28, "max_pixels": 56 * 56},
        "replicas": 2,
        "threads": 1,
        "call_seconds": 300,
    }


def actors(client: RayClient) -> list[int]:
    """Process ids of the client's actors."""
    return [
        ray.get(actor.__ray_call__.remote(lambda self: os.getpid()))
        for actor in client._actors.values()
    ]


async def warm(client, video):
    """Start every replica."""
    for number in range(client.settings.replicas):
        await client._replica(number)
    return await client.seek(video, "a red square", 0, 12, 4)


def test_the_actors_find_what_this_process_finds(cluster, settings, scenes_video):
    client, own = frame_search(settings), frame_search({**settings, "replicas": 0})
    assert (type(client), type(own)) == (RayClient, LocalClient)
    call = (scenes_video, "a blue door", 1.0, 9.5, 5, Span(2.0, 11.0))

    async def both():
        return await asyncio.gather(client.seek(*call), own.seek(*call))

    found, expected = asyncio.run(both())
    assert found.indices == expected.indices
    assert np.array_equal(found.pts_seconds, expected.pts_seconds)
    assert (found.pixels == expected.pixels).all()
    assert found.clip == Span(2.0, 11.0)
    found.pixels[:] = 0  # not Ray's read-only memory


def test_clients_share_the_actors_of_equal_settings(cluster, settings, scenes_video):
    first, second = frame_search(settings), frame_search(dict(reversed(settings.items())))
    other = frame_search({**settings, "fps": 1.0, "replicas": 1})
    patient = frame_search({**settings, "retries": 9, "replicas": 1})
    for client in (first, second, other, patient):
        asyncio.run(warm(client, scenes_video))
    assert sorted(actors(first)) == sorted(actors(second))
    assert set(actors(patient)) < set(actors(first))
    assert not set(actors(first)) & set(actors(other))


def test_a_killed_actor_costs_a_retry(cluster, settings, scenes_video):
    """Both are killed, one after the other, while many calls are under way."""
    client = frame_search(settings)

    async def rollouts():
        await warm(client, scenes_video)
        killed = actors(client)
        calls = [
            asyncio.create_task(client.seek(scenes_video, "a red square", 0, 6 + step / 10, 4))
            for step in range(40)
        ]
        await asyncio.sleep(0.05)
        os.kill(killed[0], signal.SIGKILL)
        found = await asyncio.gather(*calls)
        os.kill(killed[1], signal.SIGKILL)
        found += await asyncio.gather(
            *(client.seek(scenes_video, "a door", 0, 12, 3) for _ in range(4))
        )
        return killed, found

    killed, found = asyncio.run(rollouts())
    assert [len(frames) for frames in found] == [4] * 40 + [3] * 4
    assert client.counts["calls"] == 45
    assert client.counts["retries"] >= 1
    asyncio.run(warm(client, scenes_video))
    now = actors(client)
    assert len(now) == 2
    assert not set(now) & set(killed)


def test_a_bad_video_is_its_callers_error_only(cluster, settings, scenes_video, tmp_path):
    """Neither a cut-off nor a missing file nor a bad question ends an actor."""
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(scenes_video.read_bytes()[:1500])
    noise = tmp_path / "noise.mp4"
    data = bytearray(scenes_video.read_bytes())
    data[1500:] = os.urandom(len(data) - 1500)
    noise.write_bytes(data)
    client = frame_search(settings)

    async def rollouts():
        await warm(client, scenes_video)
        before = actors(client)
        calls = [
            client.seek(cut, "a door", 0, 5, 2),
            client.seek(noise, "a door", 0, 12, 2),
            client.seek(tmp_path / "none.mp4", "a door", 0, 5, 2),
            client.seek(scenes_video, "a door", 50, 60, 2),
            client.seek(scenes_video, "  ", 0, 5, 2),
            client.seek(scenes_video, "a door", 0, 5, 2),
        ]
        return before, await asyncio.gather(*calls, return_exceptions=True)

    before, found = asyncio.run(rollouts())
    assert [type(one).__name__ for one in found] == [
        *["VideoError"] * 3,
        *["SearchError"] * 2,
        "Frames",
    ], found
    assert "none.mp4: no such video file" in str(found[2])
    assert "the video ends at 12.0 s" in str(found[3])
    assert sorted(actors(client)) == sorted(before)
    assert client.counts["retries"] == 0


def test_an_actor_that_is_gone_for_good_is_made_again(cluster, settings, scenes_video):
    client = frame_search({**settings, "replicas": 1})
    asyncio.run(warm(client, scenes_video))
    before = actors(client)
    ray.kill(client._actors[0], no_restart=True)
    found = asyncio.run(client.seek(scenes_video, "a red square", 0, 12, 4))
    assert len(found) == 4
    assert client.counts["retries"] == 1
    assert actors(client) != before


def test_a_video_that_ends_every_actor_is_given_up(cluster, settings, scenes_video, monkeypatch):
    client = frame_search({**settings, "replicas": 2, "retries": 2})

    async def rollout():
        await warm(client, scenes_video)

        async def die(number, arguments):
            actor = await client._replica(number)
            await actor.__ray_call__.remote(lambda self: os._exit(1))

        monkeypatch.setattr(client, "_ask", die)
        with pytest.raises(SearchUnavailable, match="3 search actors in turn ended while they"):
            await client.seek(scenes_video, "a red square", 0, 12, 4)
        monkeypatch.undo()
        return await client.seek(scenes_video, "a red square", 0, 12, 4)

    assert len(asyncio.run(rollout())) == 4
    assert client.counts["retries"] >= 2


def test_what_cannot_start_is_said(cluster, settings, scenes_video, tmp_path):
    nowhere = {"encoder": str(tmp_path / "nowhere"), "replicas": 1}
    missing = frame_search({**settings, **nowhere})
    with pytest.raises(ValueError, match=r"the frame search cannot start: OSError.*nowhere"):
        asyncio.run(missing.seek(scenes_video, "a door"))
    greedy = frame_search({**settings, "gpus": 64, "start_seconds": 2})
    with pytest.raises(SearchUnavailable, match=r"did not start in 2 s.*0 CPU and 64 GPU"):
        asyncio.run(greedy.seek(scenes_video, "a door"))
    slow = frame_search({**settings, "call_seconds": 0.001, "replicas": 1})
    with pytest.raises(SearchUnavailable, match=r"no frames of .*scenes.mp4 after 0.001 s"):
        asyncio.run(slow.seek(scenes_video, "a door"))
    assert slow.counts == {"calls": 1, "timeouts": 1}


def test_without_a_cluster_it_says_how_to_go_on(settings, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(RuntimeError, match=r"call ray.init\(\) first, or set search.replicas to 0"):
        frame_search(settings)
