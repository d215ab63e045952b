from pathlib import Path

import pytest

from temporal_plugin.answers import CONTRACTS, Truth, parse
from temporal_plugin.prompts import (
    RECORD_FILE,
    Prompt,
    load,
    mismatch,
    option_lines,
    read_record,
    shipped,
    warn_on_mismatch,
    write_record,
)

#: templates that ask for the contract of another one's name in other words
VARIANTS = {
    "answer_keyframes": "answer_glue",
    "answer_moments": "answer",
    **{f"frames{ending}": f"answer{ending}" for ending in ("", "_choice", "_text")},
    **{f"search_brief{ending}": f"answer{ending}" for ending in ("", "_choice", "_text")},
    "search": "think_answer",
    "search_choice": "think_answer_choice",
    "search_text": "think_answer_text",
    "think_answer_keyframes": "think_answer_glue",
    "think_answer_moments": "think_answer",
}
SAMPLE = Truth("q1", query="the man jumps", duration=33.5, options=("red", "(B) blue"))


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_template_can_be_asked(name):
    prompt = load(name)
    assert prompt.name == name
    assert prompt.contract == VARIANTS.get(name, name)
    *system, user = prompt.messages(SAMPLE)
    assert [message["role"] for message in system] == (["system"] if prompt.system else [])
    assert user["role"] == "user"
    assert user["content"][0] == {"type": "video"}
    text = user["content"][1]["text"]
    assert SAMPLE.query in text
    assert not any(field in text for field in ("{query}", "{duration}", "{options}"))


def test_there_is_a_template_for_every_contract():
    assert set(shipped()) == (set(CONTRACTS) - {"free"}) | set(VARIANTS)


@pytest.mark.parametrize("name", shipped())
def test_repeating_the_prompt_is_no_answer(name):
    prompt = load(name)
    text = prompt.messages(SAMPLE)[-1]["content"][1]["text"]
    answer = parse(text, contract=prompt.contract, question=SAMPLE.query)
    assert not answer.spans
    assert not answer.well_formed


def test_the_video_can_come_last():
    prompt = Prompt("mine", None, "{query}", video_position="last")
    assert prompt.messages(SAMPLE) == [
        {
            "role": "user",
            "content": [{"type": "text", "text": "the man jumps"}, {"type": "video"}],
        }
    ]


@pytest.mark.parametrize(
    "query", ["{duration}", "{query}", "a {x} b", "{{}}", "{0}", "\\1 \\g<0>", "100%s", "{"]
)
def test_a_query_survives_whatever_it_holds(query):
    prompt = Prompt("mine", "about {query}", 'Find {query}: {"start_time": "a"} {} {0}')
    system, user = prompt.messages(Truth("q", query=query))
    assert system["content"] == f"about {query}"
    assert user["content"][1]["text"] == f'Find {query}: {{"start_time": "a"}} {{}} {{0}}'


def test_the_fields():
    prompt = Prompt("mine", None, "{duration}|{options}")
    text = prompt.messages(SAMPLE)[0]["content"][1]["text"]
    assert text == "33.50|(A) red\n(B) blue"
    assert option_lines(["(A) x", "b. y", "C"]) == "(A) x\n(B) y\n(C) C"


@pytest.mark.parametrize("field", ["duration", "options"])
def test_a_field_the_sample_lacks_is_named(field):
    prompt = Prompt("mine", None, f"{{{field}}}")
    with pytest.raises(ValueError, match=f"{field}}}, but sample 'q9' has none"):
        prompt.messages(Truth("q9"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user": "{qurey}"}, r"field \{qurey\} is unknown; use some of: \{query\}"),
        ({"user": "a", "system": "{name}"}, r"field \{name\} is unknown"),
        ({"user": "a", "contract": "json"}, "contract 'json' is unknown"),
        ({"user": "a", "video_position": "middle"}, "'middle'; use one of: first, last"),
    ],
)
def test_a_wrong_template_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Prompt(**{"name": "mine", "system": None, **arguments})


def test_a_template_of_ones_own(tmp_path: Path):
    path = tmp_path / "authors.yaml"
    path.write_text("user: 'Où ? {query}'\nvideo_position: last\n", encoding="utf-8")
    assert load(path) == Prompt("authors", None, "Où ? {query}", "last", "free")
    assert load(str(path)).name == "authors"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "is not YAML"),
        ("just words", "must hold a mapping"),
        ("system: a", "the key 'user' must hold a text"),
        ("user: 5", "the key 'user' must hold a text"),
        ("user: a\nusr: b", "key 'usr' is unknown; the keys are name, system, user"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        load(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["no_such", "no/such.yaml"])
def test_a_missing_template_lists_those_that_exist(name):
    with pytest.raises(ValueError, match=r"is not found; use one of: answer, answer_choice"):
        load(name)


@pytest.mark.parametrize(
    ("variant", "types"), [("text_first", ["text", "video"]), ("video_first", ["video", "text"])]
)
@pytest.mark.parametrize("own", [False, True])
def test_the_order_of_video_and_text_by_name(tmp_path, variant, types, own):
    name = "think_answer"
    if own:
        name = tmp_path / "a@b.yaml"
        name.write_text("user: '{query}'\n")
    prompt = load(f"{name}@{variant}")
    assert prompt.name == f"{Path(name).stem}@{variant}"
    assert [part["type"] for part in prompt.messages(SAMPLE)[0]["content"]] == types
    assert (prompt.fingerprint == load(name).fingerprint) is (variant == "video_first")


def test_the_fingerprint_is_that_of_what_the_model_sees():
    prompt = Prompt("a", None, "find {query}")
    assert prompt.fingerprint == Prompt("b", "", "find {query}").fingerprint
    others = [
        Prompt("a", None, "find {query}!"),
        Prompt("a", "find {query}", ""),
        Prompt("a", None, "find {query}", "last"),
        Prompt("a", None, "find {query}", contract="answer"),
    ]
    assert len({item.fingerprint for item in (prompt, *others)}) == 5


def test_a_shipped_prompt_is_never_edited_in_silence():
    """A changed template makes old checkpoints warn: change it on purpose, and this with it."""
    assert load("answer").fingerprint == "bcf872e3ef018025"
    assert load("think_answer").fingerprint == "aafdd5a02480feec"


def test_the_record_beside_a_checkpoint(tmp_path, caplog):
    folder = tmp_path / "checkpoints"
    checkpoint = folder / "global_step_3" / "actor" / "huggingface"
    checkpoint.mkdir(parents=True)
    trained = load("think_answer")
    assert read_record(checkpoint) is None
    assert mismatch(checkpoint, trained) is None
    assert write_record(folder, trained) == folder / RECORD_FILE
    assert [path.name for path in folder.iterdir() if path.is_file()] == [RECORD_FILE]
    assert read_record(checkpoint) == trained
    assert not warn_on_mismatch(checkpoint, trained)
    assert mismatch("some/model-from-a-hub", trained) is None
    other = load("answer@text_first")
    assert warn_on_mismatch(str(checkpoint), other)
    for part in ("'think_answer'", "'answer@text_first'", trained.fingerprint, other.fingerprint):
        assert part in caplog.text
    write_record(checkpoint, other)  # the nearer record counts
    assert mismatch(checkpoint, other) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "a"}', '{"user": 1, "system": 2}'])
def test_a_broken_record_is_named_and_stops_nothing(tmp_path, caplog, text):
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(ValueError, match=r"cannot be read.*write_record") as error:
        read_record(tmp_path)
    assert str(tmp_path / RECORD_FILE) in str(error.value)
    assert warn_on_mismatch(tmp_path, load("answer"))
    assert "cannot be read" in caplog.text
