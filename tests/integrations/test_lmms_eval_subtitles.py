"""Subtitles as text of a question."""

import time

import pytest

from temporal_plugin.integrations import lmms_eval_subtitles as subtitles

SRT = """\ufeff1
00:00:01,500 --> 00:00:03,000
<font color="white" size=".72c">Hello &amp; welcome</font>

2
00:00:03,000 --> 00:00:04,000
Hello &amp; welcome

3
01:02:03.250 --> 01:02:04,000 align:left
two
lines {\\an8}here

4
00:00:09,000 --> 00:00:10,000

no times here
at all
"""


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "a.srt"
    path.write_bytes(text.encode(encoding))
    return subtitles.read(path)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_with_their_seconds(tmp_path, ending):
    found = read(tmp_path, SRT.replace("\n", ending))
    assert found.splitlines() == ["[1.5] Hello & welcome", "[3723.25] two lines here"]


def test_blocks_without_a_number_are_read_too(tmp_path):
    assert read(tmp_path, "00:00:02,000 --> 00:00:03,000\nHi\n") == "[2] Hi"


@pytest.mark.parametrize("text", ["", "\n\n\n", "no subtitles", "1\n\n2\n"])
def test_no_subtitles_are_no_text(tmp_path, text):
    assert read(tmp_path, text) == ""


def test_another_encoding_loses_letters_and_not_the_run(tmp_path):
    assert read(tmp_path, "00:00:02,000 --> 00:00:03,000\ncafé\n", "latin-1") == "[2] caf\ufffd"


def test_a_hostile_file_is_read_in_linear_time(tmp_path):
    begin = time.monotonic()
    read(tmp_path, "00:00:02,000 --> 00:00:03,000\n" + "<" * 1_000_000)
    assert time.monotonic() - begin < 10


def test_a_huge_file_is_refused(tmp_path):
    path = tmp_path / "a.srt"
    with path.open("wb") as file:
        file.truncate(subtitles.MOST_BYTES + 1)
    with pytest.raises(ValueError, match="no subtitle file is that large"):
        subtitles.read(path)


def test_they_stand_before_the_question():
    text = subtitles.before_question("[1] a", "why?")
    assert text.splitlines() == [subtitles.INTRODUCTION, "[1] a", "why?"]
