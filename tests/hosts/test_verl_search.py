"""The agent loop `temporal_search` in verl's own worker: tokens, masks, pictures, faults."""

import asyncio
import json
from collections import Counter

import numpy as np
import pytest
import torch

pytest.importorskip("verl")

from verl.workers.rollout.replica import TokenOutput
from verl.workers.rollout.utils import qwen2_5_vl_dedup_image_tokens

from temporal_plugin.integrations import verl_search_loop
from temporal_plugin.integrations.verl_agent_manager import TemporalAgentLoopWorker
from temporal_plugin.integrations.verl_config import compose
from temporal_plugin.integrations.verl_dataset import TemporalDataset, temporal_settings
from temporal_plugin.integrations.verl_lone_worker import LoneWorker
from temporal_plugin.integrations.verl_search_turns import Tokens
from temporal_plugin.integrations.verl_tasks import prompt_of, search_settings
from temporal_plugin.search.client import SearchUnavailable
from temporal_plugin.search.conversation import COUNTERS
from temporal_plugin.search.frame_search import SearchError
from temporal_plugin.video.decode import VideoError

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
SIZE = "{min_pixels: 4096, max_pixels: 4096}"
FRAMES = f"{{method: uniform, replicas: 0, fps: 5, sampling: {SIZE}}}"
ANSWER = "<think>red</think><answer>B</answer>"
GLIMPSE = "<answer>A</answer>"
TEMPLATE = """\
{%- for m in messages -%}
{%- if m.role == 'tool' -%}
{%- if loop.first or messages[loop.index0 - 1].role != 'tool' -%}
{{- '<|im_start|>user' -}}{%- endif -%}
{{- '\n<tool_response>\n' -}}
{%- else -%}{{- '<|im_start|>' + m.role + '\n' -}}{%- endif -%}
{%- if m.content is string -%}{{- m.content -}}{%- else -%}
{%- for c in m.content -%}
{%- if c.type == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif c.type == 'video' -%}{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- else -%}{{- c.text -}}{%- endif -%}
{%- endfor -%}{%- endif -%}
{%- for t in m.tool_calls or [] -%}
{{- '\n<tool_call>\n' + t.function.name + (t.function.arguments | tojson) + '\n</tool_call>' -}}
{%- endfor -%}
{%- if m.role == 'tool' -%}{{- '\n</tool_response>' -}}
{%- if loop.last or messages[loop.index0 + 1].role != 'tool' -%}{{- '<|im_end|>\n' -}}{%- endif -%}
{%- else -%}{{- '<|im_end|>\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
"""
"""Tool results as Qwen3-VL shows them; the tiny model's template shows them as Qwen2.5-VL."""


def call(**arguments) -> str:
    given = {"query": "red", "num_frames": 2, **arguments}
    body = json.dumps({"name": "seek_video_frames", "arguments": given})
    return f"<think>hm</think><tool_call>{body}</tool_call>"


#: what does not depend on the family
ONE_FAMILY = pytest.mark.parametrize("config", ["qwen2_5_vl"], indirect=True)


class Scripted(LoneWorker):
    """The server is a script: it gives each rollout the same turns, one after the other."""

    def __init__(self, config, turns: list[str]) -> None:
        super().__init__(config, "", TemporalAgentLoopWorker)
        self.turns, self.asked, self.requests = turns, Counter(), []

    async def generate(self, request_id, *, prompt_ids, sampling_params, **media) -> TokenOutput:
        text = self.turns[self.asked[request_id]]
        self.asked[request_id] += 1
        self.requests.append({"ids": list(prompt_ids), **sampling_params, **media})
        tokenizer = self.worker.tokenizer
        ids = [*tokenizer.encode(text), tokenizer.eos_token_id][: sampling_params["max_tokens"]]
        steps = {"global_steps": 0, "min_global_steps": 0, "max_global_steps": 0}
        logs = [-float(len(self.requests))] * len(ids)
        return TokenOutput(token_ids=ids, log_probs=logs, extra_fields=steps)


def configured(tiny_model, family, *overrides):
    return compose(
        "tiny_cpu",
        [
            f"actor_rollout_ref.model.path={tiny_model(family)}",
            "data.temporal.prompt={choice: search_choice, grounding: search}",
            "data.temporal.sampling={fps: 1.0, min_pixels: 4096, max_pixels: 4096}",
            f"data.temporal.search={{frames: {FRAMES}}}",
            "data.max_prompt_length=2048",
            "data.max_response_length=4096",
            *overrides,
        ],
    )


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def config(request, tiny_model):
    return configured(tiny_model, request.param)


@pytest.fixture(scope="module")
def row(clock_video, tmp_path_factory, config):
    """What the dataset hands the worker for a question about the 8 s clock video."""
    from verl.utils import hf_processor, hf_tokenizer

    sample = {
        "id": "q0",
        "task": "choice",
        "video": str(clock_video),
        "query": "What is red?",
        "options": ["a ball", "a car"],
        "answer": "B",
        "duration": 8.0,
    }
    path = tmp_path_factory.mktemp("rows") / "train.jsonl"
    path.write_text(json.dumps(sample) + "\n")
    model = config.actor_rollout_ref.model.path
    data = TemporalDataset([str(path)], hf_tokenizer(model), config.data, hf_processor(model))
    return data[0]


def text_of(worker, ids, mask) -> list[str]:
    """The text of each run of equal mask, in order."""
    parts, begin = [], 0
    for index in range(1, len(ids) + 1):
        if index == len(ids) or mask[index] != mask[begin]:
            parts.append(worker.worker.tokenizer.decode(ids[begin:index]))
            begin = index
    return parts


def search_of(rollout) -> dict:
    return rollout["extra_fields"]["search"]


def rolled(config, row, turns, rollouts=1):
    worker = Scripted(config, turns)
    return worker, worker.run(row, rollouts)


def test_masks_tokens_and_pictures(config, row):
    worker, (rollout,) = rolled(config, row, [call(), call(start_time=4), ANSWER, GLIMPSE])
    mask, ids = rollout["response_mask"], rollout["responses"]
    parts = text_of(worker, ids, mask)
    # what the model wrote and what it was told take turns
    assert parts[0::2] == [f"{t}<|im_end|>" for t in (call(), call(start_time=4), ANSWER)]
    assert mask[0] == mask[-1] == 1
    for told in parts[1::2]:
        assert told.startswith("\n<|im_start|>tool\n<")
        assert told.endswith(" seconds.<|im_end|>\n<|im_start|>assistant\n")
        assert told.count("<|vision_start|>") == 2
    # the same with the prompt: all of it is attended to
    assert rollout["input_ids"].tolist() == [*rollout["prompts"], *ids]
    assert torch.equal(rollout["loss_mask"], mask)
    log_probs = rollout["rollout_log_probs"]
    assert ((log_probs == 0) == (mask == 0)).all()
    # the trainer gets the preview and the four searched frames
    inputs = rollout["multi_modal_inputs"]
    assert len(inputs["image_grid_thw"]) == 4
    assert len(inputs["video_grid_thw"]) == 1
    merged = int(inputs["image_grid_thw"].prod(-1).sum()) // 4
    image_token = worker.worker.processor.image_token_id
    assert int((rollout["input_ids"] == image_token).sum()) == merged
    assert len(inputs["pixel_values"]) == merged * 4
    assert rollout["extra_fields"]["min_global_steps"] == 0


def test_each_turn_continues_the_sampled_tokens(config, row):
    worker, (rollout,) = rolled(config, row, [call(), call(start_time=4), ANSWER, GLIMPSE])
    first, second, third, verify = worker.requests
    assert second["ids"][: len(first["ids"])] == first["ids"]
    assert third["ids"][: len(second["ids"])] == second["ids"]
    whole = rollout["input_ids"].tolist()
    assert whole[: len(third["ids"])] == third["ids"]
    assert [len(r["image_data"] or ()) for r in worker.requests] == [0, 2, 4, 4]
    assert [r["video_data"] is None for r in worker.requests] == [False, False, False, True]
    assert worker.worker.processor.video_token_id not in verify["ids"]
    assert {r["max_tokens"] for r in worker.requests} == {256}
    assert len({r["seed"] for r in worker.requests}) == 4


@pytest.mark.parametrize("template", [None, TEMPLATE])
def test_equal_to_the_whole_conversation_rendered_at_once(config, row, template):
    """Where the sampled tokens are those that the tokenizer would write."""
    worker = Scripted(config, ["babble", call(num_frames=99), call(), ANSWER, GLIMPSE])
    if template:
        worker.worker.processor.chat_template = template
        worker.worker.tokenizer.chat_template = template
    (rollout,) = worker.run(row, 1)
    from temporal_plugin.search.conversation import Conversation, Limits

    loop = worker._agent_loop("temporal_search")
    told = Conversation(
        row["raw_prompt"],
        duration_seconds=8.0,
        contract="think_answer_choice",
        limits=Limits(tokens=4096),
    )

    async def frames():
        client = verl_search_loop.search_client(
            loop.search, worker.worker.processor.image_processor.patch_size
        )
        path = row["raw_prompt"][-1]["content"][0]["video"]
        return await client.seek(path, "red", 0.0, 8.0, 2)

    told.said("babble")
    told.said(call(num_frames=99))
    told.said(call())
    told.found(asyncio.run(frames()))
    told.said(ANSWER)

    async def rendered():
        videos = (await loop.process_multi_modal_info(told.messages))["videos"]
        images = [
            part["image"]
            for message in told.messages
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image"
        ]
        return loop.continuous_token_builder.render_tokens_with_mm(
            told.messages, images, videos=videos, add_generation_prompt=False
        )

    newline = worker.worker.tokenizer.encode("\n")
    assert rollout["input_ids"].tolist() + newline == asyncio.run(rendered())


def test_positions_are_those_of_the_model(config, row):
    worker, (rollout,) = rolled(config, row, [call(), ANSWER, GLIMPSE])
    ids, inputs = rollout["input_ids"][None], rollout["multi_modal_inputs"]
    processor = worker.worker.processor
    types = torch.zeros_like(ids)
    types[ids == processor.image_token_id] = 1
    types[ids == processor.video_token_id] = 2
    extra = {}
    if "second_per_grid_ts" in inputs:
        extra["second_per_grid_ts"] = inputs["second_per_grid_ts"]
    wanted, _ = processor.get_rope_index(
        input_ids=ids,
        mm_token_type_ids=types,
        image_grid_thw=inputs["image_grid_thw"],
        video_grid_thw=inputs["video_grid_thw"],
        attention_mask=torch.ones_like(ids),
        **extra,
    )
    positions = rollout["position_ids"]
    assert torch.equal(positions[1:], wanted[:, 0])
    assert torch.equal(positions[0], torch.arange(ids.shape[1]))


def test_vllm_makes_the_same_of_it(config, row):
    """The path of a GPU run: verl's server sends one placeholder per video and picture."""
    pytest.importorskip("vllm")
    from vllm import SamplingParams

    from temporal_plugin.integrations.verl_agent_loop import collapse_videos
    from temporal_plugin.integrations.vllm_inputs import PROCESSOR_SETTINGS, InputReader

    worker, (rollout,) = rolled(config, row, [call(), call(start_time=4), ANSWER, GLIMPSE])
    processor, (*_, last, _) = worker.worker.processor, worker.requests
    ids, token = last["ids"], worker.worker.tokenizer.convert_tokens_to_ids
    if type(processor).__name__ == "Qwen3VLProcessor":
        ends = token("<|vision_start|>"), token("<|vision_end|>")
        ids = collapse_videos(ids, *ends, processor.video_token_id)
    reader = InputReader(str(config.actor_rollout_ref.model.path))
    prompt = {
        "prompt_token_ids": qwen2_5_vl_dedup_image_tokens(ids, processor),
        "multi_modal_data": {"image": last["image_data"], "video": last["video_data"]},
        "mm_processor_kwargs": dict(PROCESSOR_SETTINGS),
    }
    request = reader.processor.process_inputs(
        "0", prompt, SamplingParams(max_tokens=1), ("generate",)
    )
    assert list(request.prompt_token_ids) == last["ids"]
    positions, _ = reader.model.get_mrope_input_positions(
        request.prompt_token_ids, request.mm_features
    )
    assert torch.equal(positions, rollout["position_ids"][1:, : len(last["ids"])])


def log_probs_of(model, rollout, **changed) -> torch.Tensor:
    """What the model gives the response's tokens, on the trainer's inputs [response]."""
    inputs = {**rollout["multi_modal_inputs"], **changed}
    inputs.pop("images_seqlens", None)
    ids = rollout["input_ids"][None]
    types = torch.zeros_like(ids)
    types[ids == model.config.image_token_id] = 1
    types[ids == model.config.video_token_id] = 2
    with torch.inference_mode():
        logits = model(input_ids=ids, mm_token_type_ids=types, **inputs).logits[0]
    chosen = torch.log_softmax(logits.float(), -1)[:-1].gather(1, ids[0, 1:, None])[:, 0]
    return chosen[-len(rollout["responses"]) :]


def test_the_policy_that_learns_sees_the_searched_frames(config, row, monkeypatch):
    """Really sampled tokens, led to a tool call: the same log-probabilities, and other ones
    from the second turn on where the searched frames are painted black."""
    import scripted_rollout
    from transformers import AutoModelForImageTextToText

    from temporal_plugin.integrations import transformers_generate
    from temporal_plugin.integrations.verl_transformers_rollout import TransformersServer

    path = str(config.actor_rollout_ref.model.path)
    led = call(num_frames=3).replace("hm", "*"), ANSWER.replace("red", "*")
    monkeypatch.setattr(scripted_rollout, "SCRIPT", {"turns": {"red": led}, "verify": ["*."]})
    monkeypatch.setattr(transformers_generate, "_draws", transformers_generate._draws)
    generator = transformers_generate.BatchGenerator
    monkeypatch.setattr(generator, "generate", generator.generate)
    scripted_rollout.lead(transformers_generate)
    worker = LoneWorker(config, "", TemporalAgentLoopWorker)
    server = TransformersServer(config.actor_rollout_ref.rollout, config.actor_rollout_ref.model)
    monkeypatch.setattr(worker, "generate", server.generate)
    rollouts = worker.run(row, 2)
    model = AutoModelForImageTextToText.from_pretrained(path).eval()
    sampled = set()
    for rollout in rollouts:
        assert search_of(rollout)["counters"]["searches"] == 1
        assert search_of(rollout)["verified"] is not None
        mask = rollout["response_mask"].bool()
        found, told = log_probs_of(model, rollout), rollout["rollout_log_probs"]
        assert (found - told)[mask].abs().max() < 1e-4
        pixels = rollout["multi_modal_inputs"]["pixel_values"]
        blind = log_probs_of(model, rollout, pixel_values=torch.zeros_like(pixels))
        first = int((~mask).nonzero()[0])  # where the first turn ends
        assert torch.allclose(found[:first], blind[:first], atol=1e-5)
        assert (found - blind)[first:][mask[first:]].abs().max() > 1e-3
        sampled.add(tuple(rollout["responses"].tolist()))
    assert len(sampled) == 2, "each rollout draws its own tokens"


@ONE_FAMILY
def test_what_the_reward_gets(config, row):
    _, (rollout,) = rolled(config, row, [call(), ANSWER, GLIMPSE])
    found = search_of(rollout)
    assert found["answer"] == ANSWER
    assert found["well_formed"]
    assert found["verified"] == {"text": GLIMPSE, "contract": "answer_choice"}
    assert set(found["counters"]) == set(COUNTERS)
    assert found["counters"]["searches"] == 1
    assert found["counters"]["frames"] == 2


@ONE_FAMILY
def test_who_never_searched_is_not_asked_again(config, row):
    worker, (rollout,) = rolled(config, row, [ANSWER])
    assert len(worker.requests) == 1
    assert search_of(rollout)["verified"] is None
    assert "pixel_values" not in rollout["multi_modal_inputs"]
    assert rollout["response_mask"].all()


@ONE_FAMILY
def test_without_verification(config, row):
    config = config.copy()
    config.data.temporal.search = {**config.data.temporal.search, "verify": None}
    worker, (rollout,) = rolled(config, row, [call(), ANSWER])
    assert len(worker.requests) == 2
    assert search_of(rollout)["verified"] is None


def limited(config, **limits):
    config = config.copy()
    config.data.temporal.search = {**config.data.temporal.search, "limits": limits}
    return config


@ONE_FAMILY
def test_the_last_turn_is_forced(config, row):
    worker, (rollout,) = rolled(limited(config, turns=3), row, [call(), call(), call()])
    assert len(worker.requests) == 3
    found = search_of(rollout)
    assert found["counters"]["forced_answer"] == 1
    assert found["answer"] == "" and not found["well_formed"]
    assert "cannot search any more" in worker.worker.tokenizer.decode(rollout["responses"])


@ONE_FAMILY
def test_a_turn_that_is_cut_off_is_closed_without_teaching_it(config, row):
    turns = ["<think>" + "so " * 500, ANSWER]
    worker, (rollout,) = rolled(limited(config, tokens_per_turn=64), row, turns)
    parts = text_of(worker, rollout["responses"], rollout["response_mask"])
    assert parts[1].startswith("<|im_end|>\n<|im_start|>user\n")
    assert rollout["response_mask"][:64].all() and not rollout["response_mask"][64]
    counters = search_of(rollout)["counters"]
    assert (counters["malformed"], counters["retries"], counters["answered"]) == (1, 1, 1)


@ONE_FAMILY
@pytest.mark.parametrize(("spare", "overflows"), [(20, True), (400, False)])
def test_the_response_never_exceeds_its_length(config, row, spare, overflows):
    """After a call the frames do not fit any more, or not even the request to answer."""
    search = call(num_frames=8)
    worker = Scripted(config, [search, ANSWER, GLIMPSE])
    length = len(worker.worker.tokenizer.encode(search)) + 1 + spare
    config = config.copy()
    config.data.max_response_length = length
    _, (rollout,) = rolled(config, row, [search, ANSWER, GLIMPSE])
    assert len(rollout["responses"]) <= length
    counters = search_of(rollout)["counters"]
    assert counters["dropped_results"] == 1
    assert counters["searches"] == counters["frames"] == 0
    assert "pixel_values" not in rollout["multi_modal_inputs"]
    assert search_of(rollout)["verified"] is None
    assert counters["overflow"] == float(overflows)
    assert search_of(rollout)["answer"] == ("" if overflows else ANSWER)
    assert bool(rollout["response_mask"].all()) == overflows


class Broken:
    """A search that fails as told, then works no more."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    async def seek(self, *_, **__):
        self.calls += 1
        if self.error is None:
            await asyncio.sleep(60)
        raise self.error


@ONE_FAMILY
@pytest.mark.parametrize(
    ("error", "counter", "says"),
    [
        (VideoError("x.mp4: cut off"), "search_failures", "cannot be read"),
        (SearchUnavailable("all replicas are dead"), "search_failures", "not available"),
        (None, "search_failures", "not available"),
        (SearchError("no frame lies in the window"), "failed_calls", "no frame lies in the"),
    ],
)
def test_a_search_that_fails_does_not_end_the_rollout(
    config, row, monkeypatch, error, counter, says
):
    broken = Broken(error)
    monkeypatch.setattr(verl_search_loop, "search_client", lambda *_: broken)
    config = config.copy()
    config.data.temporal.search = {**config.data.temporal.search, "seek_seconds": 0.2}
    worker, (rollout,) = rolled(config, row, [call(), call(), ANSWER])
    found = search_of(rollout)
    assert broken.calls == 2
    assert found["counters"][counter] == 2
    assert found["counters"]["searches"] == 0
    assert found["answer"] == ANSWER
    assert found["verified"] is None
    assert says in worker.worker.tokenizer.decode(rollout["responses"])


@ONE_FAMILY
def test_a_mistake_of_ours_is_not_hidden(config, row, monkeypatch):
    monkeypatch.setattr(verl_search_loop, "search_client", lambda *_: Broken(KeyError("bug")))
    with pytest.raises(RuntimeError, match="1 of 1 rollouts failed"):
        rolled(config, row, [call(), ANSWER])


def test_a_group_searches_at_the_same_time(config, row, monkeypatch):
    """Eight rollouts whose searches take half a second each."""
    running, most = [0], [0]
    client = verl_search_loop.search_client

    class Slow:
        def __init__(self, inner):
            self.inner = inner

        async def seek(self, *arguments, **named):
            running[0] += 1
            most[0] = max(most[0], running[0])
            await asyncio.sleep(0.5)
            running[0] -= 1
            return await self.inner.seek(*arguments, **named)

    monkeypatch.setattr(verl_search_loop, "search_client", lambda *a: Slow(client(*a)))
    _, rollouts = rolled(config, row, [call(), ANSWER, GLIMPSE], rollouts=8)
    assert len(rollouts) == 8 and most[0] == 8
    first = rollouts[0]["input_ids"]
    assert all(torch.equal(first, other["input_ids"]) for other in rollouts)


@ONE_FAMILY
def test_a_bad_preview_is_skipped_and_counted(config, row, write_video, tmp_path):
    path = write_video(tmp_path / "cut.mp4", np.zeros((40, 64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:400])
    bad = json.loads(json.dumps({k: row[k] for k in ("raw_prompt", "reward_model", "extra_info")}))
    bad["raw_prompt"][-1]["content"][0]["video"] = str(path)
    config = config.copy()
    config.data.temporal.on_bad_video = "skip"
    _, (rollout,) = rolled(config, {**row, **bad}, [ANSWER])
    assert rollout["extra_fields"]["video_failure"] == 1.0
    assert not rollout["response_mask"].any()


@ONE_FAMILY
@pytest.mark.parametrize("harm", ["cut off", "gone"])
def test_a_video_that_breaks_after_the_preview(config, row, write_video, tmp_path, harm):
    """A real file, harmed before the first search: the model is told, the rollout goes on."""
    noise = np.random.default_rng(0).integers(0, 255, (80, 64, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / "breaks.mp4", noise)
    own = json.loads(json.dumps({"raw_prompt": row["raw_prompt"]}))
    own["raw_prompt"][-1]["content"][0]["video"] = str(path)

    class Breaking(Scripted):
        async def generate(self, *arguments, **named) -> TokenOutput:
            if harm == "gone":
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            return await super().generate(*arguments, **named)

    worker = Breaking(config, [call(start_time=6), call(start_time=6), ANSWER])
    (rollout,) = worker.run({**row, **own}, 1)
    found = search_of(rollout)
    assert found["counters"]["search_failures"] == 2
    assert found["counters"]["searches"] == 0
    assert found["answer"] == ANSWER and found["verified"] is None
    assert "cannot be read" in worker.worker.tokenizer.decode(rollout["responses"])


@ONE_FAMILY
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"frames": {"method": "uniform"}, "turns": 3}, "search.turns; allowed: frames, limits"),
        ({"limits": {}}, "search.frames is not set"),
        ({"frames": {"method": "uniform"}, "limits": {"tokens": 3}}, "search.limits.tokens"),
        ({"frames": {"method": "uniform"}, "limits": {"turns": 1}}, "turns is 1"),
        ({"frames": {"method": "uniform"}, "verify": {"tokens": 0}}, "verify.tokens is 0"),
        ({"frames": {"method": "uniform"}, "verify": {"prompts": {"open": "no"}}}, "no"),
        ({"frames": {"method": "uniform"}, "seek_seconds": 0}, "seek_seconds is 0"),
    ],
)
def test_wrong_settings_say_what_is_allowed(config, given, says):
    data = config.data.copy()
    data.temporal.search = given
    with pytest.raises(ValueError, match=says):
        search_settings(temporal_settings(data), 1000)


@ONE_FAMILY
def test_a_search_is_not_answered_on_reordered_frames(config):
    data = config.data.copy()
    data.temporal.shuffle_consistency = "reversed"
    with pytest.raises(ValueError, match="both set"):
        search_settings(temporal_settings(data), 1000)


@ONE_FAMILY
@pytest.mark.parametrize("asked", ["prompt", "verify"])
def test_a_dataset_whose_task_has_no_template_fails_at_once(config, clock_video, tmp_path, asked):
    from verl.utils import hf_processor, hf_tokenizer

    sample = {"id": "q", "task": "open", "video": str(clock_video), "query": "?", "answer": "x"}
    if asked == "verify":
        options = {"task": "grounded_choice", "options": ["a", "b"], "spans": [[1, 2]]}
        sample |= {**options, "answer": "A"}
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({**sample, "duration": 8.0}) + "\n")
    data, model = config.data.copy(), config.actor_rollout_ref.model.path
    if asked == "verify":
        data.temporal.prompt = "search_choice"
    with pytest.raises(ValueError, match=r"has templates for|has no template for the task"):
        TemporalDataset([str(path)], hf_tokenizer(model), data, hf_processor(model))


def test_tokens():
    start = Tokens([1, 2], 2)
    one = start.sampled([3, 4], [-0.5, -0.25])
    two = one.given([5], ["picture"]).sampled([6], [-1.0])
    assert start.ids == [1, 2], "a part that does not fit is let go of"
    assert (two.ids, two.mask) == ([1, 2, 3, 4, 5, 6], [1, 1, 0, 1])
    assert two.log_probs == [-0.5, -0.25, 0.0, -1.0]
    assert two.images == ["picture"]
    assert start.sampled([3], None).given([4], []).sampled([5], None).log_probs is None


@pytest.mark.parametrize(("first", "second"), [([-1.0], None), (None, [-1.0])])
def test_log_probabilities_of_some_turns_only(first, second):
    with pytest.raises(ValueError, match="some turns"):
        Tokens([1], 1).sampled([2], first).sampled([3], second)


@ONE_FAMILY
def test_a_task_without_a_template_is_an_error(config):
    with pytest.raises(ValueError, match=r"templates for choice, grounding.*'open'"):
        prompt_of(temporal_settings(config.data), "open")
