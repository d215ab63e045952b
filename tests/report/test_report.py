"""The table and the picture, from made-up results."""

import dataclasses

import numpy as np
import pytest

from temporal_plugin.report import comparison
from temporal_plugin.spans import Span


def question(number, prediction, truth, failed=False):
    return {
        "id": f"q{number}",
        "video": f"v{number // 2}.mp4",
        "prediction": prediction,
        "truth": truth,
        "parse_failed": failed,
    }


@pytest.fixture
def before():
    return [question(k, [[0.0, 4.0]], [[2.0, 4.0]]) for k in range(40)]


@pytest.fixture
def after():
    rows = [question(k, [[2.0, 4.0]], [[2.0, 4.0]]) for k in range(39)]
    return [*rows, question(39, [], [[2.0, 4.0]], failed=True)]


def test_the_table_holds_means_and_their_difference(before, after):
    rows = {row.metric: row for row in comparison.compare(before, after)}
    assert rows["miou"].before == pytest.approx(0.5)
    assert rows["miou"].after == pytest.approx(39 / 40)
    assert rows["miou"].difference == pytest.approx(39 / 40 - 0.5)
    assert 0 < rows["miou"].low < rows["miou"].difference < rows["miou"].high
    assert rows["r1@0.5"].before == 1.0  # an IoU of exactly 0.5 counts
    assert rows["r1@0.7"].before == 0.0
    assert rows["parse_failure"].after == pytest.approx(1 / 40)


def test_the_order_of_questions_does_not_matter(before, after):
    assert comparison.compare(before, after[::-1]) == comparison.compare(before, after)


def test_other_questions_are_refused(before, after):
    with pytest.raises(ValueError, match="40 questions before and 39 after are not the same"):
        comparison.compare(before, after[1:])


def test_markdown_has_one_line_per_metric(before, after):
    lines = comparison.demo_table(comparison.compare(before, after)).markdown().splitlines()
    assert len(lines) == 2 + len(comparison.TITLES)
    assert lines[2].startswith("| mean IoU | 0.500 | 0.975 | +0.475 |")
    assert len({line.count("|") for line in lines}) == 1


def test_the_picture_is_drawn(before, after, tmp_path):
    pytest.importorskip("matplotlib")
    from temporal_plugin.report.picture import Curve, Strip, draw

    generator = np.random.default_rng(0)
    strip = Strip(
        query="the red square $appears$ {now}",
        duration_seconds=8.0,
        frames=generator.integers(0, 255, (16, 32, 32, 3), dtype=np.uint8),
        spans=(Span(2, 4), Span(1, 4), Span(2, 4.5)),
        ious=(0.66, 0.8),
    )
    silent = dataclasses.replace(strip, spans=(Span(2, 4), None, Span(0, 8)))
    curve = Curve([1, 2], {"score": [0.1, 0.2], "iou": [0, 0.1], "format": [1, 1]}, [0], [0.3])
    path = tmp_path / "picture.png"
    draw(path, "title", curve, comparison.compare(before, after), [strip, silent])
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 20_000
