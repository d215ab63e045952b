"""The tiny models load, encode and learn in both families."""

import dataclasses
import random

import pytest

from temporal_plugin.demo import clips, cold_start, tiny_model
from temporal_plugin.demo.settings import FAMILIES, ClipSettings, ColdStartSettings, DemoSettings
from temporal_plugin.spans import Span

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("decord")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module", params=FAMILIES)
def settings(request, out):
    small = ClipSettings(train=6, validation=2, test=2)
    settings = DemoSettings(out=out / request.param, family=request.param, clips=small)
    clips.write(settings.clips_dir, settings.clips, settings.seed, progress=False)
    tiny_model.build_for_demo(settings)
    return settings


@pytest.fixture(scope="module")
def loaded(settings):
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from temporal_plugin.integrations.transformers_time import fix_qwen2_5_vl_positions

    fix_qwen2_5_vl_positions()
    processor = AutoProcessor.from_pretrained(settings.model_dir)
    return AutoModelForImageTextToText.from_pretrained(settings.model_dir), processor


@pytest.fixture(scope="module")
def rows(settings, loaded):
    from temporal_plugin.annotations import load_samples

    samples = load_samples(settings.clips_dir / "train.jsonl")
    return cold_start.encode_samples(samples, loaded[1], settings)


def test_what_hosts_look_at_is_set(loaded, settings):
    model, processor = loaded
    tokenizer, text = processor.tokenizer, model.config.text_config
    assert model.dtype == torch.float32
    assert sum(weight.numel() for weight in model.parameters()) < 1.5e6
    assert text.vocab_size % 64 == 0
    assert len(tokenizer) <= text.vocab_size
    assert tokenizer.eos_token_id in model.generation_config.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id != tokenizer.eos_token_id
    for name in ("image", "video"):
        token = getattr(model.config, f"{name}_token_id")
        assert tokenizer.convert_ids_to_tokens(token) == f"<|{name}_pad|>"


def test_times_are_written_digit_by_digit_and_survive(loaded):
    tokenizer = loaded[1].tokenizer
    text = cold_start.answer_text(Span(12.5, 140.25))
    ids = tokenizer(text).input_ids
    assert tokenizer.convert_ids_to_tokens(ids)[:4] == ["<answer>", "1", "2", "."]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    other = "Ünïcode, {braces} and\nnew lines\t✓"
    assert tokenizer.decode(tokenizer(other).input_ids) == other


def test_a_clip_becomes_eight_times_four_tokens_that_are_never_resized_again(
    settings, loaded, rows
):
    model, _ = loaded
    for row in rows:
        assert row.inputs["video_grid_thw"].tolist() == [[8, 4, 4]]
        assert int((row.inputs["input_ids"] == model.config.video_token_id).sum()) == 32
        assert row.inputs["input_ids"].shape[1] < 200
        if settings.family == "qwen2_5_vl":
            assert row.inputs["second_per_grid_ts"].tolist() == pytest.approx([1.0], abs=0.05)


def test_the_loss_covers_the_answer_only(loaded, rows):
    tokenizer = loaded[1].tokenizer
    inputs = cold_start.with_answer(rows[0], rows[0].truth, tokenizer)
    learned = inputs["input_ids"][inputs["labels"] != cold_start.IGNORED_LABEL]
    assert tokenizer.decode(learned) == cold_start.answer_text(rows[0].truth) + "<|im_end|>"
    lengths = {inputs[name].shape for name in ("input_ids", "attention_mask", "labels")}
    assert len(lengths) == 1


def test_three_batches_lower_the_loss_and_greedy_answers_are_scored(loaded, rows):
    model, processor = loaded
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch = [cold_start.with_answer(row, row.truth, processor.tokenizer) for row in rows]
    pad = processor.tokenizer.pad_token_id
    losses = [cold_start.train_batch(model, optimizer, batch, pad) for _ in range(3)]
    assert losses[2] < losses[1] < losses[0]
    assert 0.0 <= cold_start.greedy_miou(model, processor, rows[:4]) <= 1.0


def test_the_cold_start_stops_when_told_and_leaves_a_checkpoint(settings):
    from transformers import AutoModelForImageTextToText

    quick = ColdStartSettings(batches=3, evaluate_every=2, batch_size=4)
    settings = dataclasses.replace(settings, cold_start=quick)
    result = cold_start.run(settings, settings.model_dir, settings.cold_start_dir)
    assert result["batches"] == 3
    AutoModelForImageTextToText.from_pretrained(settings.cold_start_dir)
    lines = (settings.cold_start_dir / "cold_start.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == 2


def test_an_unknown_family_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'llava' is unknown; use one of"):
        tiny_model.build("llava", tmp_path, 0, ["text"])


def test_every_row_is_used_once_per_pass():
    picked = cold_start.batches(10, 4, seed=0)
    numbers = [number for _ in range(5) for number in next(picked)]
    assert sorted(numbers) == sorted([*range(10)] * 2)


def test_labels_are_late_as_often_as_set(rows):
    cold, generator = ColdStartSettings(late_share=0.6, late_seconds=1.0), random.Random(0)
    labels = [cold_start.label(rows[0], cold, generator) for _ in range(500)]
    truth, duration = rows[0].truth, rows[0].sample.duration
    late = {span for span in labels if span != truth}
    assert len(late) == 1
    assert late.pop().start_seconds == truth.start_seconds + 1.0
    assert all(span.end_seconds <= duration for span in labels)
    assert 0.5 < sum(span != truth for span in labels) / len(labels) < 0.7
