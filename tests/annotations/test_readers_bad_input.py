"""What is wrong in a file ends as an `AnnotationError` or as a right sample, with every reader."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from reader_cases import CASES, IDS, OWN_FOLDER, fixture_samples

from temporal_plugin.annotations import AnnotationError, read

JSON_CASES = [(*case, id) for case, id in zip(CASES, IDS, strict=True) if ".json" in case[1]]
JSON_IDS = [case[-1] for case in JSON_CASES]
WRONG = ["12.5", None, True, [], -7, 2**70, "\ud800"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of all fixtures to spoil."""
    copy = tmp_path_factory.mktemp("resources") / "annotations"
    shutil.copytree(OWN_FOLDER, copy)
    return copy / "readers"


@pytest.fixture
def spoiled(folder):
    """spoiled(name, bytes): writes them in place of a fixture, which comes back afterwards."""
    before = {}

    def write(name, content):
        path = folder / name
        before.setdefault(path, path.read_bytes())
        path.write_bytes(content)
        return path

    yield write
    for path, content in before.items():
        path.write_bytes(content)


def leaves(value, field=""):
    """(field, parent, key) of every leaf; the field is the last name above it."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        name = key if isinstance(key, str) else field
        if isinstance(item, (dict, list)):
            yield from leaves(item, name)
        else:
            yield name, value, key


def written(name, value):
    rows = value if name.endswith("l") else [value]
    return "\n".join(json.dumps(row) for row in rows).encode()


def loaded(name, folder):
    text = (folder / name).read_text(encoding="utf-8")
    return (
        [json.loads(line) for line in text.splitlines()] if name.endswith("l") else json.loads(text)
    )


def outcome(format, name, folder, options):
    """The samples and the errors, whether a row's or the file's."""
    errors = []
    try:
        samples = fixture_samples(format, name, folder, on_error=errors.append, **options)
    except AnnotationError as error:
        return [], [error]
    return samples, errors


def meaning(samples):
    """What training sees of the samples: ids and `extra` are left out."""
    return [replace(sample, id="x", extra={}) for sample in samples]


@pytest.mark.parametrize(("format", "name", "options", "id"), JSON_CASES, ids=JSON_IDS)
def test_a_wrong_value_anywhere_is_an_error_or_harmless(spoiled, folder, format, name, options, id):
    whole, before = outcome(format, name, folder, options)
    value = loaded(name, folder)
    first_of = {}
    for field, parent, key in leaves(value):
        first_of.setdefault(field, (parent, key))
    for field, (parent, key) in first_of.items():
        right = parent[key]
        for wrong in WRONG:
            parent[key] = wrong
            spoiled(name, written(name, value))
            samples, errors = outcome(format, name, folder, options)
            assert all(error.where and len(str(error)) < 1200 for error in errors)
            if len(errors) == len(before) and isinstance(right, (int, float)):
                # a string is no number: it was refused, or it says nothing that matters
                assert wrong not in ("12.5", True) or meaning(samples) == meaning(whole), field
        parent[key] = right


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(("format", "name", "options", "id"), JSON_CASES, ids=JSON_IDS)
def test_numbers_that_are_not_finite_are_refused(
    spoiled, folder, format, name, options, id, number
):
    value = loaded(name, folder)
    *_, (_, parent, key) = leaves(value)
    parent[key] = "@number@"
    spoiled(name, written(name, value).replace(b'"@number@"', number.encode()))
    _, errors = outcome(format, name, folder, options)
    assert "finite" in str(errors[0])
    assert str(folder / name) in str(errors[0]) or name.startswith("..")


# a sentence of the text form that is cut short cannot be told from a whole one
CUT = [case for case in zip(CASES, IDS, strict=True) if not case[0][1].endswith(".txt")]


@pytest.mark.parametrize(
    ("format", "name", "options"), [case for case, _ in CUT], ids=[id for _, id in CUT]
)
def test_a_truncated_file_is_refused_or_its_last_row_dropped(
    spoiled, folder, format, name, options
):
    content = (folder / name).read_bytes()
    whole, before = outcome(format, name, folder, options)
    path = spoiled(name, content[: content.rindex(b",")])
    samples, errors = outcome(format, name, folder, options)
    told = [str(error) for error in errors]
    assert told != [str(error) for error in before]
    assert samples == whole[: len(samples)]
    if path.suffix == ".json":
        assert samples == []
        assert "not JSON" in str(errors[0])


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
@pytest.mark.parametrize(("format", "name", "options"), CASES, ids=IDS)
def test_another_encoding_is_refused(spoiled, folder, format, name, options, encoding):
    text = (folder / name).read_text(encoding="utf-8").replace("e", "é").replace("\u2028", " ")
    path = spoiled(name, text.encode(encoding))
    with pytest.raises(AnnotationError, match=r"UTF-8|not JSON"):
        fixture_samples(format, name, folder, **options)
    assert path.exists()


@pytest.mark.parametrize(("format", "name", "options"), CASES, ids=IDS)
def test_a_query_of_megabytes_is_refused(spoiled, folder, format, name, options):
    # Ten megabytes once per kind of file; all readers have the check in common.
    megabytes = 10 if format in ("charades_sta", "jsonl", "nextgqa") else 0.2
    samples, before = outcome(format, name, folder, options)
    text = (folder / name).read_text(encoding="utf-8")
    query = "snow" if format == "queryd" else json.dumps(samples[-1].query)[1:-1]
    assert query in text
    spoiled(name, text.replace(query, "a film " * int(megabytes * 150_000)).encode())
    left, errors = outcome(format, name, folder, options)
    assert len(left) < len(samples)
    told = [str(error) for error in errors if str(error) not in map(str, before)]
    assert "characters" in told[-1] or "field limit" in told[-1]
    assert len(told[-1]) < 1200


CLIMBING = ["../../../etc/passwd", "a/../../b", "..\\..\\b", "x\0y"]


@pytest.mark.parametrize("climbing", CLIMBING)
@pytest.mark.parametrize(("format", "name", "options"), CASES, ids=IDS)
def test_a_video_path_cannot_climb_out_of_its_folder(
    spoiled, folder, format, name, options, climbing
):
    samples, _ = outcome(format, name, folder, options)
    video = Path(samples[0].video)
    # the shortest form in which the file names it: as in the sample, or some of its ending
    text = (folder / name).read_text(encoding="utf-8")
    stem = video.name.removesuffix("-cam-002.mp4").removesuffix(video.suffix)
    assert stem in text
    escaped = json.dumps(climbing)[1:-1] if ".json" in name else climbing
    spoiled(name, text.replace(stem, escaped).encode())
    left, errors = outcome(format, name, folder, options)
    assert errors
    for sample in left:
        assert ".." not in Path(sample.video.replace("\\", "/")).parts
        assert "\0" not in sample.video


@pytest.mark.parametrize(("format", "name", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("content", [b"", b"\n\n", b"[]", b"{}", b"3", b"null", b"\0" * 99])
def test_files_of_another_kind_are_refused(spoiled, folder, format, name, options, content):
    spoiled(name, content)
    samples, errors = outcome(format, name, folder, options)
    assert samples == []
    assert all(str(error) for error in errors)
    assert errors or Path(name).suffix == ".csv"


def test_a_line_without_end_is_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("temporal_plugin.annotations.strict_json.MAX_LINE_BYTES", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"id": "' + b"x" * 5000)
    with pytest.raises(AnnotationError, match="a line without end") as caught:
        list(read("jsonl", path))
    assert caught.value.where == f"{path}:1"
