"""Upstream's model classes are there and still lose time as the table says."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("lmms_eval")

import torch
from asking import GREEDY, requests_for
from lmms_eval.models import MODEL_REGISTRY_V2, get_model
from lmms_eval.protocol import ChatMessages

from temporal_plugin.integrations import lmms_eval_time_loss as time_loss

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
CLIP = {"start_time": 4.0, "end_time": 8.0}


@pytest.fixture(scope="module")
def clip(tmp_path_factory, write_video):
    """13.4 s: a length at which the sampled frame rate is not the one that was asked for."""
    frames = np.zeros((134, 64, 64, 3), np.uint8)
    return write_video(tmp_path_factory.mktemp("loss") / "clip.mp4", frames)


def chat(video, **times):
    content = [{"type": "video", "url": str(video), **times}, {"type": "text", "text": "when?"}]
    return [{"role": "user", "content": content}]


class Seen(Exception):
    pass


@pytest.fixture
def shown(tiny_model, clip):
    """shown(name, family, simple) -> (the model, what its forward pass gets)."""

    def look(name, family, simple=False, **times):
        model = get_model(name, force_simple=simple)(
            pretrained=str(tiny_model(family)), device="cpu", device_map="cpu",
            min_pixels=56 * 56, max_pixels=56 * 56, fps=1.0,
        )  # fmt: skip

        def record(_module, _args, inputs):
            raise Seen(inputs)

        model.model.register_forward_pre_hook(record, with_kwargs=True)
        (request,) = requests_for(model, [{}], GREEDY, lambda _: chat(clip, **times))
        if simple:
            visual = (lambda _: [str(clip)], 0, "t", "test")
            request.arguments = ("when?", dict(GREEDY), *visual)
        with pytest.raises(Seen) as seen:
            model.generate_until([request])
        return model, seen.value.args[0]

    return look


@pytest.mark.parametrize(("model", "kind"), [*time_loss.LOSSES, *time_loss.FILE_TIMES])
def test_the_table_names_classes_that_exist(model, kind):
    found = MODEL_REGISTRY_V2.resolve(model, kind == "simple")
    assert (found.model_id, found.model_type) == (model, kind)


def test_every_loss_is_told_with_what_to_use():
    for model, kind in time_loss.LOSSES:
        text = time_loss.warning(model, "", force_simple=kind == "simple")
        ours = "temporal_openai" if model in time_loss.SERVERS else "temporal_qwen_vl"
        assert f"--model {model}: " in text
        assert f"use --model {ours}" in text
    assert "backend=vllm" in time_loss.warning("vllm", "")


def test_an_alias_is_known():
    text = time_loss.warning("openai_compatible", {"model_version": "m"})
    assert "--model openai_compatible" in text and time_loss.BARE in text


@pytest.mark.parametrize("model", ["temporal_qwen_vl", "temporal_openai", "qwen3_vl", "none_such"])
def test_no_loss_no_warning(model):
    assert time_loss.warning(model, "", clips=False) is None


@pytest.mark.parametrize("model_args", ["is_qwen3_vl=True,fps=2", {"is_qwen3_vl": True}])
def test_an_argument_that_tells_the_time(model_args):
    assert time_loss.warning("vllm", model_args) is None
    assert time_loss.FILE_TIME in time_loss.warning("async_openai", model_args, clips=True)
    assert time_loss.warning("vllm", "is_qwen3_vl=False") is not None


def test_clips():
    assert time_loss.FILE_TIME in time_loss.warning("qwen3_vl", "", clips=True)
    assert time_loss.WHOLE_FILE in time_loss.warning("qwen3_vl", "", force_simple=True, clips=True)
    assert time_loss.WHOLE_FILE in time_loss.warning("llava_vid", "", clips=True)
    assert time_loss.WHOLE_FILE in time_loss.warning("openai", "pass_video_url=True", clips=True)
    assert time_loss.warning("openai", "pass_video_url=True") is None


def test_one_warning_a_run(monkeypatch):
    from loguru import logger

    lines = []
    handle = logger.add(lines.append, format="{message}")
    monkeypatch.setattr(time_loss, "_told", set())
    command = SimpleNamespace(model="vllm", model_args="model=m", force_simple=False)
    for _ in range(3):
        time_loss.warn_once(command)
    time_loss.warn_once(None)
    time_loss.warn_once(SimpleNamespace(model="temporal_vllm", model_args=""))
    logger.remove(handle)
    assert len(lines) == 1


def test_bare_frames_are_bare(clip):
    """What vllm, openai, litellm and async_openai send; told, the time stands before each frame."""
    messages = ChatMessages(messages=chat(clip))
    bare = messages.to_openai_messages({"nframes": 4})[0]["content"]
    assert [part["type"] for part in bare] == ["image_url"] * 4 + ["text"]
    told = messages.to_qwen3_vl_openai_messages({"nframes": 4})[0]["content"]
    assert [part["type"] for part in told] == ["text", "image_url"] * 4 + ["text"]
    assert told[0]["text"] == "<0.0 seconds>"


def test_frames_of_a_clip_carry_the_files_time(clip):
    messages = ChatMessages(messages=chat(clip, **CLIP))
    told = messages.to_qwen3_vl_openai_messages({"nframes": 4})[0]["content"]
    assert told[0]["text"] == "<4.0 seconds>"


def test_a_path_that_is_passed_on_has_no_clip(clip):
    messages = ChatMessages(messages=chat(clip, **CLIP))
    (part, _) = messages.to_openai_messages(pass_video_url=True)[0]["content"]
    assert part == {"type": "video_url", "video_url": {"url": f"file://{clip}"}}


@pytest.mark.parametrize("name", ["vllm", "async_openai", "openai", "litellm"])
def test_who_sends_bare_frames(name):
    """Their source calls what the tests above show."""
    import importlib
    import inspect

    path = MODEL_REGISTRY_V2.resolve(name).class_path
    source = inspect.getsource(importlib.import_module(path.rsplit(".", 1)[0]))
    if name == "litellm":  # it is the class of openai with another client
        assert "OpenAICompatibleChatBase" in source
    else:
        assert "to_openai_messages" in source


def test_qwen2_5_vl_takes_the_length_over_the_frames(shown):
    _, inputs = shown("qwen2_5_vl", "qwen2_5_vl")
    steps = int(inputs["video_grid_thw"][0, 0])
    told = float(inputs["second_per_grid_ts"][0])
    assert told == pytest.approx(13.4 / steps, abs=0.01)
    real = 2 * 13.3 / (2 * steps - 1)  # 12 frames from 0 to 13.3 s
    assert real / told == pytest.approx(1.08, abs=0.01)


def test_qwen2_5_vl_without_messages_counts_24_frames_a_second(shown):
    _, inputs = shown("qwen2_5_vl", "qwen2_5_vl", simple=True)
    assert float(inputs["second_per_grid_ts"][0]) == pytest.approx(2 / 24)


def test_qwen3_vl_tells_the_time_but_the_files(shown):
    model, inputs = shown("qwen3_vl", "qwen3_vl")
    assert "<0.6 seconds>" in model.tokenizer.decode(inputs["input_ids"][0])
    model, inputs = shown("qwen3_vl", "qwen3_vl", **CLIP)
    text = model.tokenizer.decode(inputs["input_ids"][0])
    first = float(text.partition(" seconds>")[0].rpartition("<")[2])
    assert first > CLIP["start_time"]
    assert torch.is_tensor(inputs["pixel_values_videos"])
