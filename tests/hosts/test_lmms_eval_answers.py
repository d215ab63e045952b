"""Answers on disk: torn lines, several ranks, and what makes two questions the same."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("lmms_eval")

from lmms_eval.api.instance import GenerationResult, TokenCounts
from PIL import Image

from temporal_plugin.integrations.lmms_eval_answers import AnswerLog, Keys, weights_version

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
GENERATION = {"max_new_tokens": 8, "temperature": 0.0}


def answer(text, tokens=3):
    return GenerationResult(text, TokenCounts(output_tokens=tokens))


def chat(text="when?", **video):
    content = [{"type": "video", "url": "v.mp4", **video}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def key(messages=None, generation=GENERATION, **identity):
    return Keys({"pretrained": "p", **identity}).key(messages or chat(), generation)


@pytest.mark.parametrize("text", ["", "a\nb\u2028c\x85d", "你好", "\ud800", "x" * 100_000, '"}'])
def test_an_answer_is_found_again(tmp_path, text):
    log = AnswerLog(tmp_path)
    log.put("k", answer(text))
    log.close()
    found = AnswerLog(tmp_path).get("k")
    assert (found.text, found.token_counts.output_tokens) == (text, 3)


def test_without_a_folder_nothing_is_kept(tmp_path):
    for folder in (None, ""):
        log = AnswerLog(folder)
        log.put("k", answer("a"))
        assert (len(log), log.get("k")) == (0, None)


def test_the_last_line_may_be_torn_anywhere(tmp_path):
    log = AnswerLog(tmp_path)
    for name in "ab":
        log.put(name, answer(name))
    log.close()
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    second = whole.index(b"\n") + 1
    for cut in range(second, len(whole)):
        file.write_bytes(whole[:cut])
        log = AnswerLog(tmp_path)
        assert log.get("a").text == "a"
        # a line that lacks nothing but its end is an answer
        assert (log.get("b") is None) == (cut < len(whole) - 1)
        log.put("c", answer("c"))
        log.close()
        again = AnswerLog(tmp_path)
        assert again.get("a").text + again.get("c").text == "ac"


@pytest.mark.parametrize(
    "line", [b"[]", b"1", b"null", b'{"key": "k"}', b"\xff", b'{"text": "t"}', b"[" * 9999]
)
def test_a_foreign_line_is_passed_over(tmp_path, line):
    (tmp_path / "answers_0.jsonl").write_bytes(line + b"\n")
    assert len(AnswerLog(tmp_path)) == 0


def test_ranks_read_each_other(tmp_path):
    for rank in range(2):
        log = AnswerLog(tmp_path, rank)
        log.put(f"k{rank}", answer(str(rank)))
        log.close()
    log = AnswerLog(tmp_path, 7)
    assert [log.get("k0").text, log.get("k1").text] == ["0", "1"]


def test_answers_survive_sigkill(tmp_path):
    program = (
        "import os, signal\n"
        "from temporal_plugin.integrations.lmms_eval_answers import *\n"
        f"log = AnswerLog({str(tmp_path)!r})\n"
        "for n in range(9):\n    log.put(str(n), GenerationResult('t'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": root}, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert len(AnswerLog(tmp_path)) == 9


def test_equal_questions_have_equal_keys():
    assert key() == key()
    assert key(generation=dict(reversed(GENERATION.items()))) == key()


def test_what_changes_an_answer_changes_its_key(tmp_path):
    video = tmp_path / "v.mp4"
    video.write_text("one")
    before = key(chat(url=str(video)))
    video.write_text("another")
    keys = [
        key(),
        key(chat("where?")),
        key(chat(start_time=1.0, end_time=2.0)),
        key(chat(start_time=1.0, end_time=3.0)),
        key([{"role": "system", "content": [{"type": "text", "text": "s"}]}, *chat()]),
        key(generation={**GENERATION, "max_new_tokens": 9}),
        key(pretrained="q"),
        key(dtype="float32"),
        before,
        key(chat(url=str(video))),
    ]
    assert len(set(keys)) == len(keys)


def test_pictures_count_by_their_pixels(tmp_path):
    def shown(colour, size=(4, 4)):
        picture = Image.new("RGB", size, colour)
        return key([{"role": "user", "content": [{"type": "image", "url": picture}]}])

    assert shown("red") == shown("red")
    assert len({shown("red"), shown("blue"), shown("red", (2, 8))}) == 3


def test_a_question_asked_again_has_another_key():
    keys = Keys({})
    assert len({keys.key(chat(), GENERATION) for _ in range(3)}) == 3


def test_new_weights_in_the_same_folder_are_another_model(tmp_path):
    (tmp_path / "model.safetensors").write_text("old")
    before = weights_version(str(tmp_path))
    assert weights_version(str(tmp_path)) == before
    (tmp_path / "model.safetensors").write_text("newer")
    assert weights_version(str(tmp_path)) != before
    assert weights_version("Qwen/Qwen2.5-VL-3B-Instruct") == []


def test_a_line_is_json_that_anybody_can_read(tmp_path):
    AnswerLog(tmp_path).put("k", answer("你"))
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text()) == {"key": "k", "text": "你", "output_tokens": 3}
