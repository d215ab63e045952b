"""One conversation, the same tokens: verl's rollout, SFT on its trace, and evaluation."""

import json
import shutil

import pytest
import torch

pytest.importorskip("verl")
pytest.importorskip("lmms_eval")

from asking import GREEDY, ask
from omegaconf import OmegaConf
from verl.utils.tokenizer import hf_processor, hf_tokenizer
from verl.workers.rollout.replica import TokenOutput

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations.lmms_eval_search_model import TemporalSearch
from temporal_plugin.integrations.verl_agent_manager import TemporalAgentLoopWorker
from temporal_plugin.integrations.verl_config import compose
from temporal_plugin.integrations.verl_dataset import TemporalDataset
from temporal_plugin.integrations.verl_lone_worker import LoneWorker
from temporal_plugin.integrations.verl_sft_traces import TemporalTraceDataset
from temporal_plugin.video.decode import VideoError

pytestmark = pytest.mark.slow
PIXELS = {"min_pixels": 4096, "max_pixels": 4096}
SAMPLING = {"fps": 1.0, "max_frames": 8, **PIXELS}
SEARCH = {"frames": {"method": "uniform", "replicas": 0, "sampling": PIXELS}, "verify": None}
PROMPT = {"choice": "search_choice"}
TOOL_AS_QWEN3_VL = """\
{%- for m in messages -%}
{{- '<|im_start|>' + ('user' if m.role == 'tool' else m.role) + '\n' -}}
{{- '<tool_response>\n' if m.role == 'tool' else '' -}}
{%- if m.content is string -%}{{- m.content -}}{%- else -%}
{%- for c in m.content -%}
{%- if c.type == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif c.type == 'video' -%}{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- else -%}{{- c.text -}}{%- endif -%}
{%- endfor -%}{%- endif -%}
{{- '\n</tool_response>' if m.role == 'tool' else '' -}}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
"""


def call(start, **more):
    given = {"query": "red", "start_time": start, "num_frames": 2, **more}
    body = json.dumps({"name": "seek_video_frames", "arguments": given})
    return f"<think>hm</think><tool_call>{body}</tool_call>"


TURNS = [
    call(0, end_time=4),
    call(4, num_frames=1),
    call(99),  # outside: an error message
    "I do not know.",  # malformed: asked again
    "<think>red</think><answer>B</answer>",
]


class Scripted(LoneWorker):
    """The server says the turns one after the other."""

    def __init__(self, config):
        super().__init__(config, "", TemporalAgentLoopWorker)
        self.left = list(TURNS)

    async def generate(self, request_id, *, prompt_ids, sampling_params, **media):
        ids = [*self.worker.tokenizer.encode(self.left.pop(0)), self.worker.tokenizer.eos_token_id]
        steps = {"global_steps": 0, "min_global_steps": 0, "max_global_steps": 0}
        return TokenOutput(token_ids=ids, log_probs=[0.0] * len(ids), extra_fields=steps)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def model(request, tiny_model, tmp_path_factory):
    folder = tiny_model(request.param)
    if request.param == "qwen2_5_vl":
        return str(folder)
    copy = tmp_path_factory.mktemp("qwen3") / "model"
    shutil.copytree(folder, copy)
    (copy / "chat_template.jinja").write_text(TOOL_AS_QWEN3_VL)
    return str(copy)


@pytest.fixture
def sample(clock_video):
    return Sample(
        id="q0", task="choice", video=str(clock_video), query="What is red?",
        options=("a ball", "a car"), answer="B", duration=8.0,
    )  # fmt: skip


def traced(model, folder, sample, messages, **settings):
    path = folder / "traces.jsonl"
    path.write_text(json.dumps({**sample.to_dict(), "extra": {"messages": messages}}) + "\n")
    temporal = {"prompt": PROMPT, "sampling": SAMPLING, "search": SEARCH, **settings}
    config = {"max_length": 4096, "pad_mode": "no_padding", "temporal": temporal}
    tokenizer, processor = hf_tokenizer(model), hf_processor(model)
    return TemporalTraceDataset([str(path)], tokenizer, OmegaConf.create(config), processor)


def rollout_of(model, folder, sample):
    path = folder / "rows.jsonl"
    path.write_text(json.dumps(sample.to_dict()) + "\n")
    overrides = [f"actor_rollout_ref.model.path={model}", "data.filter_overlong_prompts=false",
                 "data.max_prompt_length=2048", "data.max_response_length=4096"]  # fmt: skip
    config = compose("tiny_cpu", overrides)
    config.data.temporal = {"prompt": PROMPT, "sampling": SAMPLING, "search": SEARCH}
    data = TemporalDataset(str(path), hf_tokenizer(model), config.data, hf_processor(model))
    return Scripted(config).run(data[0], 1)[0]


def spoken(texts, **seconds):
    return [{"role": "assistant", "content": text} for text in texts]


def test_rollout_sft_and_evaluation_are_one(model, sample, tmp_path):
    rollout = rollout_of(model, tmp_path, sample)
    dataset = traced(model, tmp_path, sample, spoken(TURNS))
    item = dataset[0]
    assert item["input_ids"].tolist() == rollout["input_ids"].tolist()
    prompt = len(rollout["prompts"])
    assert item["loss_mask"][:prompt].sum() == 0
    assert item["loss_mask"][prompt:].tolist() == rollout["response_mask"].tolist()
    assert torch.equal(item["position_ids"], rollout["position_ids"])
    for_counting = {"images_seqlens"}  # of verl's FLOP counter in RL, not of the model
    assert set(item["multi_modal_inputs"]) == set(rollout["multi_modal_inputs"]) - for_counting
    for name, value in item["multi_modal_inputs"].items():
        assert torch.equal(value, rollout["multi_modal_inputs"][name]), name
    taught = dataset.tokenizer.decode(item["input_ids"][item["loss_mask"].bool()])
    assert taught == "".join(f"{text}<|im_end|>" for text in TURNS)

    frames = {f"frame_{name}": value for name, value in PIXELS.items()}
    search = TemporalSearch(model, method="uniform", device="cpu", dtype="float32",
                            **frames, **SAMPLING)  # fmt: skip
    tokenizer, left, rows = search.model.tokenizer, list(TURNS), []

    def generate_turns(given, room, generation):
        rows.append(given[0])
        return [[*tokenizer.encode(left.pop(0)), tokenizer.eos_token_id]]

    search.model.generate_turns = generate_turns
    document = docs.to_doc(sample, "v", "search_choice", "search_choice")
    ask(search, [document], {**GREEDY, "max_new_tokens": 512})
    seen = rows[-1]["input_ids"][0].tolist()
    assert seen == rollout["input_ids"].tolist()[: len(seen)]
    last = [*tokenizer.encode(TURNS[-1]), tokenizer.eos_token_id]
    assert [*seen, *last] == rollout["input_ids"].tolist()
    for name in ("pixel_values", "image_grid_thw", "pixel_values_videos"):
        assert torch.equal(rows[-1][name], rollout["multi_modal_inputs"][name]), name


def test_frames_that_a_trace_names_are_shown_as_they_were(model, sample, tmp_path):
    plain = traced(model, tmp_path, sample, spoken(TURNS))[0]
    first, second, *rest = spoken(TURNS)
    named = [first, {"role": "tool", "seconds": [0.0, 3.5]},
             second, {"role": "tool", "seconds": [4.0]}, *rest]  # fmt: skip
    again = traced(model, tmp_path, sample, named)[0]
    assert torch.equal(again["input_ids"], plain["input_ids"])
    pixels = "pixel_values"
    assert torch.equal(again["multi_modal_inputs"][pixels], plain["multi_modal_inputs"][pixels])
    other = [first, {"role": "tool", "seconds": [1.0, 2.0]}, second, *rest]
    assert not torch.equal(
        traced(model, tmp_path, sample, other)[0]["input_ids"], plain["input_ids"]
    )


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (None, "needed: a list of messages"),
        ([], "no turn of the assistant"),
        (["x"], "needed: an object with a role"),
        (spoken(TURNS[:2]), "its 2 turns end without an answer"),
        (spoken([TURNS[-1], TURNS[0]]), "turn 2 of 2 comes after the search was over"),
        ([{"role": "assistant", "content": [{"type": "image"}]}], "needed: a text"),
        ([spoken(TURNS)[0], {"role": "tool", "seconds": ["x"]}], "needed: numbers"),
    ],
)
def test_rows_that_are_no_traces(tiny_model, sample, tmp_path, messages, problem):
    found = traced(str(tiny_model("qwen2_5_vl")), tmp_path, sample, messages)
    with pytest.raises(ValueError, match=f"sample 'q0' is no trace of a search: .*{problem}"):
        found[0]


def test_settings_and_bad_videos(tiny_model, sample, tmp_path, clock_video):
    model = str(tiny_model("qwen2_5_vl"))
    with pytest.raises(ValueError, match=r"need data\.temporal\.search"):
        traced(model, tmp_path, sample, spoken(TURNS), search=None)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(clock_video.read_bytes())
    sample = sample.moved(str(copy))
    strict = traced(model, tmp_path, sample, spoken(TURNS))
    lenient = traced(model, tmp_path, sample, spoken(TURNS), on_bad_video="skip")
    copy.write_bytes(b"gone bad")
    with pytest.raises(VideoError):
        strict[0]
    assert int(lenient[0]["loss_mask"].sum()) == 0
