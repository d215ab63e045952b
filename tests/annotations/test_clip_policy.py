import pytest

from temporal_plugin.annotations import AnnotationError, Sample, clip_policy, load
from temporal_plugin.annotations.clip_policy import BY_FILE, BY_NAME, NEITHER, settle
from temporal_plugin.spans import Span


def sample(start=10.0, end=30.0, video="/no/v.mp4", **fields):
    clip = None if start is None else Span(start, end)
    return Sample(id="a", task="open", video=video, query="q", clip=clip, **fields)


@pytest.fixture
def real(monkeypatch):
    """Says how long the file is: the real thing is opened in the tests at the end."""

    def set_seconds(seconds):
        monkeypatch.setattr(clip_policy, "file_seconds", lambda path: seconds)

    return set_seconds


@pytest.mark.parametrize("policy", clip_policy.POLICIES)
@pytest.mark.parametrize(
    ("window", "seconds", "cut", "contradicted"),
    [
        ((10, 30), None, None, None),  # no file: the policy alone
        ((10, 30), 20.4, True, "trim"),
        ((10, 30), 95.0, False, "precut"),
        ((10, 30), 30.0, False, "precut"),
        ((10, 30), 29.5, False, "precut"),  # a little short, and still no cut file
        ((10, 30), 25.0, None, "both"),
        ((10, 30), 5.0, None, "both"),
        ((0, 30), 30.2, None, None),  # either way the same frames
        ((0, 30), 90.0, False, "precut"),
        ((0.8, 30), 29.6, None, None),
        ((100, 1100), 1015.0, True, "trim"),  # 2% of a long one
        ((100, 1100), 1022.0, None, "both"),
    ],
)
def test_the_real_length_decides(real, policy, window, seconds, cut, contradicted):
    real(seconds)
    found, problem = settle(sample(*window), policy)
    wanted = policy == "precut" if cut is None else cut
    assert (found.clip is None) is wanted
    expected = NEITHER if contradicted == "both" else BY_FILE if contradicted == policy else None
    assert problem == expected


def test_a_cut_file_keeps_its_window_and_gets_a_duration():
    found, _ = settle(sample(extra={"a": 1}), "precut")
    assert found == sample(None, duration=20.0, extra={"a": 1, "clip_in_source": [10.0, 30.0]})
    assert clip_policy.window_of(found) == Span(10, 30)
    assert settle(sample(duration=19.0), "precut")[0].duration == 19.0
    assert settle(sample(None), "precut") == (sample(None), None)
    assert clip_policy.window_of(sample(None)) is None


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("ID_00:00:10:000_00:00:30:000", True),
        ("ID_0:10_0:30", True),
        ("I_D_5_10.0_30.0", True),
        ("ID_10_30", True),
        ("ID_10_31", False),
        ("ID_00:00:11:700_00:00:30:000", False),
        ("ID", False),
        ("ID_10_30_x", False),
        ("_" * 30_000 + "1_" * 30_000, False),
    ],
)
def test_a_name_that_tells_the_window(name, named):
    row = sample(video=f"/no/{name}.mp4")
    assert clip_policy.names_window(row) is named
    assert settle(row, "trim")[1] == (BY_NAME if named else None)
    assert settle(row, "precut")[1] is None
    assert settle(row, "trim")[0] is row  # a name is a hint and decides nothing


def test_a_window_that_starts_the_video_is_cut_twice_without_harm():
    assert settle(sample(0, 30, video="/no/ID_0_30.mp4"), "trim")[1] is None


@pytest.mark.parametrize(
    ("stem", "whole"),
    [
        ("4juj_00:00:39:000_00:01:24:700", "4juj"),
        ("2I9-kv_510.0_660.0", "2I9-kv"),
        ("clip_12_34", "clip_12_34"),
        ("v_abc", "v_abc"),
    ],
)
def test_the_name_of_the_whole_video(stem, whole):
    assert clip_policy.without_window(stem) == whole


ROW = {
    "duration": 4.0,
    "timestamp": [1.0, 2.0],
    "sentence": "q",
    "video_start": 2.0,
    "video_end": 6.0,
    "difficulty": None,
    "pred": None,
}


@pytest.fixture
def entry(write_config, tmp_path, write_video):
    """A TimeRFT file: rows 0 a cut file, 1 a whole one, 2 another video, 3 no file, 4 broken."""
    import json

    import numpy as np

    for name, seconds in (("v0", 4), ("v1", 12), ("v2", 2)):
        write_video(tmp_path / f"{name}.mp4", np.zeros((seconds * 2, 32, 32, 3), np.uint8), fps=2)
    (tmp_path / "v4.mp4").write_bytes(b"junk")
    rows = [{**ROW, "video": f"./x/v{n}.mp4", "qid": f"q{n}"} for n in range(5)]
    (tmp_path / "rft.json").write_text(json.dumps(rows))

    def write(settings):
        return write_config(
            "datasets:\n  - json_path: rft.json\n    data_folder: .\n    strip_prefix: x\n"
            f"    format: temporal_plugin.annotations.timerft:read\n{settings}"
        )

    return write


@pytest.mark.parametrize(
    ("settings", "whole", "findings"),
    [
        (
            "    clip: precut\n",
            {0: True, 1: False, 3: True, 4: True},
            {"clip_precut": (4, 1, 0), BY_FILE: (1, 0, 1), NEITHER: (1, 1, 0)},
        ),
        (
            "    clip: trim\n",
            {0: True, 1: False, 3: False, 4: False},
            {"clip_trim": (4, 1, 0), BY_FILE: (1, 0, 1), NEITHER: (1, 1, 0)},
        ),
        (
            "    clip: trim\n    on_bad_span: keep\n",
            {0: True, 1: False, 2: False, 3: False, 4: False},
            {"clip_trim": (4, 0, 0), BY_FILE: (1, 0, 1), NEITHER: (1, 0, 0)},
        ),
    ],
)
def test_a_load_settles_every_row_and_reports_it(entry, settings, whole, findings):
    loaded = load(entry(settings))
    assert {int(s.video[-5]): s.clip is None for s in loaded.samples} == whole
    report = loaded.reports[0]
    found = {k: (f.rows, f.dropped, f.changed) for k, f in report.findings.items()}
    if "keep" not in settings:
        findings = {**findings, f"clip_{report.policy['clip']}": (4, 0, 0)}
    assert found == findings
    assert report.read == report.kept + report.dropped == 5
    assert report.changed == 1


def test_a_config_that_does_not_say_is_refused(entry):
    with pytest.raises(AnnotationError) as caught:
        load(entry(""))
    text = str(caught.value)
    assert "datasets[0]: field 'clip'" in text
    assert "allowed: precut, trim" in text
    assert "`clip: precut` if the files are the parts" in text


def test_a_clip_that_is_no_policy(entry):
    with pytest.raises(AnnotationError, match=r"'clip': unknown setting.*allowed: precut, trim"):
        load(entry("    clip: cut\n"))


def test_our_own_rows_are_cut_by_definition(write_jsonl):
    row = {"id": "a", "task": "open", "video": "v.mp4", "query": "q", "clip": [1, 3]}
    assert load(write_jsonl(row)).samples[0].clip == Span(1, 3)


@pytest.mark.parametrize(
    ("name", "start", "policy", "expected"),
    [
        ("timerft_2k5.json", "video_start", "precut", {"clip_precut": 665}),
        ("timerft_2k5.json", "video_start", "trim", {"clip_trim": 665, BY_NAME: 446}),
        ("tvgbench.json", "start", "trim", {"clip_trim": 252}),
    ],
)
def test_the_real_files(shared, write_config, name, start, policy, expected, tmp_path):
    format = "timerft" if "rft" in name else "tvgbench"
    path = write_config(
        f"datasets:\n  - json_path: {shared / 'data/annotations' / name}\n    data_folder: .\n"
        f"    strip_prefix: ./dataset/timer1/videos\n    clip: {policy}\n    on_bad_span: keep\n"
        f"    format: temporal_plugin.annotations.{format}:read\n"
    )
    findings = load(path).reports[0].findings
    found = {k: f.rows for k, f in findings.items() if k.startswith("clip_")}
    assert found == expected
    if format == "timerft":
        assert findings["past_twice_the_end"].rows == 6
        assert (findings["past_end"].rows, findings["past_end_within_tolerance"].rows) == (31, 17)
