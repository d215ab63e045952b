import json

import pytest

from temporal_plugin.annotations import AnnotationError, Sample, export_rows, load_samples, read
from temporal_plugin.annotations.export import FORMATS, export
from temporal_plugin.annotations.gold import gold_answer
from temporal_plugin.answers import decode_truth, parse
from temporal_plugin.integrations.lmms_eval_source import Source
from temporal_plugin.prompts import Prompt, load
from temporal_plugin.rewards import score
from temporal_plugin.spans import Span

FIND = Sample(
    id="c/1",
    task="grounding",
    video="/data/a b.mp4",
    query="a person {waves} \u2028 \u00e9",
    spans=(Span(1.5, 4),),
    duration=10.0,
    source="c",
    split="train",
    extra={"note": [1, None], "reasoning": "She waves."},
)
CHOOSE = Sample(
    id="n/1",
    task="grounded_choice",
    video="/data/sub/b.mp4",
    query="why?",
    spans=(Span(1, 2), Span(3, 4)),
    duration=9.0,
    options=("(A) hungry", "tired"),
    answer="(B)",
)
OPEN = Sample(id="o/1", task="open", video="/data/c.mp4", query="what?", answer="A red car.")
PART = Sample(
    id="p/1", task="open", video="/data/d.mp4", query="q", clip=Span(2, 6.5), duration=4.5
)
SUFFIX = {"llamafactory": "json", "lmms_eval": "folder"}
FREE = Prompt("mine", "Be brief.", "{query}", "last")


def out_of(to, tmp_path):
    return tmp_path / "my" / f"train.{SUFFIX.get(to, 'jsonl')}"


def rows_of(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text)
    return [json.loads(line) for line in text.split("\n") if line]  # U+2028 is no line end


@pytest.mark.parametrize("to", FORMATS)
def test_the_same_input_gives_the_same_bytes(to, tmp_path):
    found = []
    for name in ("one", "two"):
        done = export([FIND], to, out_of(to, tmp_path / name), load("think_answer"))
        assert sorted(done.files) == sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        found.append([path.read_bytes() for path in done.files])
        assert done.rows == 1
        meta = json.loads(done.files[-1].read_text())
        assert done.files[-1].name == f"{done.files[0].name}.meta.json"
        assert (meta["format"], meta["rows"], meta["left_out"]) == (to, 1, {})
        assert meta["prompt"]["fingerprint"] == load("think_answer").fingerprint
        assert meta["prompt"]["user"] == load("think_answer").user
    assert found[0] == found[1]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_one_row_for_both_trainers(tmp_path, suffix):
    prompt = load("think_answer_json")
    paths = [tmp_path / f"{to}.{suffix}" for to in ("verl", "easyr1")]
    for path in paths:
        export([FIND, OPEN], path.stem, path, Prompt("p", prompt.system, prompt.user.replace(
            "{duration}", "?"), contract="think_answer_json"))  # fmt: skip
    assert paths[0].read_bytes() == paths[1].read_bytes()
    if suffix == "parquet":
        rows = pytest.importorskip("pyarrow.parquet").read_table(paths[0]).to_pylist()
    else:
        rows = rows_of(paths[0])
    row = rows[0]
    assert [message["role"] for message in row["prompt"]] == ["system", "user"]
    assert row["prompt"][1]["content"].startswith("<video>")
    assert row["prompt"][1]["content"].count("<video>") == 1
    assert row["problem"] == "\n".join(message["content"] for message in row["prompt"])
    assert row["videos"] == ["/data/a b.mp4"]
    assert row["reward_model"]["style"] == "rule"
    truth = decode_truth(row["reward_model"]["ground_truth"])
    fields = json.loads(row["answer"])
    assert fields.pop("contract") == "think_answer_json", "EasyR1's reward sees nothing else"
    assert fields == json.loads(row["reward_model"]["ground_truth"])
    assert (truth.id, truth.spans, truth.duration) == ("c/1", FIND.spans, 10.0)
    assert row["extra_info"]["contract"] == "think_answer_json"
    assert [row["extra_info"]["index"] for row in rows] == [0, 1]
    assert (row["data_source"], rows[1]["data_source"]) == ("c", "temporal")


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_clips_are_for_verl_alone(tmp_path, suffix):
    path = tmp_path / f"rows.{suffix}"
    export([FIND, PART], "verl", path, FREE)
    back = list(read("verl", path))
    assert [sample.clip for sample in back] == [None, PART.clip]
    assert [sample.video for sample in back] == [FIND.video, PART.video]
    for to in ("easyr1", "llamafactory"):
        with pytest.raises(AnnotationError, match=r"1 rows \('p/1'\): shows a part"):
            export([PART], to, out_of(to, tmp_path), FREE)
        assert not out_of(to, tmp_path).exists()


@pytest.mark.parametrize(
    ("sample", "prompt"),
    [
        (FIND, "answer"),
        (FIND, "think_answer@text_first"),
        (FIND, "think_time"),
        (CHOOSE, "answer_choice"),
        (CHOOSE, "think_answer_glue"),
        (OPEN, "think_answer_text"),
    ],
)
def test_sft_rows_hold_a_gold_answer(tmp_path, sample, prompt):
    prompt = load(prompt)
    path = out_of("llamafactory", tmp_path)
    export([sample], "llamafactory", path, prompt)
    (row,) = rows_of(path)
    *asked, answer = row["messages"]
    assert answer == {"role": "assistant", "content": gold_answer(sample, prompt.contract)}
    assert asked[-1]["role"] == "user"
    content = asked[-1]["content"]
    at_start, at_end = content.startswith("<video>"), content.endswith("<video>")
    assert (at_start, at_end) == (prompt.video_position == "first", prompt.video_position == "last")
    assert row["videos"] == [sample.video]
    if prompt.contract != "answer_choice" and sample.spans:
        assert score(answer["content"], sample, {"iou": 1, "format": 1}, contract=prompt.contract)[
            "score"
        ] == pytest.approx(2.0)
    found = parse(answer["content"], options=sample.options or None, contract=prompt.contract)
    assert found.well_formed
    if sample is FIND and "think" in prompt.contract:
        assert found.reasoning == "She waves."


def test_the_list_of_data_sets_keeps_the_others(tmp_path):
    path = out_of("llamafactory", tmp_path)
    path.parent.mkdir()
    info = path.with_name("dataset_info.json")
    info.write_text('{"theirs": {"file_name": "x.json"}}')
    export([FIND], "llamafactory", path, FREE)
    table = json.loads(info.read_text())
    assert set(table) == {"theirs", "train"}
    assert table["train"]["file_name"] == "train.json"
    info.write_text("[")
    with pytest.raises(AnnotationError, match=r"dataset_info\.json: not JSON"):
        export([FIND], "llamafactory", path, FREE)


def test_samples_come_back_as_they_were(tmp_path):
    path = tmp_path / "out.jsonl"
    export([FIND, CHOOSE, OPEN, PART], "jsonl", path, FREE)
    assert load_samples(path)[2:] == [OPEN, PART]
    export([FIND, CHOOSE], "jsonl", path, FREE, relative_to="/data")
    assert [row["video"] for row in rows_of(path)] == ["a b.mp4", "sub/b.mp4"]
    with pytest.raises(AnnotationError, match="its video is not below /data/sub"):
        export([FIND, CHOOSE], "jsonl", path, FREE, relative_to="/data/sub")


@pytest.mark.parametrize(
    ("sample", "prompt", "name"),
    [
        (FIND, "answer", "GroundingTask"),
        (CHOOSE, "think_answer_glue", "GroundedChoiceTask"),
        (OPEN, "answer_text", "CaptionTask"),
    ],
)
def test_the_class_of_a_task_is_that_of_its_questions(tmp_path, sample, prompt, name):
    export([sample], "lmms_eval", tmp_path / "mine", load(prompt))
    assert f"lmms_eval_task.{name}\n" in (tmp_path / "mine/mine.yaml").read_text()


def test_a_task_asks_one_kind_of_question(tmp_path):
    with pytest.raises(AnnotationError, match="one kind of question"):
        export([FIND, OPEN], "lmms_eval", tmp_path / "mine", load("answer"))


@pytest.mark.parametrize("own", [False, True])
def test_a_task_for_lmms_eval(tmp_path, own, monkeypatch):
    yaml = pytest.importorskip("yaml")
    folder = tmp_path / "my_task"
    prompt = FREE if own else load("answer")
    export([FIND], "lmms_eval", folder, prompt)
    text = (folder / "my_task.yaml").read_text()
    task = yaml.safe_load(text.replace("!function ", ""))
    assert task["task"] == "my_task"
    settings = task["dataset_kwargs"]
    assert settings["annotations"] == "my_task/my_task.jsonl"
    assert (tmp_path / settings["annotations"]).is_file()
    assert load(settings["prompt"]).fingerprint == prompt.fingerprint
    assert len(list(folder.glob("*.yaml"))) == 1  # lmms-eval takes every .yaml for a task
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(tmp_path))
    [(name, sample)] = Source.from_mapping(settings, task="my_task").read()
    assert (name, sample) == (FIND.video, FIND)


@pytest.mark.parametrize(
    ("sample", "to", "prompt", "reason"),
    [
        (FIND, "llamafactory", "think_answer_choice", "asks for a choice"),
        (CHOOSE, "llamafactory", "think_time", "holds one span, 2 were given"),
        (OPEN, "llamafactory", "think_answer", "asks for spans"),
        (OPEN, "verl", "answer", "speaks of {duration}, but the sample has none"),
        (CHOOSE, "llamafactory", "think_answer_text", None),
        (PART, "llamafactory", "answer_text", "asks for an open answer"),
    ],
)
def test_what_a_format_cannot_say_is_refused_or_counted(tmp_path, sample, to, prompt, reason):
    path = out_of(to, tmp_path)
    if reason is None:
        assert export([sample], to, path, load(prompt)).rows == 1
        return
    with pytest.raises(AnnotationError) as caught:
        export([FIND, sample], to, path, load(prompt))
    assert reason in str(caught.value)
    assert "--skip" in caught.value.remedy
    assert not path.parent.exists() or list(path.parent.iterdir()) == []
    with pytest.raises(AnnotationError, match="nothing is left to export"):
        export([sample], to, path, load(prompt), skip=True)
    if sample is not FIND and to == "verl":
        done = export([sample, FIND], to, path, load(prompt), skip=True)
        assert done.rows == 1
        assert [*done.left_out.values()] == [[sample.id]]
        assert json.loads(path.read_text())["extra_info"]["index"] == 0


@pytest.mark.parametrize("word", ["<video>", "<image>", "<audio>"])
def test_a_query_with_a_hosts_tag_is_refused(tmp_path, word):
    sample = Sample(id="a", task="open", video="/v.mp4", query=f"what is {word}?")
    with pytest.raises(AnnotationError, match="a text holds <video>"):
        export([sample], "verl", tmp_path / "a.jsonl", FREE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "name", "message"),
    [
        ("csv", "a.csv", "unknown export format.*allowed: verl, easyr1"),
        ("verl", "a.csv", "verl reads no such file.*allowed: .parquet, .jsonl"),
        ("jsonl", "a.json", "allowed: .jsonl"),
        ("llamafactory", "a.parquet", "allowed: .json, .jsonl"),
    ],
)
def test_a_wrong_target(tmp_path, to, name, message):
    with pytest.raises(AnnotationError, match=message):
        export([FIND], to, tmp_path / name, FREE)


def test_nothing_is_written_half(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    export([FIND], "verl", path, FREE)
    before = path.read_bytes()
    bad = Sample(id="b", task="open", video="/v.mp4", query="q", extra={"x": float("nan")})
    with pytest.raises(ValueError, match="Out of range float"):
        export([FIND, bad], "jsonl", path, FREE)
    monkeypatch.setattr(export_rows.answers, "encode_truth", lambda sample: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export([FIND, FIND], "verl", path, FREE)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.jsonl", "rows.jsonl.meta.json"]


def test_an_easyr1_row_reads_back_from_its_answer_alone(tmp_path):
    path = tmp_path / "rows.jsonl"
    export([FIND], "easyr1", path, load("think_answer"))
    row = rows_of(path)[0]
    path.write_text(json.dumps({name: row[name] for name in ("problem", "answer", "videos")}))
    (back,) = read("verl", path)
    assert (back.id, back.spans, back.query) == (FIND.id, FIND.spans, FIND.query)
