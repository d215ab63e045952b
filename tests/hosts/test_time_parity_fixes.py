"""Each fix is needed: with any one of them off, the comparison of the paths names a difference."""

import inspect
import json
import shutil

import numpy as np
import pytest

pytest.importorskip("verl")
pytest.importorskip("vllm")
pytest.importorskip("lmms_eval")

from parity import SMALL, Paths, differences, sample_of
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLModel
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor

from temporal_plugin.integrations import lmms_eval_model, verl_agent_loop, vllm_inputs
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.model_view import first_difference, true_step_seconds
from temporal_plugin.video.sampling import Sampling

pytestmark = pytest.mark.slow
SAMPLING = {"fps": 1.94, **SMALL}
PATCH_SIZES = {"qwen2_5_vl": 14, "qwen3_vl": 16}
#: of a frame, and of a whole video
LEAST_PIXELS = {"qwen2_5_vl": 128 * 28 * 28, "qwen3_vl": 1024 * 1024}


@pytest.fixture(scope="module")
def sample(tmp_path_factory, write_video):
    """13.4 s: a length at which the sampled frame rate is not the one that was asked for."""
    frames = np.random.default_rng(0).integers(0, 255, (134, 64, 64, 3), dtype=np.uint8)
    video = write_video(tmp_path_factory.mktemp("fixes") / "clip.mp4", frames)
    return sample_of(video, duration=13.4)


@pytest.fixture
def paths(tiny_model):
    """paths(family, **settings): fresh ones, as a fix may act when they are built."""
    return lambda family, **settings: Paths(tiny_model(family), SAMPLING, **settings)


@pytest.fixture(scope="module")
def eager_model(tiny_model, tmp_path_factory):
    """A checkpoint whose processor, like released ones, makes small frames larger."""

    def build(family):
        folder = tmp_path_factory.mktemp("eager") / family
        shutil.copytree(tiny_model(family), folder)
        for file in folder.glob("*processor_config.json"):
            settings = json.loads(file.read_text())
            for part in (settings, settings.get("video_processor", {})):
                if "size" in part:
                    part["size"]["shortest_edge"] = LEAST_PIXELS[family]
            file.write_text(json.dumps(settings))
        return folder

    return build


def without_position_fix(monkeypatch):
    upstream = inspect.unwrap(Qwen2_5_VLModel.get_rope_index)
    monkeypatch.setattr(Qwen2_5_VLModel, "get_rope_index", upstream)
    monkeypatch.setattr(lmms_eval_model, "fix_qwen2_5_vl_positions", lambda: None)


def test_position_ids_of_transformers(paths, sample, monkeypatch):
    without_position_fix(monkeypatch)
    found = differences(paths("qwen2_5_vl").views(sample))
    assert {"log-prob", "lmms-eval transformers"} <= set(found)
    assert "step_seconds" in found["log-prob"], "4.0 s where the rollout is told 4.5 s"


def test_seconds_per_grid_for_verls_trainer(paths, sample, monkeypatch):
    monkeypatch.delattr(Qwen2_5_VLProcessor, "get_rope_index_kwargs")
    with pytest.raises(ValueError, match="1 videos without second_per_grid_ts"):
        paths("qwen2_5_vl").rollout(sample)
    without_position_fix(monkeypatch)  # which refuses to guess; upstream guesses
    rollout, log_prob = paths("qwen2_5_vl").rollout(sample)
    assert first_difference(rollout, log_prob).field in ("step_seconds", "positions")


def test_unexpanded_prompt_for_vllm(paths, sample, monkeypatch):
    monkeypatch.setattr(verl_agent_loop, "_UnexpandedPrompts", lambda client, *_: client)
    rollout, log_prob = paths("qwen3_vl").rollout(sample)
    assert len(rollout.token_ids) > len(log_prob.token_ids), "the first step is expanded twice"
    assert first_difference(rollout, log_prob) is not None


@pytest.mark.parametrize("family", PATCH_SIZES)
def test_frames_are_not_resized_a_second_time_in_verl(eager_model, sample, family):
    model = eager_model(family)
    right = Paths(model, SAMPLING).views(sample)
    assert differences(right) == {}
    wrong = Paths(model, SAMPLING, processor={}).rollout(sample)
    for view in wrong:
        assert first_difference(right["lmms-eval vLLM"], view).field == "grids"


@pytest.mark.parametrize("family", PATCH_SIZES)
def test_frames_are_not_resized_a_second_time_in_lmms_eval(
    eager_model, sample, family, monkeypatch
):
    model = eager_model(family)
    monkeypatch.setattr(vllm_inputs, "PROCESSOR_SETTINGS", {"do_sample_frames": False})
    views = Paths(model, SAMPLING)
    assert first_difference(views.transformers(sample), views.vllm(sample)).field == "grids"


def test_pixels_are_normalised_as_in_the_trainer(paths, sample):
    rollout, log_prob = paths("qwen2_5_vl", engine={}).rollout(sample)
    assert first_difference(rollout, log_prob).field == "pixels"


@pytest.mark.parametrize("family", PATCH_SIZES)
def test_vllm_is_told_the_times(paths, sample, family, monkeypatch):
    """What lmms-eval's own vLLM classes send: frames whose numbers stand for nothing."""

    def counted(self):
        count = len(self)
        return {
            "fps": 2.0,
            "frames_indices": list(range(count)),
            "total_num_frames": count,
            "video_backend": "none",
        }

    views = paths(family)
    told = views.transformers(sample)
    monkeypatch.setattr(Frames, "metadata", counted)
    assert first_difference(told, views.vllm(sample)) is not None


@pytest.mark.parametrize("family", PATCH_SIZES)
def test_all_wrong_together_is_no_parity(paths, sample, family, monkeypatch):
    """Nominal times agree in all paths, but not with the file."""
    frames = load_frames(
        sample.video, Sampling.from_mapping(SAMPLING), patch_size=PATCH_SIZES[family]
    )
    true = true_step_seconds(frames.pts_seconds, 2 if family == "qwen2_5_vl" else None)

    def nominal(self):
        count = len(self)
        return {
            "fps": 2.0,  # asked for 1.94, got 1.94 and a bit, told 2
            "frames_indices": list(range(count)),
            "total_num_frames": count,
            "video_backend": "none",
        }

    assert list(paths(family).transformers(sample).step_seconds) == true
    monkeypatch.setattr(Frames, "metadata", nominal)
    assert list(paths(family).transformers(sample).step_seconds) != true


@pytest.mark.parametrize("family", PATCH_SIZES)
def test_our_sft_dataset(paths, sample, family, tmp_path):
    """verl's own dataset gives the processor a video without its times."""
    import pandas

    from temporal_plugin.integrations import verl_sft_view

    views = paths(family)
    rollout, _ = views.rollout(sample)
    assert views.sft(sample) == rollout
    entry = {"video": str(sample.video), **SAMPLING}
    text = "<video>" + rollout_text(views, sample)
    rows = [
        {
            "messages": [
                {"role": "user", "content": text},
                {"role": "assistant", "content": "1.0 to 2.0"},
            ],
            "videos": [entry],
        }
    ]
    path = tmp_path / "rows.parquet"
    pandas.DataFrame(rows).to_parquet(path)
    upstream = {"path": None, "name": None}
    sft = verl_sft_view.SFT(str(views.model), "answer", SAMPLING, upstream)
    if family == "qwen3_vl":
        with pytest.raises(IndexError):  # it looks for one run of placeholders, there is one a step
            sft.view_of_file(path)
    else:
        assert first_difference(rollout, sft.view_of_file(path)) is not None


def rollout_text(views, sample):
    from temporal_plugin import prompts

    parts = prompts.load("answer").messages(sample)[-1]["content"]
    return "".join(part["text"] for part in parts if part["type"] == "text")
