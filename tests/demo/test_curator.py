"""The demo's curator: what it is shown, what it is told, and that hiding hides."""

import dataclasses
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin import answers, prompts
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.demo import clips, cold_start, curator, tiny_model
from temporal_plugin.demo.settings import ClipSettings, DemoSettings
from temporal_plugin.spans import Span

STEPS, PATCHES, VALUES = 8, 4, 3
PROMPT = "answer_list"


def row_of(start, end):
    sample = Sample(
        id="a",
        task="grounding",
        video="a.mp4",
        query="the red square appears",
        spans=(Span(start, end),),
        duration=8.0,
    )
    inputs = {
        "pixel_values_videos": torch.rand(STEPS * PATCHES, VALUES) + 1.0,
        "video_grid_thw": torch.tensor([[STEPS, 2, 2]]),
    }
    return cold_start.Row(sample, inputs)


EVENTS = st.tuples(st.integers(0, 6), st.integers(2, 4)).map(
    lambda pair: (float(pair[0]), float(min(8, pair[0] + pair[1])))
)


@given(EVENTS, st.integers(0, 2**16))
def test_what_is_left_to_be_found_is_what_is_not_hidden(event, seed):
    row, stranger = row_of(*event), row_of(1.0, 3.0)
    asked, hidden, found = curator.question(row, [stranger], random.Random(seed))
    assert asked.inputs["pixel_values_videos"] is row.inputs["pixel_values_videos"]
    if found:
        assert asked is row
        assert found == [row.truth]
    if hidden != row.truth:
        assert hidden.end_seconds <= event[0] or event[1] <= hidden.start_seconds
        assert 0 <= hidden.start_seconds < hidden.end_seconds <= 8
        assert found or asked.sample is stranger.sample


def test_all_kinds_of_questions_are_asked():
    row, stranger, generator = row_of(2.0, 4.0), row_of(1.0, 3.0), random.Random(0)
    asked = [curator.question(row, [stranger], generator) for _ in range(400)]
    found = sum(bool(spans) for _, _, spans in asked)
    hidden = sum(span == row.truth for _, span, _ in asked)
    strange = sum(one is not row for one, _, _ in asked)
    assert found + hidden + strange == 400
    assert min(found, hidden, strange) > 50
    alone = [curator.question(row, [], generator) for _ in range(100)]
    assert all(one is row for one, _, _ in alone)


def test_strangers_ask_for_colours_that_are_not_in_the_clip():
    queries = {
        "a.mp4": ["the red square appears", "a circle that is blue flickers"],
        "b.mp4": ["a green triangle grows"],
        "c.mp4": ["the red circle blinks"],
    }
    rows = [
        cold_start.Row(dataclasses.replace(row_of(2.0, 4.0).sample, video=video, query=query), {})
        for video, texts in queries.items()
        for query in texts
    ]
    found = curator.strangers_of(rows)
    asked = {video: {row.sample.query for row in rows} for video, rows in found.items()}
    assert asked == {
        "a.mp4": {"a green triangle grows"},
        "b.mp4": {*queries["a.mp4"], *queries["c.mp4"]},
        "c.mp4": {"a circle that is blue flickers", "a green triangle grows"},
    }


@pytest.mark.parametrize(
    ("span", "black"),
    [((2.0, 4.0), {2, 3}), ((2.5, 3.0), {2}), ((2.9, 4.1), {2, 3, 4}), ((0.0, 8.0), set(range(8)))],
)
def test_steps_that_touch_the_span_are_black_and_no_others(span, black):
    row = row_of(2.0, 4.0)
    before = row.inputs["pixel_values_videos"].clone()
    hiding = curator.Hiding(np.arange(2 * STEPS) / 2, torch.zeros(PATCHES, VALUES))
    steps = hiding.apply(row, Span(*span)).inputs["pixel_values_videos"].view(STEPS, -1)
    assert {step for step in range(STEPS) if not steps[step].any()} == black
    others = sorted(set(range(STEPS)) - black)
    assert torch.equal(steps[others], before.view(STEPS, -1)[others])
    assert torch.equal(row.inputs["pixel_values_videos"], before)  # rows share their pixels


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A demo with a handful of clips and a model without training."""
    settings = DemoSettings(
        out=tmp_path_factory.mktemp("curator"),
        threads=1,
        clips=ClipSettings(train=4, validation=2, test=1),
        cold_start=dataclasses.replace(DemoSettings().cold_start, batch_size=4),
    )
    clips.write(settings.clips_dir, settings.clips, 0, progress=False)
    tiny_model.build_for_demo(settings)
    return settings


def test_the_prompts_sentences_become_single_tokens(small):
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(small.model_dir)
    model = AutoModelForImageTextToText.from_pretrained(small.model_dir)
    template = prompts.load(PROMPT).user
    last = template.partition("{query}")[2]
    assert len(tokenizer(last).input_ids) > 20
    for _ in range(2):  # a second time changes nothing
        curator.learn_sentences(model, tokenizer, template)
        assert len(tokenizer(last).input_ids) == 1
        assert model.get_input_embeddings().num_embeddings >= len(tokenizer)


def test_a_full_vocabulary_grows(small):
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(small.model_dir)
    model = AutoModelForImageTextToText.from_pretrained(small.model_dir)
    tokenizer.add_tokens([f"<{number}>" for number in range(100)])
    before = model.get_input_embeddings().weight[:100].clone()
    curator.learn_sentences(model, tokenizer, prompts.load(PROMPT).user)
    embeddings = model.get_input_embeddings()
    assert embeddings.num_embeddings >= len(tokenizer)
    assert embeddings.num_embeddings % tiny_model.VOCABULARY_MULTIPLE == 0
    assert torch.equal(embeddings.weight[:100], before)


def test_black_patches_are_those_of_a_masked_video(small):
    """Training hides patches, the evaluation hides frames: the model must see the same."""
    from transformers import AutoProcessor

    from temporal_plugin.annotations import load_samples
    from temporal_plugin.video.decode import load_frames
    from temporal_plugin.video.masking import kept_steps, masked
    from temporal_plugin.video.model_inputs import encode
    from temporal_plugin.video.sampling import Sampling

    processor = AutoProcessor.from_pretrained(small.model_dir)
    samples = load_samples(small.clips_dir / "train.jsonl")[:1]
    (row,) = cold_start.encode_samples(
        samples, processor, dataclasses.replace(small, prompt=PROMPT)
    )
    frames = load_frames(
        samples[0].video, Sampling(**small.sampling()), patch_size=small.patch_size
    )
    keep = kept_steps(frames.pts_seconds, [row.truth], show="outside", fraction=0.0, seed="")
    shown = masked(frames, keep, "blank")
    expected = encode(processor, prompts.load(PROMPT).messages(samples[0]), [shown])
    found = curator.Hiding.of(row, processor, small).apply(row, row.truth)
    assert torch.equal(found.inputs["pixel_values_videos"], expected["pixel_values_videos"])
    assert torch.equal(found.inputs["input_ids"], expected["input_ids"])


def test_training_lowers_the_loss_and_leaves_a_model(small, tmp_path):
    first = curator.run(small, small.model_dir, tmp_path / "a", PROMPT, 1)
    last = curator.run(small, small.model_dir, tmp_path / "b", PROMPT, 12)
    assert last["loss"] < first["loss"]
    assert last["batches"] == 12
    assert 0 <= last["nothing"] <= 1
    assert (tmp_path / "b/model.safetensors").exists()
    assert prompts.load(PROMPT).fingerprint in (tmp_path / "b/temporal_prompt.json").read_text()


def test_the_labels_are_the_gold_answers_of_the_contract():
    contract = prompts.load(PROMPT).contract
    for spans in ([], [Span(2.0, 4.0)]):
        answer = answers.parse(answers.render(contract, spans=spans), contract=contract)
        assert list(answer.spans) == spans
        assert answer.well_formed
