"""What each reader of multiple-choice sets makes of a fixture in its dataset's format."""

import json

import pytest
from reader_cases import READERS_FOLDER, fixture_samples, to_parquet

from temporal_plugin.annotations import AnnotationError, Sample, read
from temporal_plugin.annotations.choice_options import letter_at, letter_of, option_list
from temporal_plugin.annotations.errors import NoLabelError
from temporal_plugin.spans import Span


def answers(samples):
    return [sample.answer for sample in samples]


def test_nextgqa_csv_and_json_give_the_same_samples():
    table = fixture_samples("nextgqa", "nextgqa.csv", split="test")
    rows = fixture_samples("nextgqa", "nextgqa.json", split="test")
    assert [sample.id for sample in table] == [sample.id for sample in rows]
    for one, other in zip(table, rows, strict=True):
        for name in ("task", "video", "query", "options", "answer", "spans", "duration"):
            assert getattr(one, name) == getattr(other, name)
    assert rows[1] == Sample(
        id="nextgqa/9000001_2",
        task="grounded_choice",
        video="1101/9000001.mp4",
        query="why is the cat wet",
        spans=(Span(0, 3.2), Span(10, 12)),
        duration=24,
        options=("bath", "snow", "rain", "sea", "milk"),
        answer="C",
        source="nextgqa",
        split="test",
        extra={"type": "CW"},
    )


def test_nextgqa_starts_just_before_zero_can_be_moved(tmp_path):
    rows = json.loads((READERS_FOLDER / "nextgqa.json").read_text())
    rows[0]["glue"], rows[1]["glue"] = [[-0.1, 4], [5, 6]], [[-0.6, 4]]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    errors = []
    found = list(read("nextgqa", tmp_path / "rows.json", on_error=errors.append, early_seconds=0.5))
    assert found[0].spans == (Span(0, 4), Span(5, 6))
    assert found[0].extra["spans_as_published"] == [[-0.1, 4], [5, 6]]
    assert "spans_as_published" not in found[1].extra
    assert len(errors) == 1
    errors.clear()
    assert len(list(read("nextgqa", tmp_path / "rows.json", on_error=errors.append))) == 1
    assert len(errors) == 2


def nextgqa_csv(tmp_path, line):
    for name in ("gsub_nextgqa.json", "map_vid_vidorID.json"):
        (tmp_path / name).write_bytes((READERS_FOLDER / name).read_bytes())
    path = tmp_path / "nextgqa.csv"
    header = (READERS_FOLDER / "nextgqa.csv").read_text().splitlines()[0]
    path.write_text(f"{header}\n{line}\n")
    return path


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("9000001,1,2,3,why,nothing,8,TN,a,b,c,d,e", "'answer': names none of the options"),
        ("9000001,1,2,3,why,b,8,TN,a,b,b,d,e", "'answer': names several options"),
        ("9000001,1,2,3,why,b,99,TN,a,b,c,d,e", "'location': the truth of this row is not"),
        ("1,1,2,3,why,b,8,TN,a,b,c,d,e", "'location': the truth of this row is not"),
        ("9000001,1,2,3,,b,8,TN,a,b,c,d,e", "'question': not a string that is not blank"),
        ("9000001,1,2,3,why", "not as many values as the header has columns"),
        ("9000001,1,2,3,why,b,8,TN,a,b,c,d,e,f", "not as many values"),
        ('9000001,1,2,3,"why,b,8,TN,a,b,c,d,e', "not a CSV"),
    ],
)
def test_nextgqa_csv_errors(tmp_path, line, problem):
    path = nextgqa_csv(tmp_path, line)
    with pytest.raises(AnnotationError, match=problem) as caught:
        list(read("nextgqa", path))
    assert str(path) in caught.value.where


def test_nextgqa_needs_its_two_other_files(tmp_path):
    path = nextgqa_csv(tmp_path, "9000001,1,2,3,why,b,8,TN,a,b,c,d,e")
    (tmp_path / "map_vid_vidorID.json").write_text('{"1": "0/1"}')
    with pytest.raises(AnnotationError, match=r"video map does not have.*give its `video_map`"):
        list(read("nextgqa", path))
    (tmp_path / "gsub_nextgqa.json").unlink()
    with pytest.raises(AnnotationError, match=r"gsub_nextgqa\.json: cannot be read"):
        list(read("nextgqa", path))
    spans = READERS_FOLDER / "gsub_nextgqa.json"
    video_map = READERS_FOLDER / "map_vid_vidorID.json"
    (sample,) = read("nextgqa", path, spans=spans, video_map=video_map, video_extension=".mkv")
    assert sample.video == "1101/9000001.mkv"


def test_rextime():
    samples = fixture_samples("rextime", "rextime.json", split="val")
    assert answers(samples) == ["A", "D", "B"]
    assert samples[0].id == "rextime/one_val1"
    assert samples[1].video == "v_tinyfilm020.mp4"
    assert samples[1].spans == (Span(5, 8.5),)
    assert samples[1].options[3] == "the rain stops."
    assert samples[1].extra == {"category": "cause_effect", "video_source": "ActivityNet_val_2"}


@pytest.mark.parametrize("field", ["ans", "span"])
def test_rextime_test_rows_have_no_label(tmp_path, field):
    row = json.loads((READERS_FOLDER / "rextime.json").read_text())[0]
    del row[field]
    path = tmp_path / "rextime_test_release.json"
    path.write_text(json.dumps([row]))
    with pytest.raises(NoLabelError, match=f"'{field}'"):
        list(read("rextime", path))


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_long_video_haystack(tmp_path, suffix):
    path = READERS_FOLDER / "long_video_haystack.json"
    if suffix == ".parquet":
        path = to_parquet(path.name, tmp_path / "test_tiny.parquet")
    samples = list(read("long_video_haystack", path, split="test_tiny"))
    assert answers(samples) == ["B", "D", "C"]
    assert [len(sample.options) for sample in samples] == [5, 4, 5]
    assert [sample.extra["keyframe_seconds"] for sample in samples] == [
        [10.0, 11.5], [3.0], [60.0, 61.2, 1800.0]
    ]  # fmt: skip
    assert samples[0].id == "long_video_haystack/test_tiny/0"
    assert samples[0].duration == 3600.5
    assert samples[0].spans == ()
    assert samples[0].extra["frame_indexes_vclip"] == [0, 0]


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_long_video_bench(tmp_path, suffix):
    path = READERS_FOLDER / "long_video_bench.json"
    if suffix == ".parquet":
        path = to_parquet(path.name, tmp_path / "validation.parquet")
    samples = list(read("long_video_bench", path, split="val"))
    assert answers(samples) == ["C", "A", "B"]
    assert samples[0].id == "long_video_bench/tinyfilm24_0"
    assert samples[0].video == "tinyfilm24.mp4"
    assert samples[0].extra["position"] == [120, 480]
    assert samples[0].extra["duration_group"] == 60


def test_long_video_bench_with_a_column_for_each_option(tmp_path):
    path = tmp_path / "rows.json"
    row = json.loads((READERS_FOLDER / "long_video_bench.json").read_text())[0]
    columns = {"option0": "red", "option1": "green", "option2": "N/A", "option3": "", "option4": ""}
    del row["candidates"]
    path.write_text(json.dumps([{**row, **columns, "correct_choice": 1}]))
    (sample,) = read("long_video_bench", path)
    assert (sample.options, sample.answer) == (("red", "green"), "B")
    path.write_text(json.dumps([{**row, **columns, "correct_choice": -1}]))
    with pytest.raises(NoLabelError):
        list(read("long_video_bench", path))


def test_mvbench_windows_become_clips(tmp_path):
    samples = fixture_samples("mvbench", "action_sequence.json")
    assert answers(samples) == ["B", "A", "C"]
    assert samples[0].video == "star/Charades_v1_480/KT004.mp4"
    assert samples[0].clip == Span(4.5, 19.75)
    assert samples[0].id == "mvbench/action_sequence/0"
    assert samples[0].extra == {
        "question_id": "Interaction_T1_1", "mvbench_task": "action_sequence"
    }  # fmt: skip
    path = READERS_FOLDER / "action_sequence.json"
    other = next(read("mvbench", path, task="action_count", video_folder=""))
    assert (other.clip, other.video) == (None, "KT004.mp4")
    assert other.extra["start"] == 4.5


def test_mvbench_needs_a_task_it_knows():
    path = READERS_FOLDER / "rextime.json"
    with pytest.raises(AnnotationError, match=r"'task': no task of MVBench.*action_antonym, "):
        list(read("mvbench", path))


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_video_mme(tmp_path, suffix):
    path = READERS_FOLDER / "video_mme.json"
    if suffix == ".parquet":
        path = to_parquet(path.name, tmp_path / "test-00000-of-00001.parquet")
    samples = list(read("video_mme", path))
    assert answers(samples) == ["C", "A", "D"]
    assert samples[0].options == ("1.", "2.", "3.", "More.")
    assert samples[0].duration is None
    assert [sample.extra["duration_group"] for sample in samples] == ["short", "medium", "long"]
    assert samples[0].video == "tinyfilm27.mp4"


def test_tempcompass_multiple_choice():
    samples = fixture_samples("tempcompass", "multi-choice.json")
    assert answers(samples) == ["B", "A", "C"]
    assert samples[0].query == "What is the cat doing?"
    assert samples[0].options == ("sleeping", "running", "both")
    assert samples[1].options == ("clockwise", "anticlockwise")
    assert samples[2].id == "tempcompass/multi-choice/tinyfilm031/speed/0"
    assert samples[2].extra == {"subtask": "multi-choice", "aspect": "speed"}


def test_tempcompass_other_subtasks():
    yes_no = fixture_samples("tempcompass", "yes_no.json")
    assert answers(yes_no) == ["B", "A", "B"]
    assert yes_no[0].options == ("yes", "no")
    matching = fixture_samples("tempcompass", "caption_matching.json")
    assert answers(matching) == ["B", "A", "B"]
    assert matching[0].options == ("The cat sleeps.", "The cat runs: fast.")
    captioning = fixture_samples("tempcompass", "captioning.json")
    assert {sample.task for sample in captioning} == {"open"}
    assert captioning[0].answer == "B. running"
    assert "Information B" in captioning[0].query


@pytest.mark.parametrize(
    ("subtask", "question", "answer", "problem"),
    [
        ("yes_no", "Is it?", "maybe", "neither yes nor no"),
        ("multi-choice", "Is it?\nA. a\nB. b", "C. c", "names none of the options"),
        ("multi-choice", "Is it?", "A. a", "0 options"),
        ("caption_matching", "Which?\nOption 1: a\nb", "Option 1: a", "without its label"),
    ],
)
def test_tempcompass_errors(tmp_path, subtask, question, answer, problem):
    path = tmp_path / "questions.json"
    path.write_text(json.dumps({"v": {"action": [{"question": question, "answer": answer}]}}))
    with pytest.raises(AnnotationError, match=problem) as caught:
        list(read("tempcompass", path, subtask=subtask))
    assert "video 'v', action 0" in caught.value.where
    with pytest.raises(AnnotationError, match="no subtask of TempCompass"):
        list(read("tempcompass", path))


def test_egoschema_official_and_parquet_give_the_same_samples(tmp_path):
    official = fixture_samples("egoschema", "egoschema.json")
    table = list(read("egoschema", to_parquet("egoschema_rows.json", tmp_path / "a.parquet")))
    assert answers(official) == answers(table) == ["D", "A", "E"]
    for one, other in zip(official, table, strict=True):
        assert (one.id, one.options, one.video) == (other.id, other.options, other.video)
    assert official[0].duration == 180
    assert official[0].video == "00000001-aaaa.mp4"


def test_egoschema_answers_that_are_not_public(tmp_path):
    answers_path = tmp_path / "some.json"
    answers_path.write_text('{"00000002-aaaa": 4}')
    errors = []
    path = READERS_FOLDER / "egoschema.json"
    samples = list(read("egoschema", path, answers=answers_path, on_error=errors.append))
    assert answers(samples) == ["E"]
    assert [error.reasons for error in errors] == [("no_label",)] * 2


@pytest.mark.parametrize(
    ("answer", "options", "letter"),
    [
        ("C", ["a", "b", "c"], "C"),
        ("(B)", ["x", "y"], "B"),
        ("b.", ["x", "y"], "B"),
        (" y ", ["x", "y"], "B"),
        ("B. y", ["x", "y"], "B"),
        ("(B) y", ["x", "y"], "B"),
        ("A", ["A", "B"], "A"),
    ],
)
def test_letter_of(answer, options, letter):
    assert letter_of("answer", answer, options) == letter


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        ("D", ["x", "y", "z"]),
        ("A", ["B", "A"]),  # a letter, and the words of another option
        ("x", ["x", "x"]),
        ("", ["x", "y"]),
        ("x y", ["x", "y"]),
        (0, ["x", "y"]),
        (None, ["x", "y"]),
    ],
)
def test_letter_of_refuses_what_names_no_single_option(answer, options):
    with pytest.raises(AnnotationError, match="'answer'"):
        letter_of("answer", answer, options)


@pytest.mark.parametrize("index", [-1, 2, True, 1.0, "1", None])
def test_letter_at_refuses(index):
    with pytest.raises(AnnotationError, match="'answer': not the index of an option"):
        letter_at("answer", index, ["x", "y"])


def test_option_list_strips_letters_only_where_all_have_theirs():
    assert option_list("options", ["(A) x", "(B) y"]) == ["x", "y"]
    assert option_list("options", ["A. x", "B: y", "C) z"]) == ["x", "y", "z"]
    assert option_list("options", ["A. x", " y"]) == ["A. x", "y"]
    assert option_list("options", ["B. x", "A. y"]) == ["B. x", "A. y"]
    for bad in (["x"], [], ["x"] * 27, "xy", ["x", 3], ["x", " "]):
        with pytest.raises(AnnotationError, match="'options'"):
            option_list("options", bad)


def test_timesearch_r_takes_the_options_off_the_question():
    choice, open_one, bare = fixture_samples("timesearch_r", "timesearch_r.jsonl")
    assert choice == Sample(
        id="timesearch_r/0",
        task="choice",
        video="ego4d/tiny031.mp4",
        query="Where was cup number 31?",
        duration=480,
        options=("on the shelf", "in the sink", "on the car"),
        answer="B",
        source="timesearch_r",
        split="train",
        extra={"meta": '{"set": "tiny"}', "position": [300, 345]},
    )
    assert (open_one.task, open_one.answer, open_one.options) == ("open", "a blue cup", ())
    assert (bare.task, bare.query, bare.answer) == ("choice", "Who enters?", "B")
    assert bare.duration is None and "messages" in bare.extra


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"question": "Where?\nA. on\nC. off"}, "'question': 0 options"),
        ({"question": "Where?\nA. on\nB. off\nB. away"}, "'question': 0 options"),
        ({"question": "Where?"}, "'question': 0 options"),
        ({"question": 7}, "'question': not a string"),
        ({"target": "B"}, "'target': not an object"),
        ({"target": {}}, "answer"),
        ({"target": {"answer": "D"}}, "'target': names none of the options"),
        ({"gt_frame_index": [1.5]}, "'gt_frame_index': not the number of a frame"),
        ({"gt_frame_index": 4}, "'gt_frame_index': not a list"),
        ({"video": "../secret.mp4"}, "not a safe file path"),
    ],
)
def test_timesearch_r_errors(tmp_path, change, problem):
    row = json.loads((READERS_FOLDER / "timesearch_r.jsonl").read_text().splitlines()[0])
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**row, **change}) + "\n")
    with pytest.raises(AnnotationError, match=problem):
        list(read("timesearch_r", path))
