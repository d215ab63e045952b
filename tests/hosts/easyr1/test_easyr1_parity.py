"""EasyR1, through the launcher's patches, shows the model what verl shows it, bit for bit.

EasyR1 runs in its own environment (transformers 4.57) and writes down its views; verl's views of
the same samples are made here (transformers 5.10), and vLLM's own input processing reads the
rollout's prompt. `test_time_parity.py` compares verl with all other paths.
"""

import json
import os
from dataclasses import replace

import pytest

pytest.importorskip("verl")
pytest.importorskip("vllm")

import torch
from parity import PROMPT, SMALL, Paths, sample_of
from safetensors.torch import load_file

from temporal_plugin import prompts
from temporal_plugin.annotations.export import export
from temporal_plugin.integrations import vllm_inputs
from temporal_plugin.video.model_view import ModelView, first_difference

pytestmark = pytest.mark.slow
FAMILIES = {"qwen2_5_vl": 14, "qwen3_vl": 16}  # patch size
FPS = (1.0, 1.94, 2.0, 4.0)
CASES = [(family, fps) for family in FAMILIES for fps in FPS]


@pytest.fixture(scope="module")
def samples(noise):
    return {
        "3 s": sample_of(noise("three.mp4", 3), id="0", duration=3.0),
        "13.4 s": sample_of(noise("thirteen.mp4", 13.4), id="1", duration=13.4),
        "clip": sample_of(noise("part.mp4", 40), id="2", clip=[7.3, 29.1], duration=21.8),
        "1 min": sample_of(noise("minute.mp4", 61, fps=5), id="3", duration=61.0),
    }


def ask(easyr1, old_model, rows, out):
    """Let EasyR1 write down what it shows of the rows."""
    runs = [
        {
            "name": f"{family}_{fps}",
            "model": str(old_model(family)),
            "rows": str(rows),
            "data": {"max_prompt_length": 16384},
            "temporal": {"patch_size": FAMILIES[family], "sampling": {"fps": fps, **SMALL}},
        }
        for family, fps in CASES
    ]
    request = rows.with_suffix(".request.json")
    request.write_text(json.dumps({"runs": runs}))
    easyr1.run("-m", "temporal_plugin.integrations.easyr1_view", str(request), str(out))
    return out


@pytest.fixture(scope="module")
def rows(samples, tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    export(list(samples.values()), "verl", path, prompts.load(PROMPT))
    return path


@pytest.fixture(scope="module")
def shown(easyr1, old_model, rows, tmp_path_factory):
    """The folder of all that EasyR1 shows, made in one process."""
    return ask(easyr1, old_model, rows, tmp_path_factory.mktemp("shown"))


def read(folder, index):
    """(actor's view, rollout's prompt) of a row."""
    found = json.loads((folder / f"{index}.json").read_text())
    pixels = load_file(folder / f"{index}.safetensors")
    prompt = found["prompt"]
    videos = [
        (pixels[str(number)], metadata) if metadata else pixels[str(number)]
        for number, metadata in enumerate(prompt["metadata"])
    ]
    engine = {
        "prompt_token_ids": prompt["prompt_token_ids"],
        "multi_modal_data": {"video": videos},
        "mm_processor_kwargs": prompt["mm_processor_kwargs"],
    }
    return ModelView.from_dict(found["actor"]), engine


def as_transformers_4(view, model):
    """The view without the pair of tokens that transformers 5.10 leaves around a Qwen3-VL video.

    Up to 5.9 its processor replaces `<|vision_start|><|video_pad|><|vision_end|>` as a whole; since
    then the pad alone, so that the steps stand inside a further pair. EasyR1 needs transformers 4.
    """
    config = json.loads((model / "config.json").read_text())
    if config["model_type"] != "qwen3_vl":
        return view
    ids, pad = view.token_ids, config["video_token_id"]
    first = ids.index(config["vision_start_token_id"])
    last = len(ids) - 1 - ids[::-1].index(pad) + 2
    assert ids[last] == ids[last - 1] == config["vision_end_token_id"], "the step's and the video's"
    drop = {first, last}

    def kept(row, shift):
        moved = (value - shift * ((i > first) + (i > last)) for i, value in enumerate(row))
        return tuple(value for i, value in enumerate(moved) if i not in drop)

    return replace(
        view,
        token_ids=kept(view.token_ids, 0),
        positions=tuple(kept(row, 1) for row in view.positions),
        next_position=view.next_position - 2,
    )


@pytest.mark.parametrize("name", ["3 s", "13.4 s", "clip", "1 min"])
@pytest.mark.parametrize(("family", "fps"), CASES)
def test_as_in_verl(shown, samples, tiny_model, readers, paths, family, fps, name):
    index = list(samples).index(name)
    actor, prompt = read(shown / f"{family}_{fps}", index)
    rollout, log_prob = paths(family, fps).rollout(samples[name])
    assert first_difference(actor, as_transformers_4(log_prob, tiny_model(family))) is None
    # transformers 5 takes the times from the metadata, 4 (EasyR1) the rate from `fps`
    rates = prompt["mm_processor_kwargs"].pop("fps")
    assert first_difference(readers(family).view(prompt), rollout) is None
    if rollout.seconds_per_step:
        told = torch.tensor([2 / rate for rate in rates], dtype=torch.float32).tolist()
        assert told == list(rollout.seconds_per_step)


@pytest.fixture(scope="module")
def paths(tiny_model):
    """verl's side of one family and rate; kept for the next sample."""
    made = {}

    def build(family, fps):
        if (family, fps) not in made:
            made.clear()
            made[family, fps] = Paths(tiny_model(family), {"fps": fps, **SMALL})
        return made[family, fps]

    return build


@pytest.fixture(scope="module")
def readers(tiny_model):
    """vLLM's input processing of one family, as verl's rollout has it."""
    made = {}

    def build(family):
        if family not in made:
            made[family] = vllm_inputs.InputReader(str(tiny_model(family)))
        return made[family]

    return build


@pytest.fixture(scope="module")
def read_by_vllm(easyr1, shown, old_model):
    """The folder of prompts, each beside what vLLM 0.11 makes of it."""
    python = os.environ.get("EASYR1_VLLM_PYTHON")
    if not python:
        pytest.skip("set EASYR1_VLLM_PYTHON (an interpreter with vLLM 0.11 and transformers 4.57)")
    for family in FAMILIES:
        folders = [str(shown / f"{family}_{fps}") for fps in FPS]
        model = str(old_model(family))
        easyr1.program("read_prompts.py", model, *folders, python=python, beside=())
    return shown


@pytest.mark.parametrize(("family", "fps"), CASES)
def test_rollout_as_actor(read_by_vllm, samples, family, fps):
    """Both halves of EasyR1, as its own vLLM reads a prompt: nothing differs."""
    folder = read_by_vllm / f"{family}_{fps}"
    for index in range(len(samples)):
        rollout = json.loads((folder / f"{index}.rollout.json").read_text())
        assert first_difference(read(folder, index)[0], ModelView.from_dict(rollout)) is None
