"""What `benchmarks/bench_videotg.py` could get wrong: the planting, the flags, the tokens."""

import importlib
import json
from collections import Counter
from pathlib import Path

import pytest

from temporal_plugin.annotations import load_samples
from temporal_plugin.demo.settings import ClipSettings
from temporal_plugin.spans import Span, iou

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MIX = {"train": {"ordinary": 2, "short": 2, "partial": 3}, "validation": {"short": 1}, "test": {}}


@pytest.fixture
def load(monkeypatch):
    """Imports a module of benchmarks/ by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def clips(load):
    return load("videotg_clips")


def test_a_split_holds_the_asked_kinds_in_an_order_of_the_seed(clips):
    counts = {"ordinary": 30, "short": 20, "partial": 10}
    first = clips.kinds(counts, 0)
    assert Counter(first) == counts
    assert first == clips.kinds(counts, 0) != clips.kinds(counts, 1)
    with pytest.raises(ValueError, match="kind 'long' is unknown; allowed: ordinary, short"):
        clips.kinds({"long": 1}, 0)


@pytest.mark.parametrize("index", range(30))
@pytest.mark.parametrize("kind", ["ordinary", "short", "partial"])
def test_a_plan_is_what_its_kind_says(clips, kind, index):
    settings = ClipSettings()
    clip = clips.plan(kind, settings, 1, "train", index)
    assert clip == clips.plan(kind, settings, 1, "train", index)
    assert clip.annotated in clip.occurrences
    lengths = [one.end_seconds - one.start_seconds for one in clip.occurrences]
    if kind == "partial":
        first, second = clip.occurrences
        assert first.query(0) == second.query(0)
        assert second.start_seconds - first.end_seconds >= 1
    else:
        assert len(lengths) == 1
        assert lengths == [1] if kind == "short" else 2 <= lengths[0] <= 4
    for one in clip.occurrences:
        assert 0 <= one.start_seconds < one.end_seconds <= settings.duration_seconds
        assert not any(one.hides(other) for other in clip.others)
    assert clip.annotated.colour not in {other.colour for other in clip.others}


def test_the_annotation_of_a_partial_clip_is_either_occurrence(clips):
    planned = [clips.plan("partial", ClipSettings(), 0, "train", index) for index in range(40)]
    places = Counter(clip.occurrences.index(clip.annotated) for clip in planned)
    assert set(places) == {0, 1}
    assert min(places.values()) > 8


def test_samples_do_not_tell_their_kind_and_the_truth_does(clips, tmp_path):
    pytest.importorskip("av")
    paths = clips.write(tmp_path, ClipSettings(), 3, MIX)
    train = load_samples(paths["train"])
    truth = {row["id"]: row for row in map(json.loads, paths["truth"].read_text().splitlines())}
    kinds = clips.kinds_of(paths["truth"])
    assert Counter(kinds[sample.id] for sample in train) == MIX["train"]
    assert len(load_samples(paths["validation"])) == 1
    for sample in train:
        assert "partial" not in json.dumps(sample.to_dict())
        assert Path(sample.video).exists()
        occurrences = [Span(*pair) for pair in truth[sample.id]["occurrences"]]
        assert len(occurrences) == (2 if kinds[sample.id] == "partial" else 1)
        assert sum(iou(one, sample.spans[0]) == 1 for one in occurrences) == 1
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    clips.write(tmp_path, ClipSettings(), 3, MIX)  # what is there is left alone
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")} == times


def test_precision_and_recall_of_the_flag(load):
    quality = load("bench_videotg").flag_quality
    names = ["partial", "partial", "partial", "short", "ordinary", "partial"]
    kinds = dict(zip("abcdef", names, strict=True))
    flags = {"a": True, "b": True, "c": False, "d": True, "e": False}  # f was not asked
    found = quality(flags, kinds)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["flagged"] == {"ordinary": [0, 1], "short": [1, 1], "partial": [2, 3]}
    nothing = quality({"e": False}, kinds)
    assert (nothing["precision"], nothing["recall"]) == (0.0, 0.0)


def test_tokens_of_all_training_rollouts_and_of_no_validation(load):
    rows = {
        0: {"val-core/demo/acc/mean@1": 0.4},
        1: {"response_length/mean": 13.0, "prompt_length/mean": 59.5},
        2: {"response_length/mean": 13.5, "prompt_length/mean": 60.0, "val-core/x": 0.5},
    }
    found = load("demo_runs").rollout_tokens(rows, 128)
    assert found == {"response": 128 * 26.5, "prompt": 128 * 119.5}
    with pytest.raises(ValueError, match="has it trained"):
        load("demo_runs").rollout_tokens({0: rows[0]}, 128)


def test_tokens_of_answers_are_those_that_were_generated(load, tmp_path):
    from temporal_plugin.demo.cold_start import answer_text
    from temporal_plugin.demo.tiny_model import train_tokenizer

    answer = answer_text(Span(2.0, 4.0))
    tokenizer = train_tokenizer([answer])
    tokenizer.save_pretrained(tmp_path)
    length = len(tokenizer(answer + tokenizer.eos_token).input_ids)
    count = load("demo_runs").answer_tokens
    assert count([answer, answer, ""], tmp_path) == 2 * length + 1
    assert count([], tmp_path) == 0


def test_the_pipelines_share_of_the_tokens(load):
    result = {
        "plain": {"tokens": {"response": 1000, "prompt": 4000}, "test_miou": 0.5},
        "pipeline": {"tokens": {"response": 250, "prompt": 1000}, "test_miou": 0.6},
        "reflection": {"tokens": 100},
        "difficulty": {"tokens": 150},
    }
    found = load("bench_videotg").compare(result)
    assert found["test_gain"] == pytest.approx(0.1)
    assert found["share_of_response_tokens"] == 0.25
    assert found["share_of_all_tokens"] == 0.25
    assert found["share_with_curation"] == 0.5


def test_settings_become_an_override_that_hydra_reads(load):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    benchmark = load("bench_videotg")
    text = f"data.temporal.masking={load('demo_runs').as_override(benchmark.MASKING)}"
    assert OverridesParser.create().parse_override(text).value() == benchmark.MASKING
