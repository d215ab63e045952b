"""Settings as YAML gives them, and the client that searches in this process."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from temporal_plugin.search.client import local_search
from temporal_plugin.search.frame_search import SearchError
from temporal_plugin.search.settings import SearchSettings
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.sampling import Sampling

LEAST = {"encoder": "siglip", "store": "frames"}


@pytest.mark.parametrize(
    "settings, message",
    [
        ({**LEAST, "encodr": "a"}, "unknown search setting ['encodr']; allowed: ['encoder',"),
        ({}, "search.encoder is not set and search.method is 'dpp'; name a dual encoder"),
        ({"encoder": "a"}, "search.store is not set and search.method is 'dpp'; name a folder"),
        ({**LEAST, "method": "best"}, "search.method is 'best'; allowed: ('dpp',"),
        ({**LEAST, "dtype": "half"}, "search.dtype is 'half'; allowed: ('auto',"),
        ({**LEAST, "fps": 0}, "search.fps is 0; it must be a number from 0.001 to 1000"),
        ({**LEAST, "fps": float("nan")}, "search.fps is nan"),
        ({**LEAST, "fps": "2"}, "search.fps is '2'; it must be a number"),
        ({**LEAST, "replicas": 1.5}, "search.replicas is 1.5; it must be a whole number"),
        ({**LEAST, "replicas": True}, "search.replicas is True"),
        ({**LEAST, "concurrency": 0}, "search.concurrency is 0; it must be a whole number from 1"),
        ({**LEAST, "gpus": -0.5}, "search.gpus is -0.5"),
        ({**LEAST, "sampling": 3}, "search.sampling is 3; needed: a mapping"),
        ({**LEAST, "sampling": {"fsp": 2}}, "unknown sampling setting ['fsp']"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SearchSettings.from_mapping(settings)


def test_settings_of_hydra_are_taken():
    from omegaconf import OmegaConf

    config = OmegaConf.create({**LEAST, "sampling": {"max_pixels": 3136}, "fps": 1, "gpus": 0.25})
    found = SearchSettings.from_mapping(config)
    assert found.sampling == Sampling(max_pixels=3136)
    assert (found.fps, found.gpus, found.replicas, found.method) == (1, 0.25, 2, "dpp")
    assert SearchSettings.from_mapping({"method": "uniform"}).open().encoder is None


def test_calls_run_side_by_side_and_fail_alone(siglip_folder, scenes_video, tmp_path):
    client = local_search({"encoder": str(siglip_folder), "store": str(tmp_path)})

    async def rollouts():
        calls = [client.seek(scenes_video, "a red square", 0, 6, 3) for _ in range(6)]
        calls += [client.seek(tmp_path / "none.mp4", "a"), client.seek(scenes_video, "")]
        return await asyncio.gather(*calls, return_exceptions=True)

    found = asyncio.run(rollouts())
    assert [len(frames) for frames in found[:6]] == [3] * 6
    assert [type(error) for error in found[6:]] == [VideoError, SearchError]
    assert client.counts == {"calls": 8}
    client.close()
    assert client._search is None


def test_the_encoder_is_loaded_once(siglip_folder, scenes_video, tmp_path, monkeypatch):
    client = local_search({"encoder": str(siglip_folder), "store": str(tmp_path)})
    loads, load = [], SearchSettings.open

    def open_search(settings):
        loads.append(settings)
        return load(settings)

    monkeypatch.setattr(SearchSettings, "open", open_search)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client._seek(scenes_video, "a door", 0.0, 5.0, 2, None), range(4)))
    assert len(loads) == 1
