import json
import logging

import pytest

from temporal_plugin.annotations import AnnotationError, load, load_samples, stream
from temporal_plugin.annotations.config_entries import read_data_config

ROW = {"id": "a/0", "task": "grounding", "video": "v.mp4", "query": "q", "duration": 10}


def config_for(path, **settings):
    lines = [f"  - json_path: {path}", *(f"    {key}: {settings[key]}" for key in settings)]
    return "datasets:\n" + "\n".join(lines) + "\n"


def counts(report):
    return {
        reason: (finding.rows, finding.dropped, finding.changed)
        for reason, finding in report.findings.items()
    }


def test_a_config_loads_its_files_in_order_with_absolute_videos(resources, caplog):
    caplog.set_level(logging.INFO)
    samples = load_samples(resources / "data_config.yaml")
    assert [sample.id for sample in samples] == [
        "charades_sta/AB123/0",
        "charades_sta/CD456/0",
        "a/0",
        "a/1",
    ]
    assert samples[0].video == str(resources / "videos" / "AB123.mp4")
    assert samples[3].video == str(resources / "videos" / "sub" / "CD456.mp4")
    levels = {record.levelno for record in caplog.records}
    assert levels == {logging.INFO, logging.WARNING}
    assert "6 rows read, 4 dropped, 0 changed, 2 kept, 2 selected" in caplog.text


def test_relative_paths_do_not_depend_on_the_working_folder(resources, monkeypatch, tmp_path):
    expected = load_samples(resources / "data_config.yaml")
    monkeypatch.chdir(resources)
    assert load_samples("data_config.yaml") == expected


def test_relative_paths_below_the_data_root(resources, monkeypatch, tmp_path):
    text = (resources / "data_config.yaml").read_text()
    config = tmp_path / "elsewhere.yaml"
    config.write_text("below_data_root: true\n" + text)
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(resources))
    assert load_samples(config) == load_samples(resources / "data_config.yaml")


def test_the_data_root_is_asked_for_by_true_or_false(write_config):
    with pytest.raises(AnnotationError, match=r"below_data_root.*'yes please'.*true or false"):
        read_data_config(write_config("below_data_root: yes please\ndatasets: [{}]\n"))


def test_drop_is_the_default(resources):
    first, second = load(resources / "data_config.yaml").reports
    assert (first.read, first.dropped, first.changed, first.kept) == (6, 4, 0, 2)
    assert counts(first) == {
        "reversed_span": (1, 1, 0),
        "empty_span": (1, 1, 0),
        "past_end_within_tolerance": (1, 0, 0),
        "past_end": (2, 2, 0),
        "past_end_over_1_s": (1, 1, 0),
        "starts_past_end": (1, 1, 0),
    }
    assert (second.read, second.kept, second.selected) == (3, 3, 2)
    assert first.findings["past_end"].examples == [
        "'charades_sta/CD456/1' [15.0, 21.0] of 20.0 s",
        "'charades_sta/CD456/2' [21.0, 23.0] of 20.0 s",
    ]


@pytest.mark.parametrize(
    ("policy", "spans", "changed"),
    [
        ("drop", [(1.0, 4.5), (12.0, 20.4)], 0),
        ("clip", [(1.0, 4.5), (12.0, 20.0), (15.0, 20.0)], 2),
        ("keep", [(1.0, 4.5), (2.0, 2.0), (12.0, 20.4), (15.0, 21.0), (21.0, 23.0)], 0),
    ],
)
def test_span_policies(resources, write_config, policy, spans, changed):
    path = write_config(
        config_for(
            resources / "charades_sta.json",
            format="charades_sta",
            data_folder=".",
            on_bad_span=policy,
        )
    )
    loaded = load(path)
    found = [(s.start_seconds, s.end_seconds) for sample in loaded.samples for s in sample.spans]
    assert found == spans
    report = loaded.reports[0]
    assert report.changed == changed
    assert report.read == report.dropped + report.kept == 6
    assert counts(report)["past_end"][0] == 2  # counted whatever becomes of them


def test_grounding_without_a_span_and_without_a_duration(write_jsonl):
    path = write_jsonl(
        {**ROW, "spans": []},
        {**ROW, "id": "a/1", "duration": None, "spans": [[5, 6]]},
        {**ROW, "id": "a/2", "task": "open"},
    )
    loaded = load(path)
    assert [sample.id for sample in loaded.samples] == ["a/1", "a/2"]
    assert counts(loaded.reports[0]) == {"no_span": (1, 1, 0), "no_duration": (1, 0, 0)}


def test_sampling_is_of_the_kept_rows(resources, write_config):
    settings = {"format": "charades_sta", "data_folder": ".", "sampling_strategy": "end:50%"}
    loaded = load(write_config(config_for(resources / "charades_sta.json", **settings)))
    assert [sample.id for sample in loaded.samples] == ["charades_sta/CD456/0"]
    assert loaded.reports[0].selected == 1


def test_one_bad_span_of_several_drops_the_row(write_jsonl):
    assert load(write_jsonl({**ROW, "spans": [[1, 2], [3, 12]]})).samples == []


def test_videos_of_a_jsonl_without_data_folder(write_jsonl, tmp_path):
    path = write_jsonl(
        {**ROW, "spans": [[1, 2]], "video": "/data/v.mp4"},
        {**ROW, "spans": [[1, 2]], "id": "a/1", "video": "sub/v.mp4"},
    )
    assert [sample.video for sample in load_samples(path)] == [
        "/data/v.mp4",
        str(tmp_path / "sub" / "v.mp4"),
    ]


@pytest.mark.parametrize(
    ("video", "problem"),
    [("/etc/passwd", "absolute path beside a data_folder"), ("../v.mp4", "not a safe file path")],
)
def test_a_video_cannot_leave_its_data_folder(write_jsonl, write_config, video, problem):
    rows = write_jsonl({**ROW, "spans": [[1, 2]], "video": video})
    with pytest.raises(AnnotationError, match=problem) as caught:
        load_samples(write_config(config_for(rows, data_folder="videos")))
    assert caught.value.where.startswith(str(rows))
    assert caught.value.field == "video"
    assert "data_folder" in caught.value.remedy


def test_an_id_given_by_two_files(resources, write_config):
    entry = config_for(resources / "samples.jsonl")
    path = write_config(entry + entry.removeprefix("datasets:\n"))
    with pytest.raises(AnnotationError, match=r"the id is taken by a row of .*list each file once"):
        load_samples(path)


def test_malformed_rows_stop_the_load_unless_told_otherwise(write_jsonl, write_config):
    good = {**ROW, "spans": [[1, 2]]}
    rows = write_jsonl(good, {**good, "id": 3}, good, {**good, "id": "a/1"})
    with pytest.raises(AnnotationError, match=r"samples\.jsonl:2: field 'id'"):
        load_samples(rows)
    tolerant = load(write_config(config_for(rows, on_bad_row="drop")))
    assert [sample.id for sample in tolerant.samples] == ["a/0", "a/1"]
    assert tolerant.reports[0].errors == []
    assert counts(tolerant.reports[0]) == {"malformed_row": (2, 2, 0)}
    collected = load(rows, collect_errors=True).reports[0]
    assert [error.where for error in collected.errors] == [f"{rows}:2", f"{rows}:3"]
    assert collected.to_dict()["errors"] == [str(error) for error in collected.errors]


def test_load_samples_wants_one_of_two_kinds_of_file(tmp_path):
    with pytest.raises(AnnotationError, match=r"allowed: \.yaml or \.yml.*remedy: "):
        load_samples(tmp_path / "rows.json")


def test_settings_of_an_entry(resources, write_config, tmp_path):
    path = write_config(
        config_for(
            "rows.txt",
            format="charades_sta",
            data_folder="~/videos",
            split="test",
            video_extension=".mkv",
            durations="lengths.csv",
            sampling_strategy="random:10%",
            seed=3,
            on_bad_span="clip",
        )
    )
    [entry] = read_data_config(path)
    assert entry.json_path == tmp_path.resolve() / "rows.txt"
    assert entry.data_folder.is_absolute() and "~" not in str(entry.data_folder)
    assert entry.options == {
        "split": "test",
        "video_extension": ".mkv",
        "durations": tmp_path.resolve() / "lengths.csv",
    }
    assert (entry.seed, entry.on_bad_span, entry.on_bad_row) == (3, "clip", "error")


def test_videos_and_queries_that_are_too_long_or_short_are_dropped(write_config, tmp_path):
    row = {"task": "grounding", "video": "v.mp4", "spans": [[1, 2]]}
    rows = [
        {**row, "id": "short", "query": "a b", "duration": 4.9},
        {**row, "id": "least", "query": "a b", "duration": 5},
        {**row, "id": "most", "query": "a  b\tc", "duration": 500.0},
        {**row, "id": "long and wordy", "query": "a b c d", "duration": 500.1},
        {**row, "id": "wordy", "query": "a b c d", "duration": 60},
        {**row, "id": "unknown", "query": "a"},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    limits = {"least_seconds": 5, "most_seconds": 500, "most_words": 3}
    path = write_config(config_for("rows.jsonl", **limits))
    found = load(path)
    (report,) = found.reports
    assert [sample.id for sample in found.samples] == ["least", "most", "unknown"]
    assert (report.read, report.dropped, report.kept) == (6, 3, 3)
    assert counts(report) == {
        "video_too_short": (1, 1, 0),
        "video_too_long": (1, 1, 0),
        "query_too_long": (2, 2, 0),
        "no_duration": (1, 0, 0),
    }
    assert report.policy["most_seconds"] == 500
    assert list(stream(path)) == found.samples
    assert len(load(write_config(config_for("rows.jsonl"))).samples) == 6


GOOD = {"format": "charades_sta", "data_folder": "."}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("datasets: []", "nothing to load"),
        ("datasets: {}", "nothing to load"),
        ("[1]", "not a mapping"),
        ("dataset: []", "unknown key.*'dataset'.*allowed: datasets"),
        ("datasets: [3]", r"datasets\[0\]: not a mapping"),
        ("datasets: [{}]", "'json_path': missing"),
        ("datasets: [{json_path: [a]}]", "'json_path': not a path"),
        (config_for("a.json"), "'format': .*allowed: .*charades_sta"),
        (config_for("a.json", format="coco"), "unknown annotation format 'coco'"),
        (config_for("a.json", format="charades_sta"), "'data_folder': missing"),
        (config_for("a.json", **GOOD, sampling="all"), "unknown key.*allowed: .*sampling_strategy"),
        (config_for("a.json", **GOOD, sampling_strategy="some"), "allowed: all, first:N"),
        (config_for("a.json", **GOOD, on_bad_span="fix"), "allowed: drop, clip, keep"),
        (config_for("a.json", **GOOD, on_bad_span="[drop]"), "allowed: drop, clip, keep"),
        (config_for("a.json", **GOOD, on_bad_row="skip"), "allowed: error, drop"),
        (config_for("a.json", **GOOD, most_words=0), "'most_words': not a limit.*above 0"),
        (config_for("a.json", **GOOD, least_seconds="5 s"), "'least_seconds': not a limit"),
        (config_for("a.json", **GOOD, least_seconds=9, most_seconds=5), "at most most_seconds, 5"),
        (config_for("a.json", **GOOD, seed="yes"), "'seed': not a seed"),
        (config_for("a.json", **GOOD, split=3), "'split': not a string"),
        (config_for("a.json", **GOOD, options="[1]"), "'options': not a mapping"),
        (config_for("a.json", **GOOD, options="{split: a, speed: 1}"), "'speed': .*no such option"),
        (config_for("a.json", **GOOD) + "    format: jsonl", r"config\.yaml:5: .*'format'.*twice"),
        (config_for("a.json", **GOOD) + "datasets: []", r"config\.yaml:5: .*'datasets'.*twice"),
        ("datasets: [", "not YAML"),
        ("datasets: !!python/object/apply:os.system [ls]", "not YAML"),
        ("[" * 50_000, "not usable YAML|not YAML"),
        ("a: &a [*a]", "unknown key"),
        ("? [1]\n: 2", "not YAML|unknown key"),
    ],
)
def test_a_bad_config_is_refused_with_what_is_allowed(write_config, text, message):
    path = write_config(text)
    with pytest.raises(AnnotationError, match=message) as caught:
        load_samples(path)
    assert str(caught.value).startswith(str(path))


def test_real_charades_train_shows_its_known_faults(shared, write_config, tmp_path):
    path = write_config(
        config_for(
            shared / "data" / "annotations" / "charades_sta_train.json",
            format="charades_sta",
            data_folder=tmp_path,
        )
    )
    report = load(path).reports[0]
    found = {reason: finding.rows for reason, finding in report.findings.items()}
    assert report.read == 12408
    assert found["reversed_span"] + found.get("empty_span", 0) == 4
    assert found["past_end"] == 1546
    assert report.dropped == 4 + 1546 - 3  # three rows are both


def test_real_charades_test_split_is_whole_under_clip(shared, write_config, tmp_path):
    path = write_config(
        config_for(
            shared / "data" / "annotations" / "charades_sta_test.json",
            format="charades_sta",
            data_folder=tmp_path,
            on_bad_span="clip",
        )
    )
    loaded = load(path)
    assert (len(loaded.samples), loaded.reports[0].changed) == (3720, 562)
    assert all(s.spans[0].end_seconds <= s.duration for s in loaded.samples)
