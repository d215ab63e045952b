"""Options and true answers of multiple-choice datasets, in the one form that a Sample holds.

Options lose the letter that they carry where all of them carry theirs ("(B) a red car" second),
since the prompt writes it; the answer becomes the letter, a capital.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from temporal_plugin.annotations import fields as check
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.answers import option_words

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")


def option_list(field: str, value: object) -> list[str]:
    """The options as words without their own letters.

    Raises:
        AnnotationError: not a list of 2 to 26 texts.
    """
    options = [check.text(field, option) for option in check.items(field, value)]
    if not 2 <= len(options) <= len(LETTERS):
        raise AnnotationError(
            f"{len(options)} options", field=field, value=value, allowed="2 to 26 options"
        )
    words = [option_words(option, index) for index, option in enumerate(options)]
    labelled = all(word != option.strip() for word, option in zip(words, options, strict=True))
    return words if labelled else [option.strip() for option in options]


def letter_at(field: str, index: object, options: Sequence[str]) -> str:
    """The letter of the option with this index, from 0."""
    inside = isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(options)
    if not inside:
        raise AnnotationError(
            "not the index of an option",
            field=field,
            value=index,
            allowed=f"an integer from 0 to {len(options) - 1}",
        )
    return LETTERS[index]


def letter_of(field: str, answer: object, options: Sequence[str]) -> str:
    """The letter of the right option, given as a letter ("C", "(C)", "C.") or in its words.

    Raises:
        AnnotationError: it names no option, several with the same words, or one as a letter
            and another one by its words.
    """
    text = check.text(field, answer).strip()
    found = {LETTERS[i] for i, option in enumerate(options) if option == text}
    if not found:
        found = {LETTERS[i] for i, option in enumerate(options) if option_words(text, i) == option}
    letter = _LETTER.fullmatch(text)
    if letter and letter[1].upper() in LETTERS[: len(options)]:
        found.add(letter[1].upper())
    if len(found) == 1:
        return found.pop()
    raise AnnotationError(
        "names several options" if found else "names none of the options",
        field=field,
        value=answer,
        allowed=f"a letter from A to {LETTERS[len(options) - 1]}, or the words of one option",
        remedy="correct the row, or set on_bad_row: drop",
    )
