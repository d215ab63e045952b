"""Which of the ranges in a text is the answer: the final one, never one from the reasoning.

The last group of ranges counts ("5 to 9 and 12 to 15" is one group), unless the text marks its
answer ("the answer is 5 to 9, after he walks in from 1 to 3"). A refusal wins over ranges it
comes after.
"""

from __future__ import annotations

import re

from temporal_plugin.answers import model
from temporal_plugin.answers.ranges import Found, find_ranges
from temporal_plugin.answers.times import Time, scan
from temporal_plugin.spans import Span

_LONGEST_READ = 16_384  # characters at the end of a text in which its final answer stands
_MOST_NAMED = 64  # ranges of a reasoning, from its end
_LONGEST_JOIN = 48  # characters between two ranges of one answer

# Between ranges of one answer: punctuation, a few words, the number of a list item.
_JOIN = re.compile(
    r"""(?:[\s"'`*_\[\](){},;:|&•·–—-]
    |(?:and|then|also|again|or|plus|from|between|at|finally|as\ well\ as|to)\b
    |\d{1,2}[.):](?=\s))*""",
    re.VERBOSE,
)
_PROSE = re.compile(r"[^\w\n]{0,8}[^\W\d_]")
_CUE = re.compile(r"answer\b[\s\"'*_`]{0,4}(?:(?:is|are|would be|should be)\b|[:=])")
_CORRECTION = re.compile(r"\b(?:wait|actually|correction|rather|instead|sorry|no)\b")

_REFUSAL = re.compile(
    r"""\b(?:
      (?:do(?:es)?|did)\ ?n(?:o|['’])t\ (?:\w+\ )?
        (?:occur|happen|take\ place|appear|exist|contain|show|depict|include)
        (?!\w*\ (?:until|till|before|after))
    | never\ (?:occur|happen|take|appear|exist)
    | no\ (?:such\ |relevant\ |matching\ |corresponding\ )?
        (?:event|action|moment|activity|segment|span|interval|match)
    | (?:is|are|was|were)\ ?n(?:o|['’])t\ (?:\w+\ )?(?:present|shown|visible|found|depicted|there)
    | (?:can\ ?not|can['’]t|could\ ?n(?:o|['’])t|unable\ to|impossible\ to)\ (?:be\ )?
        (?:find|found|locate|see)
    | not\ (?:applicable|in\ the\ (?:video|clip)) | n/a | none\ of\ the\ (?:video|clip)
    | (?P<declined>
        (?:can\ ?not|can['’]t|could\ ?n(?:o|['’])t|unable\ to|impossible\ to)\ (?:be\ )?
          (?:determine|identify|answer|tell|say|know)
      | (?:do\ ?n(?:o|['’])t|not)\ (?:know|sure) | no\ (?:idea|answer|clue))
    )""",
    re.VERBOSE,
)
_BARE_REFUSAL = frozenset(("none", "null", "n/a", "no", "never", "[]", "[ ]", "[[]]", "not found"))
_REFUSAL_TAIL = 400  # characters at the end in which a text without times can refuse
_REFUSAL_REACH = 128  # characters before an answer in which it can be refused
_REFUSAL_FAR = 4096  # characters at the end beyond which no refusal is looked for
REFUSAL_HINTS = ("not ", "no ", "n't", "n’t", "n/a", "never", "unable", "impossible")

_LONGEST_PAIR = 96
_TWO_NUMBERS_GAP = frozenset((",", ", ", " ", "\n", ",\n", ";", "; "))
_YEARS = re.compile(r"(?:19|20)\d\d\s{0,2}(?:[-–—~]|to|and|until)\s{0,2}(?:19|20)\d\d")
_WORD = re.compile(r"[^\W\d_]")


def read_spans(
    text: str, *, explicit: bool, duration_seconds: float | None
) -> tuple[tuple[Span, ...], str | None]:
    """The spans that `text` finally answers and what is wrong with them, if anything.

    `explicit`: the text comes from a marked answer, so "2019 to 2021" is meant as seconds.
    """
    text = _end_of(text.strip()).lower()
    times = scan(text)
    found = find_ranges(text, times) if len(times) > 1 else []
    if found and not explicit:
        found = [item for item in found if not _are_years(text, item, duration_seconds)]
    group = _final_group(text, found) if found else []
    refused = _refusal(text, group)
    if refused:
        return (), refused
    if not group and len(times) == 2:
        group = _bare_pair(text, times)
    if not group:
        return (), _why_none(times)
    return _checked(group, duration_seconds)


def named_spans(text: str, *, duration_seconds: float | None = None) -> tuple[Span, ...]:
    """Every usable time range that `text` names, in its order and each once: of a reasoning.

    Reversed and negative ranges, years, and those past `duration_seconds` are left out. Like
    the rest of this module it reads the end of a very long text; linear time, never raises.
    """
    text = _end_of(text.strip()).lower()
    times = scan(text)
    found = find_ranges(text, times) if len(times) > 1 else []
    spans = []
    for item in found[-_MOST_NAMED:]:
        if not _are_years(text, item, duration_seconds):
            spans += _checked([item], duration_seconds)[0]
    return tuple(dict.fromkeys(spans))


def _end_of(text: str) -> str:
    """The end of a very long text, without the word that the cut went through."""
    if len(text) <= _LONGEST_READ:
        return text
    _, _, end = text[-_LONGEST_READ:].partition(" ")
    return end or text[-_LONGEST_READ:]


def _why_none(times: list[Time]) -> str:
    if not times:
        return model.NO_TIME
    return model.ONE_TIME if len(times) == 1 else model.NO_RANGE


def _checked(
    group: list[Found], duration_seconds: float | None
) -> tuple[tuple[Span, ...], str | None]:
    """Nothing is swapped or clipped: one unusable range makes the whole answer unusable."""
    spans = []
    for item in group:
        start, end = item.start.seconds, item.stop.seconds
        if item.start.negative or item.stop.negative:
            return (), model.NEGATIVE
        if not (start < float("inf") and end < float("inf")):
            return (), model.NOT_FINITE
        if start > end:
            return (), model.REVERSED
        spans.append(Span(start, end))
    if duration_seconds is not None and all(s.start_seconds >= duration_seconds for s in spans):
        return (), model.OUTSIDE
    return tuple(dict.fromkeys(spans)), None  # "00:05-00:09 (5 s to 9 s)" says it twice


def _final_group(text: str, found: list[Found]) -> list[Found]:
    if text.rstrip("` \n\t").endswith(("}", "]")):  # the answer is an object: its keys rule
        found = [item for item in found if item.keyed] or found
    cue = _last_cue(text, found[-1].begin)
    if cue >= 0:
        first = next(k for k, item in enumerate(found) if item.begin >= cue)
        last = first
        while last + 1 < len(found) and _joined(text, found[last], found[last + 1]):
            last += 1
        if not _CORRECTION.search(text, found[last].end, found[-1].begin):
            return found[first : last + 1]
    first = len(found) - 1
    while first > 0 and _joined(text, found[first - 1], found[first]):
        first -= 1
    return found[first:]


def _last_cue(text: str, before: int) -> int:
    """Where the last "answer is" or "answer:" before the position `before` ends, or -1."""
    position = text.rfind("answer", 0, before)
    while position >= 0:
        match = _CUE.match(text, position)
        if match and match.end() <= before:
            return match.end()
        position = text.rfind("answer", 0, position)
    return -1


def _joined(text: str, first: Found, second: Found) -> bool:
    """Whether two ranges are parts of one answer, as in a list."""
    if second.begin - first.end > _LONGEST_JOIN:
        return False
    if _JOIN.fullmatch(text, first.end, second.begin) is None:
        return False
    if "\n" not in text[first.end : second.begin] or second.keyed:
        return True
    return _PROSE.match(text, second.end) is None  # "5 to 9\nFrom 1 to 3 he walks"


def _refusal(text: str, group: list[Found]) -> str | None:
    """REFUSAL or DECLINED if that is the last word of the text on the matter."""
    begin = group[0].begin - _REFUSAL_REACH if group else len(text) - _REFUSAL_TAIL
    tail = text[max(0, begin, len(text) - _REFUSAL_FAR) :]
    begin = len(text) - len(tail)
    hinted = any(hint in tail for hint in REFUSAL_HINTS)
    refusals = list(_REFUSAL.finditer(text, begin)) if hinted else []
    if not refusals:
        said = text.strip(" \n.`\"'")
        # "The moments are: []" may well introduce its list, or fence it
        bare = not group and (said in _BARE_REFUSAL or said.endswith(("[]", "[ ]")))
        return model.REFUSAL if bare else None
    last = refusals[-1]
    if group and last.start() <= group[-1].end:
        # "it does not occur between 5 and 9" refuses; "not there at first. 5 to 9" answers
        between = text[last.end() : group[0].begin]
        if last.end() > group[0].begin or len(between) >= 64 or _TURN.search(between):
            return None
    return model.DECLINED if last["declined"] else model.REFUSAL


_TURN = re.compile(r"[.;!?\n<{:]|\b(?:but|however|instead|so|then|until|answer|occurs|is)\b")


def _bare_pair(text: str, times: list[Time]) -> list[Found]:
    """A text that is nothing but two times: "5.0, 9.0"."""
    if len(text) > _LONGEST_PAIR:
        return []
    first, second = times
    gap = text[first.end : second.begin]
    if text[: first.begin].strip() or text[second.end :].strip(" \n."):
        return []
    if gap not in _TWO_NUMBERS_GAP:
        return []
    return [Found(first.begin, second.end, first, second, False)]


def _are_years(text: str, item: Found, duration_seconds: float | None) -> bool:
    """Whether running text speaks of "2019 to 2021"; not if the video is that long."""
    if not _YEARS.fullmatch(text, item.begin, item.end):
        return False
    if duration_seconds is not None and item.stop.seconds <= duration_seconds:
        return False
    return _WORD.search(text[: item.begin] + text[item.end :]) is not None
