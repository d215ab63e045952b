"""Videos as EasyR1 passes them around, without EasyR1."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.integrations.easyr1_dataset import parts
from temporal_plugin.integrations.easyr1_rollout import timed_llm, timed_prompt
from temporal_plugin.integrations.easyr1_settings import VARIABLE, Settings
from temporal_plugin.integrations.easyr1_video import (
    below,
    entry_of,
    load,
    name_of,
    names_of,
    patches_of,
    planned,
    stand_in,
    told_fps,
)
from temporal_plugin.spans import Span
from temporal_plugin.video import source
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.timing import clock_metadata

SAMPLING = Sampling(fps=2.0, min_pixels=3136, max_pixels=3136)


class TestSettings:
    def test_through_the_environment(self, monkeypatch):
        settings = Settings(sampling={"fps": 1.0}, frame_store="/a", on_bad_video="skip")
        for name, value in settings.to_environment().items():
            monkeypatch.setenv(name, value)
        assert Settings.from_environment() == settings

    def test_a_process_that_the_launcher_did_not_start(self, monkeypatch):
        monkeypatch.delenv(VARIABLE, raising=False)
        with pytest.raises(RuntimeError, match="start EasyR1 with `python -m temporal_plugin"):
            Settings.from_environment()

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"promt": "answer"}, r"unknown temporal setting \['promt'\]; allowed: \['prompt'"),
            ({"on_bad_video": "drop"}, "on_bad_video is 'drop'; allowed: "),
            ({"sampling": {"frames": 3}}, r"unknown sampling setting \['frames'\]"),
        ],
    )
    def test_wrong_values(self, values, message):
        with pytest.raises(ValueError, match=message):
            Settings.from_mapping(values)

    def test_ours_overrule_easyr1s(self):
        settings = Settings(sampling={"fps": 1.0, "max_pixels": 5000})
        found = settings.of_run(2.0, 3136, None)
        assert (found.fps, found.min_pixels, found.max_pixels) == (1.0, 3136, 5000)
        assert Settings().of_run(3.0, None, 9000) == Sampling(fps=3.0, max_pixels=9000)


class TestEntries:
    @pytest.mark.parametrize(
        ("entry", "clip"),
        [
            ("a.mp4", None),
            ({"video": "a.mp4"}, None),
            ({"video": "a.mp4", "video_start": None, "video_end": None, "clip": None}, None),
            ({"video": "a.mp4", "clip": [1, 2.5]}, Span(1.0, 2.5)),
            ({"video": "a.mp4", "video_start": 1, "video_end": 2.5}, Span(1.0, 2.5)),
        ],
    )
    def test_file_and_clip(self, entry, clip):
        assert entry_of(entry) == ("a.mp4", clip)

    @pytest.mark.parametrize("entry", [3, ["a.png", "b.png"], {}, {"video": "a", "fps": 3}])
    def test_anything_else_is_named(self, entry):
        with pytest.raises(ValueError, match="allowed: a path, or a mapping"):
            entry_of(entry)

    def test_half_a_clip(self):
        with pytest.raises(ValueError, match="give both or none"):
            entry_of({"video": "a.mp4", "video_start": 3.0})

    def test_below_a_folder(self):
        assert below("/data", "a.mp4") == "/data/a.mp4"
        assert below("/data", "/b/a.mp4") == "/b/a.mp4"
        assert below("/data", {"video": "a.mp4", "clip": [0, 1]}) == {
            "video": "/data/a.mp4",
            "clip": [0, 1],
        }
        assert below(None, "a.mp4") == "a.mp4"


class TestLoading:
    def test_frames_with_their_times(self, clock_video):
        video = load({"video": str(clock_video), "clip": [2, 6]}, SAMPLING, Settings(), keep=True)
        name = name_of(video)
        assert (video.dtype, len(video)) == (torch.uint8, 8)
        assert name["frames_indices"][0] == 0, "seconds of the clip"
        assert name_of((video, {})) is name and names_of([video]) == [name]
        again = load({"video": str(clock_video), "clip": [2, 6]}, SAMPLING, Settings(), keep=True)
        assert again.data_ptr() == video.data_ptr(), "decoded once in a worker"

    def test_the_data_loader_keeps_nothing_but_fills_the_store(self, clock_video, tmp_path):
        entry = str(clock_video)
        video = load(entry, SAMPLING, Settings(), keep=False)
        assert name_of(video).size_only
        assert load(entry, SAMPLING, Settings(), keep=False).data_ptr() != video.data_ptr()
        store = Settings(frame_store=str(tmp_path / "store"))
        load(entry, SAMPLING, store, keep=False)
        assert len(list((tmp_path / "store").rglob("*.safetensors"))) == 1

    def test_a_stand_in_is_as_large_as_the_video(self, clock_video):
        seen = stand_in(planned(str(clock_video), SAMPLING, Settings(patch_size=16)))
        real = load(str(clock_video), SAMPLING, Settings(patch_size=16), keep=True)
        assert seen.shape == real.shape
        assert dict(name_of(seen)) == dict(name_of(real))
        assert seen.untyped_storage().nbytes() == 1

    def test_a_missing_file_is_named(self, tmp_path):
        for call in (planned, lambda *a: load(*a, keep=True), lambda *a: load(*a, keep=False)):
            with pytest.raises(VideoError, match=r"missing\.mp4"):
                call(str(tmp_path / "missing.mp4"), SAMPLING, Settings())

    def test_whose_video_it_is(self):
        assert names_of(None) is None and names_of([]) is None
        assert names_of([torch.zeros(2, 3, 4, 4)]) is None

    def test_whether_there_is_a_store(self, monkeypatch):
        monkeypatch.delenv(source.STORE_VARIABLE, raising=False)
        assert not source.has_store() and not source.has_store("")
        monkeypatch.setenv(source.STORE_VARIABLE, "/a")
        assert source.has_store() and source.has_store("/b") and not source.has_store("")


def test_patches_are_the_processors(tiny_processor, clock_video):
    video = load(str(clock_video), SAMPLING, Settings(), keep=True)
    found = patches_of([video, video[:4]], tiny_processor)
    right = tiny_processor(
        [video, video[:4]], do_resize=False, do_sample_frames=False, return_tensors="pt"
    )
    assert torch.equal(found["pixel_values_videos"], right["pixel_values_videos"])
    assert torch.equal(found["video_grid_thw"], right["video_grid_thw"])


@pytest.fixture
def tiny_processor():
    from transformers import Qwen2VLVideoProcessor

    return Qwen2VLVideoProcessor()


@given(
    st.integers(2, 768),
    st.floats(0.2, 8.0) | st.sampled_from([1.0, 1.94, 1.9, 2.0, 4.0]).map(lambda fps: 1 / fps),
)
def test_float32_arithmetic_loses_no_step(frames, spacing):
    metadata = clock_metadata(np.arange(frames) * spacing)
    rate = len(metadata["frames_indices"]) / metadata["total_num_frames"] * metadata["fps"]
    truth = np.float32(2 / rate)
    steps = np.arange((frames + 1) // 2)
    wanted = (steps * (float(truth) * 2)).astype(int).tolist()
    told = 2.0 / told_fps(metadata)  # what EasyR1's dataset makes of it
    assert abs(told - float(truth)) <= np.spacing(truth)
    grid = torch.arange(len(steps)).view(-1, 1)
    assert (grid * told * 2).long().flatten().tolist() == wanted, "EasyR1's get_rope_index"
    single = torch.tensor(told, dtype=torch.float32)
    assert (grid * single * 2.0).long().flatten().tolist() == wanted, "vLLM 0.11"
    assert (np.arange(len(steps)) * (single.item() * 2)).astype(int).tolist() == wanted


class TestRollout:
    def prompt(self, *videos):
        return {"prompt_token_ids": [1, 2], "multi_modal_data": {"video": list(videos)}}

    def test_a_named_video_gets_its_times(self, clock_video):
        video = load(str(clock_video), SAMPLING, Settings(), keep=True)
        for item in (video, (video, {"fps": 24.0})):
            found = timed_prompt(self.prompt(item))
            ((pixels, metadata),) = found["multi_modal_data"]["video"]
            assert pixels is video and metadata == dict(name_of(video))
            assert found["mm_processor_kwargs"] == {
                "do_resize": False, "do_sample_frames": False, "fps": [told_fps(metadata)],
            }  # fmt: skip
            assert found["prompt_token_ids"] == [1, 2]

    def test_other_prompts_pass(self):
        video = torch.zeros(2, 3, 4, 4)
        for prompt in ({"prompt_token_ids": [1]}, {"multi_modal_data": None}, self.prompt(video)):
            assert timed_prompt(prompt) == prompt

    def test_generate(self, clock_video):
        class Host:
            def generate(self, prompts, sampling_params, use_tqdm):
                return prompts, sampling_params, use_tqdm

        video = load(str(clock_video), SAMPLING, Settings(), keep=True)
        engine = timed_llm(Host)()
        prompts, *rest = engine.generate(
            prompts=[self.prompt(video)], sampling_params=1, use_tqdm=False
        )
        assert "mm_processor_kwargs" in prompts[0] and rest == [1, False]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("be brief", "be brief"),
        ("<video>q", [{"type": "video"}, {"type": "text", "text": "q"}]),
        ("q<video>", [{"type": "text", "text": "q"}, {"type": "video"}]),
        ("<video><video>", [{"type": "video"}, {"type": "video"}]),
    ],
)
def test_parts_of_a_message(content, found):
    assert parts(content) == found
