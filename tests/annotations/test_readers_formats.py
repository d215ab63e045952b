"""Formats that are nobody's dataset: verl's rows, our Parquet, and the files rows lie in."""

import json
import re
import sys
import tracemalloc
from dataclasses import replace

import pytest
from reader_cases import READERS_FOLDER, fixture_samples, to_parquet

from temporal_plugin.annotations import AnnotationError, Sample, read, sample_jsonl, sample_parquet
from temporal_plugin.annotations.row_files import parquet_rows, rows
from temporal_plugin.annotations.seen_ids import SeenIds
from temporal_plugin.answers import encode_truth
from temporal_plugin.spans import Span


def write_rows(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_verl_rows(tmp_path, suffix):
    path = READERS_FOLDER / "verl.jsonl"
    if suffix == ".parquet":
        # a Parquet column has one type, so the rows are brought to one form first
        lines = [json.loads(line) for line in path.read_text().splitlines()[:2]]
        for line in lines:
            line["prompt"] = [{"role": "user", "content": "<video>When does the kettle boil?"}]
        path = tmp_path / "rows.jsonl"
        write_rows(path, *lines)
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(lines), tmp_path / "rows.parquet")
        path = tmp_path / "rows.parquet"
    samples = list(read("verl", path))
    assert samples[0] == Sample(
        id="verl/films/train/4",
        task="grounding",
        video="KT001.mp4",
        query="When does the kettle boil?",
        spans=(Span(12.5, 17),),
        duration=40,
        source="films",
        split="train",
    )
    assert (samples[1].id, samples[1].task, samples[1].answer) == ("cup", "choice", "B")
    assert samples[1].options == ("shelf", "sink")
    assert samples[1].query == "Where is the cup"
    assert samples[1].clip == Span(10, 30.5)


def test_easyr1_rows():
    sample = fixture_samples("verl", "verl.jsonl", split="test")[2]
    assert (sample.task, sample.query, sample.answer) == ("open", "Who sings?", "the man in green")
    assert (sample.id, sample.video) == ("verl/films/test/2", "sub/KT003.mp4")
    assert sample.split == "test"


def row_of(truth, **more):
    return {"problem": "q", "answer": truth, "videos": ["v.mp4"], **more}


@pytest.mark.parametrize(
    ("truth", "spans"),
    [
        ("<answer>1.5 to 3</answer>", [(1.5, 3)]),
        ('{"start_time": "1", "end_time": "2"}', [(1, 2)]),
        ([1, 2.5], [(1, 2.5)]),
        ([[1, 2], [4, 5]], [(1, 2), (4, 5)]),
        ("[1, 2.5]", [(1, 2.5)]),
        ("[[1, 2], [4, 5]]", [(1, 2), (4, 5)]),
    ],
)
def test_truths_of_verl_rows(tmp_path, truth, spans):
    (sample,) = read("verl", write_rows(tmp_path / "rows.jsonl", row_of(truth)))
    assert sample.task == "grounding"
    assert [(span.start_seconds, span.end_seconds) for span in sample.spans] == spans


@pytest.mark.parametrize("name", ["nextgqa.json", "tvgbench.json", "video_mme.json"])
def test_our_own_truth_in_a_verl_row_gives_the_sample_back(tmp_path, name):
    samples = fixture_samples({"nextgqa.json": "nextgqa"}.get(name, name[:-5]), name)
    lines = [
        {
            "prompt": [{"role": "user", "content": f"<video>Find it: {sample.query}"}],
            "videos": [{"video": sample.video, "clip": sample.to_dict()["clip"]}],
            "reward_model": {"style": "rule", "ground_truth": encode_truth(sample)},
            "extra_info": {"split": sample.split},
        }
        for sample in samples
    ]
    again = list(read("verl", write_rows(tmp_path / "rows.jsonl", *lines)))
    assert again == [replace(sample, extra={}) for sample in samples]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"problem": "q", "videos": ["v.mp4"]}, "'ground_truth': missing"),
        (row_of("1 to 2", videos=[]), "'videos': 0 videos"),
        (row_of("1 to 2", videos=["a", "b"]), "'videos': 2 videos"),
        (row_of("1 to 2", videos=None), "'videos': not a list"),
        (row_of("1 to 2", videos=[{"path": "v"}]), "'video': missing"),
        (row_of("1 to 2", videos=[{"video": "v", "video_end": 3}]), "only one end of the clip"),
        (row_of("1 to 2", videos=["../v.mp4"]), "'video': not a safe file path"),
        (row_of('{"id": 3}'), "not a truth of ours"),
        (row_of('{"id": "a", "x": 1}'), "not a truth of ours"),
        (row_of("[1, 2"), "not JSON"),
        (row_of([5, 1]), "no such stretch of time"),
        (row_of("C", extra_info={"options": ["x", "y"]}), "names none of the options"),
        ({"answer": "1 to 2", "videos": ["v"], "prompt": []}, "'prompt': no question"),
        ({"answer": "1 to 2", "videos": ["v"]}, "'prompt': not a list"),
        (row_of("1 to 2", extra_info=[1]), "'extra_info': not an object"),
    ],
)
def test_verl_rows_that_are_refused(tmp_path, row, problem):
    path = write_rows(tmp_path / "rows.jsonl", row)
    errors = []
    assert list(read("verl", path, on_error=errors.append)) == []
    assert re.search(problem, str(errors[0]))
    assert errors[0].where == f"{path}:1"


def all_fixture_samples():
    return (
        fixture_samples("nextgqa", "nextgqa.json")
        + fixture_samples("tvgbench", "tvgbench.json")
        + fixture_samples("long_video_haystack", "long_video_haystack.json")
        + fixture_samples("jsonl", "../samples.jsonl")
    )


def test_our_parquet_round_trip(tmp_path):
    samples = all_fixture_samples()
    path = tmp_path / "samples.parquet"
    assert sample_parquet.write(path, samples) == len(samples)
    assert list(read("parquet", path)) == samples
    assert {sample.split for sample in read("parquet", path, split="x")} == {"x"}
    again = tmp_path / "again.parquet"
    sample_parquet.write(again, list(read("parquet", path)))
    assert again.read_bytes() == path.read_bytes()


def test_nothing_is_written_half(tmp_path):
    samples = all_fixture_samples()
    path = tmp_path / "samples.parquet"

    def broken():
        yield from samples
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        sample_parquet.write(path, broken())
    samples[0].extra["x"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        sample_parquet.write(path, samples)
    assert list(tmp_path.iterdir()) == []


def test_an_id_given_twice_in_parquet_names_the_row(tmp_path):
    samples = all_fixture_samples()
    path = tmp_path / "samples.parquet"
    sample_parquet.write(path, [*samples, samples[2]])
    with pytest.raises(AnnotationError, match="taken by row 2") as caught:
        list(read("parquet", path))
    assert caught.value.where == f"{path}[{len(samples)}]"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not Parquet"),
        (b"not parquet at all", "not Parquet"),
        (b"PAR1" + b"\0" * 100 + b"PAR1", "not Parquet"),
    ],
)
def test_broken_parquet_is_refused_with_its_name(tmp_path, content, problem):
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    for format in ("parquet", "verl", "video_mme"):
        with pytest.raises(AnnotationError, match=problem) as caught:
            list(read(format, path))
        assert caught.value.where == str(path)
    with pytest.raises(AnnotationError, match="No such file"):
        list(read("parquet", tmp_path / "none.parquet"))


def test_truncated_parquet_is_refused(tmp_path):
    path = to_parquet("video_mme.json", tmp_path / "rows.parquet")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(AnnotationError, match="not Parquet"):
        list(read("video_mme", path))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes"])
def test_parquet_values_that_are_not_json(tmp_path, value):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": ["a"], "x": [value]}), path)
    with pytest.raises(AnnotationError, match="'x': not a JSON value") as caught:
        list(parquet_rows(path))
    assert caught.value.where == f"{path}[0]"


def test_parquet_without_rows(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"id": pa.array([], pa.string())}), path)
    with pytest.raises(AnnotationError, match="no rows"):
        list(parquet_rows(path))


def test_rows_refuse_another_kind_of_file(tmp_path):
    with pytest.raises(AnnotationError, match=r"unknown kind.*\.xml.*\.json, \.jsonl"):
        list(rows(tmp_path / "rows.xml", print))


def test_a_bad_line_is_skipped_and_the_next_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n{"a": \n[3]\n{"a": NaN}\n{"a": 2}')
    errors = []
    assert [row for _, _, row in rows(path, errors.append)] == [{"a": 1}, [3], {"a": 2}]
    assert [error.where for error in errors] == [f"{path}:2", f"{path}:4"]


def test_seen_ids_tell_ids_apart_and_remember_the_first():
    seen = SeenIds()
    ids = [f"source/video/{n % 4000}" for n in range(5000)]
    firsts = [seen.first(id, n) for n, id in enumerate(ids)]
    assert firsts == [n if n < 4000 else n - 4000 for n in range(5000)]
    assert len(seen) == 4000


@pytest.mark.slow  # the memory tracer is
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_are_streamed(tmp_path, kind):
    """Ten times the rows take hardly more memory: less than 80 bytes each, for their ids."""
    write = {"jsonl": sample_jsonl.write, "parquet": sample_parquet.write}[kind]
    (sample,) = fixture_samples("jsonl", "../samples.jsonl")[:1]
    peaks = []
    for count in (500, 5000):
        path = tmp_path / f"{count}.{kind}"
        write(path, (replace(sample, id=f"synthetic/{n}") for n in range(count)))
        tracemalloc.start()
        assert sum(1 for _ in read(kind, path)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # A batch of Parquet rows is fuller in the larger file, hence the second summand.
    assert peaks[1] - peaks[0] < 4500 * 80 + (3_000_000 if kind == "parquet" else 0)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    path = to_parquet("video_mme.json", tmp_path / "rows.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        list(read("video_mme", path))
    with pytest.raises(ImportError, match="pip install pyarrow"):
        sample_parquet.write(tmp_path / "samples.parquet", [])
    assert not (tmp_path / "samples.parquet").exists()
