"""The poor searcher's traces: real conversations, of which only what the model says is taught."""

import dataclasses

import numpy as np
import pytest

from temporal_plugin.demo import (
    search_clips,
    search_cold_start,
    search_encoder,
    search_model,
    search_traces,
)
from temporal_plugin.demo.cold_start import IGNORED_LABEL
from temporal_plugin.demo.search_settings import (
    EncoderSettings,
    SearchClipSettings,
    SearchColdStartSettings,
    SearchDemoSettings,
)
from temporal_plugin.search.turns import FinalAnswer, ToolCall, parse_turn

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("av")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    settings = SearchDemoSettings(
        out=tmp_path_factory.mktemp("search_demo"),
        threads=1,
        clips=SearchClipSettings(train=4, validation=1, test=1),
        encoder=EncoderSettings(batches=3),
        cold_start=SearchColdStartSettings(batches=2, batch_size=4, search_counts=(0.3, 0.3, 0.4)),
    )
    search_clips.write(settings.clips_dir, settings.clips, 0, progress=False)
    search_encoder.build(settings)
    search_model.build(settings)
    return settings


@pytest.fixture(scope="module")
def tracer(settings):
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(settings.model_dir)
    return search_traces.Tracer(settings, processor, 0)


@pytest.fixture(scope="module")
def samples(settings):
    from temporal_plugin.annotations import load_samples

    return load_samples(settings.clips_dir / "train.jsonl")


def taught(tracer, row) -> list[str]:
    """What a row teaches the model to say, turn by turn; what is left out is left out."""
    tokenizer = tracer.processor.tokenizer
    labels = row["labels"][0]
    turns = tokenizer.decode(labels[labels != IGNORED_LABEL]).split("<|im_end|>")
    assert turns.pop() == ""  # the last turn's end is taught, too
    return turns


def test_a_call_is_six_tokens(tracer):
    tokenizer = tracer.processor.tokenizer
    text = search_model.call_text(search_model.query_text("red"), 2)
    ids = tokenizer(text).input_ids
    assert len(ids) == 6
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    call = parse_turn(text, thinks=False)
    assert isinstance(call, ToolCall) and call.well_formed
    assert call.arguments == {"query": "red thing", "num_frames": 2}


def test_only_what_the_model_says_is_taught(tracer, samples):
    counts = []
    for sample in samples * 3:
        for row in tracer.rows(sample):
            turns = taught(tracer, row)
            *calls, answer = turns
            assert all(isinstance(parse_turn(call, thinks=False), ToolCall) for call in calls)
            assert isinstance(parse_turn(answer, thinks=False), FinalAnswer)
            assert answer in (search_model.answer_text(sample.answer), "<answer></answer>")
            assert row["input_ids"].shape == row["labels"].shape
            assert row["input_ids"].shape[1] < 160
            counts.append(len(calls))
    assert set(counts) == {0, 1, 2}


def test_a_letter_is_taught_exactly_where_the_event_was_shown(tracer, samples):
    sample, found = samples[0], []
    [span] = sample.spans
    for start in (0.0, span.start_seconds):
        frames = tracer.search.seek(sample.video, "a thing", start, start + 1.0, 1)
        shown = search_traces.seen(sample, frames.pts_seconds)
        found.append(shown)
        (answer,) = taught(tracer, tracer._about(sample, frames))
        assert (answer == search_model.answer_text(sample.answer)) == shown
    assert found == [False, True]


def test_one_frame_is_replaced_by_another_in_its_place_in_time(tracer, samples):
    evenly = tracer._evenly(samples[0])
    assert len(evenly) == tracer.settings.uniform_frames
    event = tracer._event_frame(samples[0])
    mixed = search_traces.with_frame(evenly, event)
    assert (np.diff(mixed.pts_seconds) > 0).all()
    changed = [
        index for index in range(len(mixed)) if not mixed.pixels[index].equal(evenly.pixels[index])
    ]
    assert len(changed) == 1
    assert mixed.pts_seconds[changed[0]] == event.pts_seconds[0]
    assert search_traces.seen(samples[0], mixed.pts_seconds)


def test_seen_is_half_open(samples):
    [span] = samples[0].spans
    assert search_traces.seen(samples[0], [span.start_seconds])
    assert not search_traces.seen(samples[0], [span.end_seconds], [])
    assert not search_traces.seen(samples[0], [])


def test_the_cold_start_writes_a_model_that_has_learned(settings):
    from safetensors.torch import load_file

    record = search_cold_start.run(settings)
    assert record["batches"] == settings.cold_start.batches
    before, after = (
        load_file(folder / "model.safetensors")
        for folder in (settings.model_dir, settings.cold_start_dir)
    )
    assert any(not before[name].equal(after[name]) for name in before)
    longer = dataclasses.replace(settings.cold_start, batches=12)
    again = search_cold_start.run(dataclasses.replace(settings, cold_start=longer))
    assert again["loss"] < record["loss"]
