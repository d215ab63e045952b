import json
import sys

import pytest

from temporal_plugin.annotations import READERS, AnnotationError, Sample, load_samples, read
from temporal_plugin.annotations.registry import find_reader
from temporal_plugin.annotations.sample_jsonl import write
from temporal_plugin.spans import Span

RECORD = {"duration": 10.0, "timestamps": [[1.0, 2.0]], "sentences": ["a door opens"]}


def charades(path, **options):
    return list(read("charades_sta", path, **options))


def test_charades_json(resources, caplog):
    samples = charades(resources / "charades_sta.json", split="train")
    assert [sample.id for sample in samples] == [
        f"charades_sta/{name}" for name in ("AB123/0", "AB123/2", "CD456/0", "CD456/1", "CD456/2")
    ]
    assert samples[0] == Sample(
        id="charades_sta/AB123/0",
        task="grounding",
        video="AB123.mp4",
        query="a person opens the door.",
        spans=(Span(1.0, 4.5),),
        duration=10.0,
        source="charades_sta",
        split="train",
    )
    assert samples[2].query == "person {drinks} water."
    assert "video 'AB123', sentence 1" in caplog.text  # the reversed one


def test_charades_text_gives_the_same_samples_when_durations_are_given(resources):
    options = {"split": "train", "video_extension": ".mkv"}
    text = charades(
        resources / "charades_sta.txt", durations=resources / "durations.csv", **options
    )
    table = charades(resources / "charades_sta.json", **options)
    assert text[0] == table[0]
    assert text[1] == table[2]
    assert text[2].id == "charades_sta/AB123/1"
    assert text[2].query == "the person sits down ## again."
    assert text[2].video == "AB123.mkv"


def test_charades_text_without_durations(resources):
    assert [sample.duration for sample in charades(resources / "charades_sta.txt")] == [None] * 3


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (None, "duration"),
        ([], "duration"),
        ({"timestamps": [], "sentences": []}, "duration"),
        ({**RECORD, "timestamps": []}, "timestamps"),
        ({**RECORD, "timestamps": {"0": [1, 2]}}, "timestamps"),
        ({**RECORD, "timestamps": [[1]]}, "timestamps"),
        ({**RECORD, "timestamps": [[1, "2"]]}, "timestamps"),
        ({**RECORD, "sentences": [3]}, "sentences"),
        ({**RECORD, "duration": "10"}, "duration"),
        ({**RECORD, "duration": -1}, "duration"),
    ],
)
def test_a_malformed_record_is_named_by_file_video_and_field(tmp_path, record, field):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"AB123": record}))
    with pytest.raises(AnnotationError) as caught:
        charades(path)
    assert caught.value.where.startswith(f"{path}: video 'AB123'")
    assert caught.value.field == field
    assert caught.value.allowed


@pytest.mark.parametrize("video", ["../secret", "/etc/passwd", "a/b", "..", " ", "a\\..\\b", "x\0"])
def test_a_video_key_cannot_leave_the_folder(tmp_path, video):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({video: RECORD}))
    with pytest.raises(AnnotationError, match="video"):
        charades(path, video_extension="")


@pytest.mark.parametrize(
    "line",
    [
        "AB123 1.0 2.0 no mark",
        "AB123 1.0##one number",
        "AB123 1.0 2.0 3.0##three numbers",
        "AB123 one 2.0##words",
        "AB123 nan 2.0##not a number",
        "AB123 0 inf##infinite",
        "AB123 0 1e400##overflow",
        "AB123 1.0 2.0##",
        "##",
    ],
)
def test_a_malformed_text_line_is_named(tmp_path, line):
    path = tmp_path / "annotations.txt"
    path.write_text(f"AB123 0 1##fine\n{line}\n")
    with pytest.raises(AnnotationError) as caught:
        charades(path)
    assert caught.value.where == f"{path}:2"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("d.csv", "id,seconds\nAB123,1\n", "columns are missing"),
        ("d.csv", "id,length\nAB123,ten\n", "not a number"),
        ("d.csv", "id,length\nAB123\n", "not a number"),
        ("d.csv", "id,length\nAB123,1\nAB123,2\n", "no single length"),
        ("d.csv", "id,length\nAB123,0\n", "has a length"),
        ("d.csv", "id,length\n" + "x" * 200_000 + ",1\n", "not a CSV"),
        ("d.csv", "id,length\nZZ999,1\n", "no length for this video"),
        ("d.json", "[1]", "not an object"),
        ("d.json", '{"AB123": "10"}', "string"),
        ("d.json", '{"AB123": null}', "no single length"),
        ("d.json", '{"AB123": 1, "AB123": 2}', "twice"),
    ],
)
def test_bad_durations(resources, tmp_path, name, text, problem):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(AnnotationError, match=problem) as caught:
        charades(resources / "charades_sta.txt", durations=path)
    assert str(path) in str(caught.value)


def test_durations_as_json(resources, tmp_path):
    path = tmp_path / "d.json"
    path.write_text('{"AB123": 10, "CD456": 20.5}')
    samples = charades(resources / "charades_sta.txt", durations=path)
    assert [sample.duration for sample in samples] == [10.0, 20.5, 10.0]


HOSTILE = {
    "empty": b"",
    "blank": b" \r\n\n",
    "binary": bytes(range(256)) * 10,
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "cut off": b'{"AB123": {"duration": 10.0, "timest',
    "deep": b'{"a":' * 100_000,
    "deep list": b"[" * 1_000_000,
    "nan": b'{"AB123": {"duration": NaN}}',
    "infinity": b'{"id": -Infinity}',
    "overflow": b'{"id": 1e999}',
    "huge integer": b'{"id": ' + b"9" * 100_000 + b"}",
    "huge string": b'{"id": "' + b"x" * 1_000_000,
    "a list": b"[1, 2]",
    "a number": b"3",
    "no rows": b"{}",
    "key twice": b'{"id": 1, "id": 2}',
    "nul": b"\0" * 100,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(("format", "suffix"), [("charades_sta", ".json"), ("jsonl", ".jsonl")])
def test_hostile_files_are_refused_with_their_name(tmp_path, format, suffix, name):
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(AnnotationError) as caught:
        list(read(format, path))
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("format", ["charades_sta", "jsonl"])
def test_a_missing_file_is_named(tmp_path, format):
    with pytest.raises(AnnotationError, match="No such file"):
        list(read(format, tmp_path / f"none.{'json' if format != 'jsonl' else format}"))


def test_json_errors_name_the_line(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('\n{"AB123":\n {"duration" 3}}\n')
    with pytest.raises(AnnotationError) as caught:
        charades(path)
    assert caught.value.where == f"{path}:3"


def test_an_unknown_kind_of_charades_file(tmp_path):
    with pytest.raises(AnnotationError, match=r"\.json .* or \.txt"):
        charades(tmp_path / "rows.csv")


def test_jsonl(resources):
    samples = list(read("jsonl", resources / "samples.jsonl"))
    assert [sample.id for sample in samples] == ["a/0", "a/1", "a/2"]
    assert samples[1].clip == Span(10, 20.5)
    assert samples[1].extra == {"type": "CW"}
    assert "\u2028" in samples[2].query  # no line end in JSON
    assert [s.split for s in read("jsonl", resources / "samples.jsonl", split="x")] == ["x"] * 3


def test_jsonl_round_trip_with_bom_crlf_and_blank_lines(resources, tmp_path):
    samples = list(read("jsonl", resources / "samples.jsonl"))
    path = tmp_path / "copy.jsonl"
    assert write(path, samples) == 3
    assert list(read("jsonl", path)) == samples
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert list(read("jsonl", path)) == samples


def test_charades_with_bom_and_crlf(resources, tmp_path):
    for name in ("charades_sta.json", "charades_sta.txt"):
        content = (resources / name).read_bytes().replace(b"\n", b"\r\n")
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content)
        assert charades(tmp_path / name) == charades(resources / name)


def test_write_refuses_what_is_not_json(tmp_path, resources):
    sample = next(read("jsonl", resources / "samples.jsonl"))
    sample.extra["x"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        write(tmp_path / "x.jsonl", [sample])


def test_an_id_given_twice_names_both_lines(resources, tmp_path):
    path = tmp_path / "twice.jsonl"
    path.write_bytes((resources / "samples.jsonl").read_bytes() * 2)
    with pytest.raises(AnnotationError, match="taken by line 1") as caught:
        list(read("jsonl", path))
    assert caught.value.where == f"{path}:4"


def test_on_error_gets_each_bad_row_and_reading_goes_on(resources):
    errors = []
    samples = charades(resources / "charades_sta.json", on_error=errors.append)
    assert len(samples) == 5
    assert [error.reasons for error in errors] == [("reversed_span",)]


def test_readers_are_all_importable():
    assert all(callable(find_reader(name)) for name in READERS)


def test_an_unknown_format_names_those_there_are():
    with pytest.raises(ValueError, match=r"unknown annotation format 'coco'.*charades_sta.*jsonl"):
        read("coco", "x.json")


@pytest.mark.parametrize(
    "target", ["no_such_module:read", "json:no_such", ":", "json:", "json:__doc__"]
)
def test_an_outsiders_reader_that_is_not_there(target):
    with pytest.raises(ValueError, match="reader"):
        read(target, "x.json")


def test_an_outsiders_reader_by_module_and_function(tmp_path, monkeypatch):
    (tmp_path / "outsider.py").write_text(
        "from temporal_plugin.annotations import Sample\n"
        "def rows(path, *, on_error, query='q'):\n"
        "    yield Sample('o/0', 'open', 'v.mp4', query)\n"
        "def dicts(path, *, on_error):\n"
        "    yield {'id': 'o/0'}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert [sample.query for sample in read("outsider:rows", "x", query="why?")] == ["why?"]
    with pytest.raises(AnnotationError, match=r"'split': .*takes no such option.*allowed: .*query"):
        read("outsider:rows", "x", split="val")
    config = tmp_path / "c.yaml"
    config.write_text("datasets: [{json_path: x, data_folder: ., format: 'outsider:dicts'}]")
    with pytest.raises(TypeError, match="'outsider:dicts' gave a dict; a reader yields Sample"):
        load_samples(config)


def test_an_outsiders_reader_by_entry_point(tmp_path, monkeypatch):
    info = tmp_path / "outsider_reader-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: outsider-reader\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[temporal_plugin.readers]\nmine = temporal_plugin.annotations.sample_jsonl:read\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert find_reader("mine") is find_reader("jsonl")
    with pytest.raises(ValueError, match=r"charades_sta.*jsonl.*mine"):
        read("coco", "x")
