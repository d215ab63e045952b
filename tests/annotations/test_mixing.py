from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin.annotations import AnnotationError, data_config, load, load_samples, stream
from temporal_plugin.annotations.mixing import mix

ROW = {"task": "open", "video": "v.mp4", "query": "q"}


@pytest.fixture
def config(write_jsonl, write_config):
    """A config of sources `(letter, rows, settings)`; ids are "a0", "a1", ..."""

    def write(*sources):
        lines = ["datasets:"]
        for name, count, settings in sources:
            rows = [{**ROW, "id": f"{name}{n}", "source": name} for n in range(count)]
            path = write_jsonl(*rows, name=f"{name}.jsonl")
            lines += [f"  - json_path: {path}", *(f"    {k}: {v}" for k, v in settings.items())]
        return write_config("\n".join(lines) + "\n")

    return write


def ids(samples):
    return [sample.id for sample in samples]


def test_the_mix_ends_with_the_source_that_runs_out():
    assert list(mix([2, 9], [1, 2])) == [1, 0, 1, 1, 0, 1, 1]
    assert Counter(mix([10, 100, 1000], [1, 1, 2])) == {0: 10, 1: 10, 2: 21}
    assert list(mix([3], [0.5])) == [0, 0, 0]
    assert list(mix([], [])) == []
    assert list(mix([0, 5], [1, 1])) == []


@given(
    st.lists(st.tuples(st.integers(1, 200), st.floats(0.01, 100)), min_size=1, max_size=5),
)
def test_every_prefix_has_the_shares_of_the_weights(sources):
    counts, weights = zip(*sources, strict=True)
    taken = [0] * len(counts)
    for number, source in enumerate(mix(counts, weights), start=1):
        taken[source] += 1
        for count, weight in zip(taken, weights, strict=True):
            assert abs(count - number * weight / sum(weights)) <= len(counts)
    assert all(count <= limit for count, limit in zip(taken, counts, strict=True))
    assert any(limit - count <= 0 for count, limit in zip(taken, counts, strict=True))


def test_sources_without_weights_follow_one_another(config):
    path = config(("a", 2, {}), ("b", 3, {"sampling_strategy": "last:2"}))
    assert ids(load_samples(path)) == ["a0", "a1", "b1", "b2"]


def test_weights_are_shares_of_the_mix(config):
    path = config(("a", 100, {"weight": 1, "seed": 4}), ("b", 6, {"weight": 3}), ("c", 9, {}))
    loaded = load(path)
    found = ids(loaded.samples)
    assert Counter(id[0] for id in found) == {"a": 2, "b": 6, "c": 2}
    assert [report.selected for report in loaded.reports] == [2, 6, 2]
    assert len(set(found)) == len(found)  # no row twice
    of_a = [int(id[1:]) for id in found if id[0] == "a"]
    assert of_a == sorted(of_a) and of_a != [0, 1]  # from anywhere in the file
    assert [id for id in found if id[0] == "b"] == [f"b{n}" for n in range(6)]


def test_a_weighted_source_without_rows_is_refused_and_can_still_be_checked(config):
    path = config(("a", 3, {"weight": 2}), ("b", 3, {}))
    bad = path.parent / "b.jsonl"
    bad.write_text('{"id": "b0", "task": "grounding", "video": "v", "query": "q"}\n')
    with pytest.raises(AnnotationError, match=r"datasets\[1\].*no row of .*b\.jsonl is left"):
        load(path)
    with pytest.raises(AnnotationError, match="no row of"):
        list(stream(path))
    assert len(load(path, collect_errors=True).samples) == 3


@pytest.mark.parametrize("weight", ["0", "-1", ".nan", ".inf", "true", "heavy", "[1]", "1e9"])
def test_what_is_no_weight(config, weight):
    with pytest.raises(AnnotationError, match=r"'weight': not a weight.*allowed: a number from"):
        load(config(("a", 2, {"weight": weight})))


SETTINGS = [
    [{}, {}],
    [{"sampling_strategy": "first:3"}, {"sampling_strategy": "first:99"}],
    [{"sampling_strategy": "random:40%", "seed": 7}, {}],
    [{"sampling_strategy": "last:3"}, {"sampling_strategy": "random:4"}],
    [{"weight": 1}, {"weight": 2.5}],
    [{"weight": 2, "sampling_strategy": "random:8", "seed": 1}, {"sampling_strategy": "first:50%"}],
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_stream_gives_what_a_load_gives(config, settings, caplog):
    caplog.set_level("INFO")
    path = config(("a", 20, settings[0]), ("b", 11, settings[1]))
    loaded = load(path)
    assert list(stream(path)) == loaded.samples == load(path).samples
    assert [r.getMessage() for r in caplog.records] == [r.summary() for r in loaded.reports]


def test_a_stream_starts_before_the_file_is_read(config):
    path = config(("a", 2, {}))
    rows = path.parent / "a.jsonl"
    rows.write_text(rows.read_text() + "{broken\n")
    samples = stream(path)
    assert next(samples).id == "a0"
    with pytest.raises(AnnotationError, match=r"a\.jsonl:3"):
        list(samples)


def test_a_stream_sees_ids_given_twice(config):
    path = config(("a", 2, {}))
    path.write_text(path.read_text() + path.read_text().removeprefix("datasets:\n"))
    with pytest.raises(AnnotationError, match=r"the id is taken by a row of .*a\.jsonl"):
        list(stream(path))


def test_a_file_that_shrinks_while_streamed(config, monkeypatch):
    monkeypatch.setattr(data_config, "_counts", lambda configs: [4])
    samples = stream(config(("a", 3, {"sampling_strategy": "last:3"})))
    with pytest.raises(AnnotationError, match=r"a\.jsonl: the file has fewer rows than a moment"):
        list(samples)
