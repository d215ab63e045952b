"""Options chosen in an answer."""

import pytest

from temporal_plugin.answers import parse

OPTIONS = ("red", "blue", "a green car", "because of the rain")


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("(b)", "B"),
        ("B.", "B"),
        ("B)", "B"),
        ("**B**", "B"),
        ("[B]", "B"),
        ("B. blue", "B"),
        ("(B) blue", "B"),
        ("B: blue", "B"),
        ("blue", "B"),
        ("Blue.", "B"),
        ("A green car", "C"),
        ("Because of the rain.", "D"),
        ("Answer: B", "B"),
        ("answer: (B)", "B"),
        ("Answer: **B**", "B"),
        ("The answer is B.", "B"),
        ("The answer is A because he is red.", "A"),
        ("The correct answer is: B", "B"),
        ("the correct option is (C)", "C"),
        ("Option B", "B"),
        ("I choose B.", "B"),
        ("The correct choice is option B", "B"),
        ("\\boxed{B}", "B"),
        ("\\boxed{\\text{B}}", "B"),
        ("So it is \\boxed{(B)}.", "B"),
        ("<answer>B</answer>", "B"),
        ("<answer>(B)</answer>", "B"),
        ("<answer>B. blue</answer>", "B"),
        ("<answer>blue</answer>", "B"),
        ("<answer>The answer is B</answer>", "B"),
        ("<answer>\\boxed{B}</answer>", "B"),
        ("<answer>B", "B"),
        ("<think>Option A?</think><answer>B</answer>", "B"),
        ("<think>(A)</think>(B)", "B"),
        ("<answer>B</answer><glue>[(5, 9)]</glue>", "B"),
        ("<time>[5, 9]</time>\\boxed{B}", "B"),
        ("<time>[5, 9]</time> The answer is B.", "B"),
        ("(A) red (B) blue (C) a green car (D) because of the rain. So it is (B).", "B"),
        ("Not (A), it is (B)", "B"),
        ("I believe B is correct.", "B"),
        ("B is the right answer", "B"),
        ("the answer is b", "B"),
        ("Option A is wrong. Option B is right.", "B"),
        ("Option B is right, option A is wrong.", "B"),
        ("I looked at it.\nB", "B"),
        ("It must be the a green car here", "C"),
        ("I think it looks blue to me", "B"),
    ],
)
def test_choices(text, choice):
    answer = parse(text, options=OPTIONS)
    assert (answer.choice, answer.problem) == (choice, None)


@pytest.mark.parametrize(
    "text",
    [
        "Because",
        "because",
        "A man walks in",
        "I don't think so",
        "Answer: A man walks in",
        "The answer is a man",
        "red or blue",
        "(A) red (B) blue (C) a green car (D) because of the rain",
        "E",
        "(E)",
        "Answer: E",
        "<answer></answer>",
        "<think>(B)</think>",
        "<think>B",
        "<think>B</think><answer>because</answer>",
        "Is it (B)?",
        "Bob",
        "U.S.",
        "",
    ],
)
def test_no_choice(text):
    answer = parse(text, options=OPTIONS)
    assert answer.choice is None
    assert answer.problem is not None


def test_labelled_options_are_understood():
    options = ["(A) clap proudly", "(B) sit down", "(C) sit"]
    assert parse("sit down", options=options).choice == "B"
    assert parse("(B) sit down", options=options).choice == "B"
    assert parse("They sit down here", options=options).choice == "B"


def test_options_with_the_same_words_are_told_apart_by_letter_only():
    assert parse("red", options=["red", "red"]).choice is None
    assert parse("(B)", options=["red", "red"]).choice == "B"


def test_letters_without_options():
    assert parse("Answer: B").choice == "B"
    assert parse("<answer>(B)</answer>").choice == "B"
    assert parse("Because").choice is None
    assert parse("5 to 9").choice is None


def test_a_choice_and_its_spans():
    answer = parse("<answer>B</answer><glue>[(9, 5)]</glue>", options=OPTIONS)
    assert (answer.choice, answer.spans, answer.problem) == ("B", (), "reversed span")
