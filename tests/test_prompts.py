from pathlib import Path

import pytest

from temporal_plugin.answers import CONTRACTS, Truth, parse
from temporal_plugin.prompts import Prompt, load, option_lines, shipped

SAMPLE = Truth("q1", query="the man jumps", duration=33.5, options=("red", "(B) blue"))


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_template_can_be_asked(name):
    prompt = load(name)
    assert prompt.name == name
    assert prompt.contract == name  # each is called after the contract it asks for
    *system, user = prompt.messages(SAMPLE)
    assert [message["role"] for message in system] == (["system"] if prompt.system else [])
    assert user["role"] == "user"
    assert user["content"][0] == {"type": "video"}
    text = user["content"][1]["text"]
    assert SAMPLE.query in text
    assert not any(field in text for field in ("{query}", "{duration}", "{options}"))


def test_there_is_a_template_for_every_contract():
    assert set(shipped()) == set(CONTRACTS) - {"free"}


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
    with pytest.raises(ValueError, match=r"is not found; use one of: answer, think_answer"):
        load(name)
