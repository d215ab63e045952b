"""What each grounding reader makes of a fixture in its dataset's format."""

import json

import pytest
from reader_cases import CASES, IDS, READERS_FOLDER, fixture_samples

from temporal_plugin.annotations import READERS, AnnotationError, BadSpanError, Sample, read
from temporal_plugin.annotations.errors import NoLabelError
from temporal_plugin.spans import Span


def one(format, name, **options):
    return fixture_samples(format, name, **options)[0]


def pairs(samples):
    return [[(s.start_seconds, s.end_seconds) for s in sample.spans] for sample in samples]


def test_every_reader_is_in_the_documentation():
    text = (READERS_FOLDER.parents[3] / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert {name for name in READERS if f"| `{name}` |" not in text} == set()


def test_every_reader_has_a_fixture():
    assert {format for format, _, _ in CASES} == set(READERS) - {"parquet"}


@pytest.mark.parametrize(("format", "name", "options"), CASES, ids=IDS)
def test_fixtures_are_read_the_same_twice_with_ids_of_their_own(format, name, options):
    samples = fixture_samples(format, name, on_error=lambda error: None, **options)
    assert len(samples) >= 3 or format == "hirest_grounding"
    assert len({sample.id for sample in samples}) == len(samples)
    assert all(sample.source == format for sample in samples if format not in ("jsonl", "verl"))
    assert samples == fixture_samples(format, name, on_error=lambda error: None, **options)
    for sample in samples:
        assert Sample.from_dict(json.loads(json.dumps(sample.to_dict()))) == sample


def test_activitynet_captions():
    samples = fixture_samples("activitynet_captions", "activitynet_captions.json", split="val_1")
    assert samples[1] == Sample(
        id="activitynet_captions/val_1/v_tinyfilm001/1",
        task="grounding",
        video="v_tinyfilm001.mp4",
        query="The water boils.",
        spans=(Span(3.5, 20.5),),
        duration=20.5,
        source="activitynet_captions",
        split="val_1",
    )
    webm = one("activitynet_captions", "activitynet_captions.json", video_extension=".webm")
    assert (webm.id, webm.video) == ("activitynet_captions/v_tinyfilm001/0", "v_tinyfilm001.webm")


def test_timelens_bench():
    samples = fixture_samples("timelens_bench", "charades-timelens.json")
    assert samples[1].id == "timelens_bench/charades-timelens/TF001/1"
    assert samples[1].query == "steam covers the window"
    assert pairs(samples) == [[(2, 7.5)], [(11.25, 13)], [(0, 12)]]
    assert {sample.split for sample in samples} == {"test"}


def test_qvhighlights_keeps_all_windows():
    sample = one("qvhighlights", "qvhighlights.jsonl", split="val")
    assert sample.id == "qvhighlights/1"
    assert sample.video == "tinyfilm003_0.0_150.0.mp4"
    assert sample.clip is None
    assert sample.spans == (Span(4, 8), Span(60, 62))
    assert sample.extra["relevant_clip_ids"] == [2, 3, 30]
    assert len(sample.extra["saliency_scores"]) == 3


def test_a_row_without_its_truth_is_no_question_about_nothing(tmp_path):
    path = tmp_path / "highlight_test_release.jsonl"
    path.write_text('{"qid": 9, "query": "x", "duration": 150, "vid": "a_0.0_150.0"}\n')
    errors = []
    assert list(read("qvhighlights", path, on_error=errors.append)) == []
    assert isinstance(errors[0], NoLabelError)
    assert errors[0].reasons == ("no_label",)
    assert "relevant_windows" in str(errors[0])
    assert "on_bad_row: drop" in str(errors[0])
    with pytest.raises(NoLabelError):
        list(read("qvhighlights", path))


@pytest.mark.parametrize("format", ["cosmo_cap", "internvid_vtime"])
def test_single_span_lines(format):
    samples = fixture_samples(format, f"{format}.jsonl")
    assert [sample.id for sample in samples] == [f"{format}/train/{n}" for n in range(3)]
    assert pairs(samples) == [[(4, 9.5)], [(80.1, 93.5)], [(0, 3)]]
    assert samples[2].video == "tinyfilm006.mp4"


def test_tacos_in_frames_and_in_seconds():
    frames = fixture_samples("tacos", "tacos.json", split="test")
    assert frames[0].id == "tacos/test/s90-d01.avi/0"
    assert frames[0].video == "s90-d01.avi"
    assert frames[0].extra == {"frames": [49.0, 98.0], "fps": 24.5}
    seconds = fixture_samples("tacos", "tacos.jsonl")
    assert seconds[0].id == "tacos/11"
    assert seconds[0].video == "s90-d01-cam-002.mp4"
    assert [sample.spans for sample in frames] == [sample.spans for sample in seconds]
    assert [sample.duration for sample in frames] == [20, 20, 30]
    for name in ("tacos.json", "tacos.jsonl"):
        assert one("tacos", name, video_extension=".mkv").video == "s90-d01.mkv"


def test_tacos_refuses_a_frame_rate_of_zero(tmp_path):
    path = tmp_path / "tacos.json"
    record = {"timestamps": [[0, 1]], "sentences": ["x"], "fps": 0, "num_frames": 9}
    path.write_text(json.dumps({"s1.avi": record}))
    with pytest.raises(AnnotationError, match="'fps': not above 0"):
        list(read("tacos", path))


def test_tvgbench():
    samples = fixture_samples("tvgbench", "tvgbench.json")
    assert samples[0].clip is None
    assert samples[0].video == "./videos/KT001.mp4"
    assert samples[1].clip == Span(53.05562446378865, 152.42562446378867)
    assert samples[1].spans == (Span(9.944375536211354, 45.94437553621135),)
    assert samples[1].duration == 99.37
    assert samples[1].extra["qsemtype"] == "Object Transition"
    assert [sample.id for sample in samples] == ["tvgbench/0", "tvgbench/1", "tvgbench/2"]


@pytest.mark.parametrize("answer", ["1-", "-1-2", "1 to 2", "a-b", "1-2-3", "nan-1", "1e3-2", 3])
def test_tvgbench_refuses_other_answers(tmp_path, answer):
    path = tmp_path / "tvgbench.json"
    row = json.loads((READERS_FOLDER / "tvgbench.json").read_text())[0]
    path.write_text(json.dumps([{**row, "answer": answer}]))
    with pytest.raises(AnnotationError, match="'answer'") as caught:
        list(read("tvgbench", path))
    assert caught.value.where == f"{path}[0]"


def test_timerft():
    samples = fixture_samples("timerft", "timerft.json")
    assert samples[0].clip is None
    assert samples[1].clip == Span(39, 84.7)
    assert samples[1].spans == (Span(34.9, 41.9),)  # relative to the clip, as annotated
    assert samples[1].id == "timerft/my|two|tinyfilm010|the statue with four birds"
    assert samples[1].extra == {
        "qid": "my|two|tinyfilm010|the statue with four birds",
        "difficulty": 41.25,
        "pred": [37.82, 44.84],
    }
    assert {sample.split for sample in samples} == {"train"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"video_end": 30.0}, "'video_start': only one end of the clip is given"),
        ({"video_start": 30.0}, "'video_end': only one end of the clip is given"),
        ({"video_start": 30.0, "video_end": 30.0}, "'video_start': shows nothing"),
        ({"video_start": 31.0, "video_end": 30.0}, "no such stretch of time"),
        ({"timestamp": [1]}, "'timestamp': not a pair"),
        ({"sentence": ""}, "'sentence'"),
    ],
)
def test_timerft_errors_name_the_field_of_the_file(tmp_path, change, problem):
    path = tmp_path / "train.json"
    row = json.loads((READERS_FOLDER / "timerft.json").read_text())[0]
    path.write_text(json.dumps([{**row, **change}]))
    with pytest.raises(AnnotationError, match=problem):
        list(read("timerft", path))


@pytest.mark.parametrize("format", ["timerft", "tvgbench"])
def test_the_folders_of_the_authors_can_be_left_out(format):
    name = f"{format}.json"
    for prefix in ("./videos", "./videos/"):
        samples = fixture_samples(format, name, strip_prefix=prefix)
        assert all("/" not in sample.video for sample in samples)
    assert one(format, name).video.startswith("./videos/")
    errors = []
    assert fixture_samples(format, name, on_error=errors.append, strip_prefix="/elsewhere") == []
    assert "correct `strip_prefix`" in str(errors[0])


def test_a_row_of_ones_own_in_the_format_of_timerft_needs_no_qid(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"video": "a.mp4", "duration": 9, "timestamp": [1, 2], "sentence": "x"}\n')
    assert [sample.id for sample in read("timerft", path)] == ["timerft/0"]


def test_temporal_r1_solutions_become_seconds():
    samples = fixture_samples("temporal_r1", "temporal_r1.jsonl")
    assert pairs(samples) == [[(10, 20)], [(0, 30.3)], [(7.7, 77 * 0.30000000000000004)]]
    assert samples[2].id == "temporal_r1/two/2"
    assert samples[2].extra == {"dataset": "two", "solution": [0.1, 0.30000000000000004]}
    assert [sample.duration for sample in samples] == [40, 30.3, 77]


def test_temporal_r1_without_a_length(tmp_path):
    path = tmp_path / "rows.json"
    row = {"dataset": "charades_train", "video": "K.mp4", "problem": "x", "solution": [0.5, 1]}
    path.write_text(json.dumps([row]))
    with pytest.raises(AnnotationError, match="a fraction of an unknown length"):
        list(read("temporal_r1", path))
    (tmp_path / "lengths.json").write_text('{"K.mp4": 30}')
    (sample,) = read("temporal_r1", path, durations=tmp_path / "lengths.json")
    assert sample.spans == (Span(15, 30),)
    path.write_text(json.dumps([{**row, "solution": [3.5, 9], "video_length": 30}]))
    with pytest.raises(AnnotationError, match="'solution': not fractions of the length"):
        list(read("temporal_r1", path))


def test_didemo_takes_the_mean_of_the_annotators():
    samples = fixture_samples("didemo", "didemo.json", split="val")
    assert pairs(samples) == [[(20, 25)], [(8, 14)], [(0, 20)]]
    assert samples[1].extra["times"] == [[2, 2], [1, 2], [1, 1], [2, 2]]
    assert samples[1].id == "didemo/2"
    assert samples[1].video == "11@N01_2_bb.mpg"
    assert samples[1].duration is None
    mp4 = one("didemo", "didemo.json", video_extension=".mp4")
    assert mp4.video == "11@N01_1_aa.mp4"


def test_didemo_with_durations(tmp_path):
    path = tmp_path / "durations.json"
    path.write_text('{"11@N01_1_aa.m4v": 29.5}')
    errors = []
    samples = fixture_samples("didemo", "didemo.json", on_error=errors.append, durations=path)
    assert [sample.duration for sample in samples] == [29.5]
    assert "no length for this video" in str(errors[0])


def test_queryd():
    samples = fixture_samples("queryd", "queryd_raw.json", videos="queryd_list.txt")
    assert [sample.id for sample in samples] == [
        "queryd/tinyfilm012/0", "queryd/tinyfilm012/1", "queryd/tinyfilm013/0"
    ]  # fmt: skip
    assert samples[0].query == "a man enters"
    assert samples[0].video == "tinyfilm012.mp4"
    assert pairs(samples) == [[(0.5, 2.125)], [(7, 9.75)], [(30, 33)]]
    assert len(fixture_samples("queryd", "queryd_raw.json")) == 4


def test_queryd_does_not_unpickle(tmp_path):
    path = tmp_path / "raw_captions_combined_filtered-v2.pkl"
    path.write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(AnnotationError, match=r"a pickle is not read.*turn it into JSON"):
        list(read("queryd", path))


def test_queryd_lists_that_do_not_match(tmp_path):
    (tmp_path / "raw.json").write_text('{"video-a": [["x"]], "video-b": [["y"]], "video-c": 3}')
    (tmp_path / "times.json").write_text('{"video-a": [], "video-b": [[1, 2]], "video-c": []}')
    errors = []
    samples = list(read("queryd", tmp_path / "raw.json", on_error=errors.append))
    assert [sample.id for sample in samples] == ["queryd/b/0"]
    assert "1 captions beside 0 times" in str(errors[0])
    assert "'captions': not a list" in str(errors[1])


def test_hirest_moments_and_steps():
    moments = fixture_samples("hirest_grounding", "hirest.json", split="val")
    assert [sample.query for sample in moments] == ["Make a Paper Hat", "Tune a Ukulele"]
    assert pairs(moments) == [[(50, 121)], [(3, 42)]]
    assert moments[0].video == "tinyfilm015.mp4"
    steps = fixture_samples("hirest_step", "hirest.json", split="val")
    assert [sample.query for sample in steps] == [
        "fold the paper", "turn it over", "pluck the low string"
    ]  # fmt: skip
    assert pairs(steps) == [[(50, 58)], [(58, 121)], [(3, 12)]]
    assert steps[1].id == "hirest_step/tinyfilm015.mp4/Make a Paper Hat/1"
    assert steps[1].extra == {"goal": "Make a Paper Hat"}
    assert steps[1].duration == 207.08


def test_hirest_knows_the_placeholders_of_its_test_file(tmp_path):
    path = tmp_path / "all_data_test.json"
    record = {"relevant": True, "clip": True, "v_duration": 9.0, "bounds": [0, 1], "steps": []}
    path.write_text(json.dumps({"Make Tea": {"a.mp4": record, "b.mp4": {**record, "clip": False}}}))
    for format in ("hirest_grounding", "hirest_step"):
        errors = []
        assert list(read(format, path, on_error=errors.append)) == []
        assert [error.reasons for error in errors] == [("no_label",)]


def test_a_bad_span_of_any_reader_is_counted_by_its_fault(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {"vid": "a", "duration": 10, "query": "x", "span": [5, 4]}
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, "span": [-1, 4]}))
    errors = []
    assert list(read("cosmo_cap", path, on_error=errors.append)) == []
    assert all(isinstance(error, BadSpanError) for error in errors)
    assert [error.reasons for error in errors] == [("reversed_span",), ("negative_start",)]
    assert errors[0].field == "span"


def test_a_minus_zero_is_zero(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"vid": "a", "duration": 10, "query": "x", "span": [-0.0, 4]}\n')
    (sample,) = read("cosmo_cap", path)
    assert str(sample.spans[0].start_seconds) == "0.0"
