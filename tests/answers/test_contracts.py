"""Answer contracts: kept, broken, written and read back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.answers import CONTRACTS, parse, render
from temporal_plugin.spans import Span

GOOD = {
    "answer": "<answer>5 to 9</answer>",
    "think_answer": "<think>a</think><answer>5 to 9</answer>",
    "think_answer_json": '<think>a</think><answer>{"start_time": "5", "end_time": "9"}</answer>',
    "think_answer_choice": "<think>a</think><answer>B</answer>",
    "think_answer_glue": "<think>a</think><answer>B</answer><glue>[(5, 9)]</glue>",
    "answer_choice": "<answer>B</answer>",
    "answer_glue": "<answer>B</answer><glue>[(5, 9)]</glue>",
    "answer_text": "<answer>5 B</answer>",
    "think_answer_text": "<think>a</think><answer>5 B</answer>",
    "answer_list": "<answer>[[5, 9]]</answer>",
    "think_answer_list": "<think>a</think><answer>[[5, 9]]</answer>",
    "think_time": "<think>a</think><time>[5, 9]</time>",
}


def test_every_contract_is_tested():
    assert set(GOOD) | {"free"} == set(CONTRACTS)


@pytest.mark.parametrize("contract", GOOD)
def test_a_response_that_keeps_its_contract(contract):
    text = GOOD[contract]
    assert parse(text, contract=contract).well_formed
    spaced = text.replace("><", "> \n <")
    assert parse(f"\n {spaced}\n", contract=contract).well_formed


@pytest.mark.parametrize("contract", GOOD)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + text,
        lambda text: text + " So there.",
        lambda text: "Well: " + text,
        lambda text: text[: text.rindex("</")],
        lambda text: text.replace("<think>", "", 1) if "<think>" in text else "",
        lambda text: text.replace("</think>", "</think> and ", 1) if "<think>" in text else "",
        lambda text: text[text.index("</think>") :] if "<think>" in text else "",
        lambda text: text.replace("5 B", " ").replace("5", "x").replace("B", "unclear"),
        lambda text: text.replace("<answer>", "<time>").replace("</answer>", "</time>") + "!",
        lambda text: "5 to 9",
        lambda text: "",
    ],
)
def test_a_response_that_breaks_its_contract(contract, spoil):
    assert not parse(spoil(GOOD[contract]), contract=contract).well_formed


def test_an_unusable_answer_breaks_the_contract_and_a_refusal_keeps_it():
    assert not parse("<answer>9 to 5</answer>", contract="answer").well_formed
    refusal = parse("<answer>The event does not occur.</answer>", contract="answer")
    assert (refusal.well_formed, refusal.problem) == (True, "refusal")


def test_the_json_contract_wants_an_object():
    for content in ("5 to 9", "[5, 9]", '{"start": 5, "end": 9}', "{'start_time': 5}"):
        text = f"<think>a</think><answer>{content}</answer>"
        assert not parse(text, contract="think_answer_json").well_formed
    deep = "<think>a</think><answer>" + "[" * 100_000 + "</answer>"
    assert not parse(deep, contract="think_answer_json").well_formed


def test_a_free_response_is_well_formed_when_it_answers():
    assert parse("5 to 9").well_formed
    assert not parse("somewhere").well_formed


def test_an_unknown_contract_is_our_mistake():
    with pytest.raises(ValueError, match="contract 'thinking' is unknown; use one of: free"):
        parse("5 to 9", contract="thinking")


exact = st.floats(0.0, 1e8, allow_nan=False)


@pytest.mark.parametrize("contract", CONTRACTS)
@settings(deadline=None)
@given(bounds=st.tuples(exact, exact), reasoning=st.sampled_from(["", "He walks 1 to 3."]))
def test_a_rendered_answer_is_read_back_exactly(contract, bounds, reasoning):
    span = Span(*sorted(bounds))
    shape = CONTRACTS[contract]
    choice = "B" if shape.asks_choice else None
    words = "He leaves." if shape.asks_text else None
    text = render(contract, spans=(span,), choice=choice, text=words, reasoning=reasoning)
    answer = parse(text, contract=contract)
    assert answer.well_formed
    assert answer.text == words
    assert answer.choice == choice
    if shape.asks_spans or not shape.blocks:
        assert answer.spans == (span,)


def test_rendering():
    span = Span(24.3, 30.404)
    assert render("answer", spans=(span,)) == "<answer>24.30 to 30.404</answer>"
    assert render("think_answer_glue", spans=(Span(1, 2), span), choice="A") == (
        "<think></think>\n<answer>A</answer>\n<glue>[(1.00, 2.00), (24.30, 30.404)]</glue>"
    )
    assert parse(render("think_answer"), contract="think_answer").problem == "refusal"
    assert parse(render("answer", spans=(Span(1, 2), Span(3, 4)))).spans == (
        Span(1, 2),
        Span(3, 4),
    )


def test_rendering_what_a_contract_cannot_hold():
    with pytest.raises(ValueError, match="asks for a choice"):
        render("think_answer_choice")
    with pytest.raises(ValueError, match="asks for an open answer"):
        render("answer_text", text=" ")
    with pytest.raises(ValueError, match="holds one span, 2 were given"):
        render("think_time", spans=(Span(1, 2), Span(3, 4)))


@pytest.mark.parametrize(
    ("response", "text", "problem"),
    [
        ("<think>1 to 3</think><answer> He leaves. </answer>", "He leaves.", None),
        ("<think>1 to 3</think>He leaves.", "He leaves.", None),
        ("It does not occur.", "It does not occur.", None),
        ("<think>so\n<answer>He leaves", "He leaves", None),
        ("<think>he leaves", None, "reasoning never ended"),
        ("<answer> </answer>", None, "empty"),
        ("", None, "empty"),
    ],
)
def test_open_answers(response, text, problem):
    answer = parse(response, contract="answer_text")
    assert (answer.text, answer.problem, answer.spans, answer.choice) == (text, problem, (), None)


@pytest.mark.parametrize(
    ("content", "spans", "problem", "is_list"),
    [
        ("[[5, 9]]", [(5, 9)], None, True),
        ("[[5.25, 9], [12.00, 15.5]]", [(5.25, 9), (12, 15.5)], None, True),
        ("[[12, 15], [5, 9]]", [(12, 15), (5, 9)], None, True),
        ("[ [0, 1],\n  [2, 3] ]", [(0, 1), (2, 3)], None, True),
        ("[]", [], "refusal", True),
        (" [ ] ", [], "refusal", True),
        ("[5, 9]", [(5, 9)], None, False),
        ("[(5, 9)]", [(5, 9)], None, False),
        ("5 to 9", [(5, 9)], None, False),
        ("The event does not occur.", [], "refusal", False),
        ("none", [], "refusal", False),
        ("[[9, 5]]", [], "reversed span", False),
        ("[[1, 2], [9, 5]]", [], "reversed span", False),
        ("[[-1, 5]]", [], "negative time", False),
        ("[[start, end], ...]", [], "no time found", False),
        ("[[5]]", [], "only one time found", False),
        ("[[", [], "no time found", False),
        ("The moments are:\n```json\n[]\n```", [], "refusal", False),
        ("```json\n[[5, 9]]\n```", [(5, 9)], None, False),
        ("[[5, 9], []]", [(5, 9)], None, False),
        ("[[]]", [], "refusal", False),
    ],
)
@pytest.mark.parametrize("tagged", [True, False])
def test_a_list_of_moments(content, spans, problem, is_list, tagged):
    text = f"<answer>{content}</answer>" if tagged else content
    answer = parse(text, contract="answer_list", duration_seconds=30.0)
    assert [(span.start_seconds, span.end_seconds) for span in answer.spans] == spans
    assert answer.problem == problem
    assert answer.well_formed == (is_list and tagged)


def test_rendering_a_list():
    both = (Span(1, 2), Span(3.125, 4))
    assert render("answer_list", spans=both) == "<answer>[[1.00, 2.00], [3.125, 4.00]]</answer>"
    assert parse(render("answer_list", spans=both), contract="answer_list").spans == both
    assert render("answer_list") == "<answer>[]</answer>"
    nothing = parse(render("think_answer_list"), contract="think_answer_list")
    assert (nothing.well_formed, nothing.problem) == (True, "refusal")


def test_a_very_long_list_is_read_in_linear_time_and_never_raises():
    for item in ("[1, 2], ", "[", "[[", "1, ", "[1, 2, "):
        parse("<answer>[" + item * 200_000, contract="answer_list")
        answer = parse(f"<answer>[{item * 200_000}]</answer>", contract="answer_list")
        assert answer.problem is None or not answer.spans
