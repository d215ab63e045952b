"""The option a text chooses: "(B)", "B.", "Answer: B", "the correct option is (C)", its words.

A letter inside a word ("Because") and the words "a" and "I" are not choices. Of several
candidates the final one counts, and a list that only repeats all options chooses none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LONGEST_TEXT = 65_536  # characters at the end of a response that can hold its choice
_LONGEST_WORDS = 600  # characters at the end in which the words of an option are looked for
_CUES = ("answer", "option", "choice", "choose", "select", "pick")
_MOST_CUES = 16  # of each kind, from the end

_WRAP = r"[\s\"'`*_({\[$]{0,8}"
_LABEL = re.compile(r"\s{0,8}(?:\(([A-Za-z])\)|([A-Za-z])(?:[.:)]|$))")
_ALONE = re.compile(rf"{_WRAP}([A-Za-z])[\s\"'`*_)}}\].,:;!$]{{0,16}}")
_LEADING = re.compile(r"[\s\"'`*_]{0,8}(?:\(([A-Za-z])\)|([A-Z])[.):](?=[\s*]|$)|([A-Z]) [-–—] )")
_REASON = r"(?:because|since|as|for|which|with|based|given|and|due)\b"
_WRONG = r"(?!\s+(?:is|was|are)\s+(?:not|wrong|incorrect|false)|\s+(?:isn|does)['’ ])"
_CUED = re.compile(
    rf"""(?i:answer|option|choice|choose|select|pick)
    [\s"'`*_]{{0,4}}(?i:(?:is|would\ be|should\ be|must\ be)\b|:|=)?[\s"'`*_:]{{0,4}}
    (?i:(?:the\ )?(?:correct\ |best\ |final\ )?(?:option|choice|answer|letter)\ (?:is\ )?)?
    {_WRAP}([A-Z]|[b-hj-z](?=[\s.)\]*]{{0,4}}\Z))(?![\w'’-])
    (?:(?=[\s"'`*_)\]}}$]{{0,4}}(?:[.,:;)!]|$|\n))|(?=[)\]}}"'`*])|(?<![AI])|(?=\ {_REASON}))
    {_WRONG}""",
    re.VERBOSE,
)
_STATED = re.compile(
    r"[A-Z](?<!\w[A-Z])(?=[)\]*\"']{0,3} (?:is|seems|looks) (?:the )?(?:correct|right|best|answer))"
)
_PARENTHESISED = re.compile(rf"\(([A-Z])\){_WRONG}")
_LINE = re.compile(r"[ \t*]{0,4}([A-Z])(?:[.):](?: .{0,300})?|[ \t*]{0,4})")
_MOST_LINES = 16
_NOT_WORDS = re.compile(r"[\W_]+")


def option_words(option: str, index: int) -> str:
    """The option without a label of its own: "(B) a red car" at index 1 is "a red car"."""
    match = _LABEL.match(option)
    if match and (match[1] or match[2]).upper() == LETTERS[index % 26]:
        return option[match.end() :].strip() or option.strip()
    return option.strip()


def read_choice(text: str, options: Sequence[str] | None, *, explicit: bool) -> str | None:
    """The letter that `text` finally chooses, a capital, or None.

    `options`: the choices offered; letters beyond them are not choices, and their words count
    as an answer. `explicit`: the text is a marked answer and not a whole response.
    """
    text = text[-_LONGEST_TEXT:].replace("\\boxed{", " ").replace("\\text{", " ").strip()
    allowed = LETTERS[: len(options)] if options else LETTERS
    choice = _known(_ALONE.fullmatch(text), allowed)
    if choice:
        return choice
    words = _offered_words(tuple(options)) if options else ()
    short = explicit or "\n" not in text[:-1]
    return (
        _equal_words(text, words)
        or (_leading(text, allowed) if explicit else None)
        or _last_cued(text, allowed)
        or _last_stated(text, allowed)
        or _last_parenthesised(text, allowed, known=bool(options))
        or (_leading(text, allowed) if short else None)
        or (_last_line(text, allowed) if options else None)
        or _contained_words(text, words)
    )


def _known(match: re.Match[str] | None, allowed: str) -> str | None:
    if match is None:
        return None
    letter = next(group for group in match.groups() if group).upper()
    return letter if letter in allowed else None


def _leading(text: str, allowed: str) -> str | None:
    """The letter in front, "B. a red car", unless the text is a list of options."""
    if len(set(_PARENTHESISED.findall(text))) > 1:
        return None
    return _known(_LEADING.match(text), allowed)


def _last_cued(text: str, allowed: str) -> str | None:
    """The letter of the last "answer: B", "option (B)", "I choose B"."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text
    places = []
    for cue in _CUES:
        place = lowered.rfind(cue)
        while place >= 0 and len(places) < _MOST_CUES * len(_CUES):
            places.append(place)
            place = lowered.rfind(cue, 0, place)
    for place in sorted(places, reverse=True):
        choice = _known(_CUED.match(text, place), allowed)
        if choice:
            return choice
    return None


def _last_stated(text: str, allowed: str) -> str | None:
    """The letter of the last "B is correct"."""
    letters = [letter for letter in _STATED.findall(text) if letter in allowed]
    return letters[-1] if letters else None


def _last_parenthesised(text: str, allowed: str, *, known: bool) -> str | None:
    """The last "(B)", not counting a leading list (A) (B) (C) ... that repeats the options."""
    letters = "".join(letter for letter in _PARENTHESISED.findall(text) if letter in allowed)
    repeated = 0
    while repeated < len(letters) and letters[repeated] == LETTERS[repeated % 26]:
        repeated += 1
    if repeated >= (len(allowed) if known and len(allowed) > 1 else 3):
        letters = letters[repeated:]
    return letters[-1] if letters else None


def _last_line(text: str, allowed: str) -> str | None:
    """A line of its own, "B" or "B. a red car"; several different ones choose nothing."""
    matches = (_LINE.fullmatch(line) for line in text.rsplit("\n", _MOST_LINES))
    letters = {match[1] for match in matches if match and match[1] in allowed}
    return letters.pop() if len(letters) == 1 else None


def _normal(text: str) -> str:
    return f" {_NOT_WORDS.sub(' ', text.casefold()).strip()} "


@lru_cache(maxsize=1024)
def _offered_words(options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_normal(option_words(option, i)) for i, option in enumerate(options))


def _equal_words(text: str, words: tuple[str, ...]) -> str | None:
    """The only option that the text repeats word for word."""
    if not words or len(text) > 32 + 2 * max(map(len, words)):
        return None
    mine = _normal(text)
    same = [i for i, option in enumerate(words) if option == mine and option.strip()]
    return LETTERS[same[0]] if len(same) == 1 else None


def _contained_words(text: str, words: tuple[str, ...]) -> str | None:
    """The only option whose words end the text; longer options first hide shorter ones."""
    if not words:
        return None
    mine = _normal(text[-_LONGEST_WORDS:])
    inside = []
    for i in sorted(range(len(words)), key=lambda i: -len(words[i])):
        if words[i].strip() and words[i] in mine:
            inside += [k for k, word in enumerate(words) if word == words[i]]
            mine = mine.replace(words[i], " \x00 ")
    return LETTERS[inside[0]] if len(inside) == 1 else None
