import json

import numpy as np
import pytest

from temporal_plugin.annotations import Sample, defects
from temporal_plugin.annotations.check import survey
from temporal_plugin.annotations.data_check import check_data
from temporal_plugin.annotations.defects import find_defects, video_identity
from temporal_plugin.annotations.histograms import Histogram, histograms
from temporal_plugin.report.data_check import histogram_line
from temporal_plugin.spans import Span

BOTH = {"wrong_duration", "span_past_file_end"}
ROW = {"task": "grounding", "query": "q", "duration": 10, "spans": [[1, 2]]}


def sample(id="a", video="/v.mp4", **fields):
    fields = {"task": "open", "query": f"what is {id}?", **fields}
    return Sample(id=id, video=video, **fields)


def found(samples, seconds=None):
    return {
        defect.kind: (defect.rows, defect.examples) for defect in find_defects(samples, seconds)
    }


def test_nothing_wrong():
    assert find_defects([]) == []
    rows = [sample("a", split="train"), sample("b", "/w.mp4", split="test", duration=9.0)]
    assert find_defects(rows, {"/v.mp4": 3.0, "/w.mp4": 9.9}) == []


@pytest.mark.parametrize(
    ("train", "test", "leaks"),
    [
        (("a", "train", "/x/QtWT8rxUuNk.mp4"), ("b", "test", "/y/v_QtWT8rxUuNk.mkv"), True),
        (("a", "training", "/x/Qt.mp4"), ("a", "val_2", "/x/Qt_0:01.0_0:09.0.mp4"), True),
        (("a", "train", "/x/0012.mp4"), ("b", "test", "/y/0012.mp4"), False),  # a mere number
        (("a", "train", "/x/0012.mp4"), ("a", "test", "/y/0012.mp4"), True),
        (("a", "train", "/x/video_7.mp4"), ("b", "test", "/x/video_7.mp4"), True),
        (("a", "train", "/x/Qt.mp4"), ("b", "train", "/x/Qt.mp4"), False),
        (("a", "", "/x/Qt.mp4"), ("b", "test", "/x/Qt.mp4"), False),
    ],
)  # fmt: skip
def test_leakage(train, test, leaks):
    rows = [
        sample(f"{n}", video, source=source, split=split)
        for n, (source, split, video) in enumerate((train, train, test))
    ]
    result = found(rows).get("leakage")
    assert (result is not None) is leaks
    if leaks:
        assert result[0] == 2  # the training rows, not the videos
        (text,) = result[1]
        assert text.endswith(f"{train[0]} {train[1]} (2 rows), {test[0]} {test[1]} (1 rows)")


def test_the_identity_of_a_video():
    names = ["a/v_QtWT8rxUuNk.mp4", "QtWT8rxUuNk_1.0_2.5.mp4", "b/c/QtWT8rxUuNk.webm"]
    assert {video_identity(name) for name in names} == {"QtWT8rxUuNk"}
    assert video_identity("v_short.mp4") == "v_short"


def test_duplicates_are_questions_and_not_wordings():
    same = {"spans": (Span(1, 2),), "query": "The  door opens."}
    rows = [
        sample("a", **same),
        sample("b", **{**same, "query": "the door opens"}),
        sample("c", **{**same, "spans": (Span(1, 3),)}),
        sample("d", "/w.mp4", **same),
        sample("e", clip=Span(0, 5), **same),
    ]
    assert found(rows) == {"duplicate": (1, ["'b' repeats 'a'"])}


def cut(id, video, window, source="s"):
    return sample(id, video, source=source, extra={"clip_in_source": window})


def test_one_cut_file_cannot_be_two_windows():
    rows = [cut("a", "/v", [0, 5]), cut("b", "/v", [0, 5]), cut("c", "/v", [2, 7])]
    rows += [cut("d", "/w", [0, 5]), cut("e", "/w", [0, 5])]
    count, examples = found(rows)["clip_windows_differ"]
    assert (count, examples) == (1, ["/v as 2 windows: [0, 5], [2, 7]"])


def test_a_file_that_is_probably_not_cut():
    rows = [
        cut("a", "/x_10.0_20.0.mp4", [10, 20]),
        cut("b", "/y.mp4", [3, 9]),
        cut("c", "/z.mp4", [0, 9]),
        cut("d", "/u.mp4", [3, 9], source="another"),
    ]
    assert found(rows) == {"clip_uncut_by_name": (1, ["'b' window [3, 9]"])}


@pytest.mark.parametrize(
    ("fields", "real", "kinds"),
    [
        ({"duration": 10.0}, 10.9, set()),
        ({"duration": 10.0}, 11.2, {"wrong_duration"}),
        ({"duration": 200.0}, 203.5, set()),
        ({"duration": 30.0, "spans": (Span(20, 28),)}, 27.0, BOTH),
        ({"spans": (Span(20, 28),)}, 27.6, set()),
        ({"clip": Span(5, 9), "duration": 4.0}, 60.0, set()),
        ({"clip": Span(5, 9), "duration": 9.0}, 60.0, {"wrong_duration"}),
        ({"clip": Span(5, 9), "spans": (Span(3, 6),)}, 60.0, {"span_past_file_end"}),
        ({"clip": Span(50, 90)}, 60.0, {"clip_past_file_end"}),
        ({"duration": 99.0}, None, set()),
    ],
)  # fmt: skip
def test_samples_beside_their_files(fields, real, kinds):
    seconds = {} if real is None else {"/v.mp4": real}
    assert set(found([sample(**fields)], seconds)) == kinds


def test_what_fails_comes_first():
    rows = [
        sample("a", split="train", query="q"),
        sample("b", split="train", query="q"),
        sample("c", split="test", query="r"),
    ]
    kinds = [defect.kind for defect in find_defects(rows)]
    assert kinds == ["leakage", "duplicate"]
    assert set(kinds) & defects.FAILING == {"leakage"}


def test_a_histogram():
    result = Histogram.of([0.5, 1, 1.9, 2, 99], (1.0, 2.0))
    assert result.counts == (1, 2, 2)
    assert (result.low, result.middle, result.high) == (0.5, 1.9, 99)
    line = histogram_line("x", result)
    assert "|▄██|" in line
    assert "edges 1 2; min 0.5, median 1.9, max 99" in line
    assert histogram_line("x", Histogram.of([], (1.0,))).endswith("unknown")


def test_lengths_count_once_per_video_and_spans_once_each():
    rows = [
        sample("a", duration=40.0, spans=(Span(0, 10), Span(10, 12))),
        sample("b", duration=40.0),
    ]
    result = histograms(rows)
    assert sum(result["video_seconds"].counts) == 1
    assert (result["span_seconds"].low, result["span_seconds"].high) == (2.0, 10.0)
    assert result["span_share"].high == 0.25


def test_real_lengths_are_read_beside_the_faults(write_video, tmp_path):
    good = str(write_video(tmp_path / "v.mp4", np.zeros((20, 32, 32, 3), np.uint8), fps=10))
    (tmp_path / "bad.mp4").write_bytes(b"junk")
    result = survey([good, str(tmp_path / "bad.mp4")], lengths=True)
    assert result[good].seconds == pytest.approx(2.0, abs=0.05)
    assert result[good].fault is None
    assert result[str(tmp_path / "bad.mp4")].fault is not None
    assert survey([good])[good].seconds is None


@pytest.fixture
def configs(write_jsonl):
    def write(name, *rows):
        rows = [{**ROW, "id": f"{name}{n}", **row} for n, row in enumerate(rows)]
        return write_jsonl(*rows, name=f"{name}.jsonl")

    return write


def test_several_configs_are_checked_together(configs):
    train = configs("train", {"video": "abcdef.mp4", "split": "train"})
    test = configs("test", {"video": "abcdef.mp4", "split": "test"})
    assert check_data([train], videos=False).failures == []
    both = check_data([train, test], videos=False)
    assert both.failures == ["leakage"]
    assert check_data([train, test], videos=False, allowed=["leakage"]).failures == []
    assert json.loads(json.dumps(both.to_dict()))["defects"][0]["kind"] == "leakage"


def test_strict_fails_for_everything(configs):
    rows = [
        {"video": "a.mp4"},
        {"video": "a.mp4"},
        {"video": "b.mp4", "spans": [[5, 11]]},
    ]
    path = configs("rows", *rows)
    assert check_data([path], videos=False).failures == []
    strict = check_data([path], videos=False, strict=True)
    assert strict.failures == ["duplicate", "past_end"]
    kinds = ["duplicate", "past_end"]
    assert check_data([path], videos=False, strict=True, allowed=kinds).failures == []


def test_what_always_fails(configs, tmp_path):
    path = configs("rows", {"video": "no.mp4"})
    assert check_data([path]).failures == ["video"]
    path.write_text("{broken\n")
    assert check_data([path]).failures == ["nothing_left", "malformed_row"]


@pytest.mark.parametrize("policy", ["drop", "clip", "keep"])
def test_the_known_facts_of_real_files(shared, write_config, policy):
    folder = shared / "data/annotations"
    extra = f"data_folder: .\n    on_bad_span: {policy}"
    path = write_config(
        f"datasets:\n  - json_path: {folder}/timerft_2k5.json\n    {extra}\n"
        "    format: timerft\n    clip: precut\n"
        f"  - json_path: {folder}/tvgbench.json\n    {extra}\n"
        "    format: tvgbench\n    clip: precut\n"
    )
    result = check_data([path], videos=False)
    timerft, tvgbench = result.reports
    assert (timerft.read, tvgbench.read) == (2500, 800)
    rows = {reason: finding.rows for reason, finding in timerft.findings.items()}
    assert (rows["past_end"], rows["past_end_over_1_s"], rows["past_twice_the_end"]) == (31, 29, 6)
    assert timerft.policy["on_bad_span"] == policy
    dropped, changed = {"drop": (31, 0), "clip": (6, 42), "keep": (0, 0)}[policy]
    assert (timerft.dropped, timerft.changed) == (dropped, changed)
    defects = {defect.kind: defect.rows for defect in result.defects}
    assert defects["clip_uncut_by_name"] == 33
    assert defects["clip_windows_differ"] == {"drop": 71, "clip": 72, "keep": 76}[policy]
    assert result.failures == ["clip_windows_differ"]
