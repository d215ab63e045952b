"""The tiny policy of the search demo, which writes a call of the tool in six tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator

from temporal_plugin.demo import clips, search_clips, tiny_model
from temporal_plugin.demo.search_settings import SearchDemoSettings

#: prompts of the search, and of the answer from given frames
SEARCH_PROMPT, FRAMES_PROMPT = "search_brief_choice", "frames_choice"
#: a call is these parts around what to look for and how many frames to bring
CALL_PARTS = (
    '<tool_call>{"name": "seek_video_frames", "arguments": {"query": "',
    '", "num_frames": ',
    "}}</tool_call>",
)
#: further pieces of every chat that become one token each
PIECES = ("user\n", "assistant\n", "These frames are at ", " seconds>", " seconds.")


def call_text(query: str, frames: int) -> str:
    """A turn that searches the whole video."""
    head, middle, tail = CALL_PARTS
    return f"{head}{query}{middle}{frames}{tail}"


def query_text(colour: str) -> str:
    """What a search for a colour asks for."""
    return f"{colour} thing"


def answer_text(letter: str) -> str:
    """A turn that answers."""
    return f"<answer>{letter}</answer>"


def build(settings: SearchDemoSettings) -> int:
    """Writes the randomly initialised model to `settings.model_dir`; the number of parameters."""
    sentences, texts = _sentences(settings), list(_texts())
    return tiny_model.build(
        settings.family, settings.model_dir, settings.seed, [*texts, *sentences], sentences
    )


def _texts() -> Iterator[str]:
    """What the tokenizer is trained on: questions, calls, times and answers."""
    for colour in clips.COLOURS:
        yield search_clips.QUESTION.format(colour=colour)
        yield query_text(colour)
        yield f" {query_text(colour)}"
    for letter in "ABCD":
        yield answer_text(letter)
    yield "system user assistant tool This video lasts 75.00 seconds."
    yield "<12.5 seconds> These frames are at 12.5, 30.0 seconds."


def _sentences(settings: SearchDemoSettings) -> list[str]:
    """The fixed parts of the prompts and replies; each becomes one token."""
    from temporal_plugin import prompts
    from temporal_plugin.prompts.template import option_lines

    fixed = [option_lines(search_clips.SHAPES)]
    for name in (SEARCH_PROMPT, FRAMES_PROMPT):
        prompt = prompts.load(name)
        fixed += [prompt.system] if prompt.system else []
        fixed += re.split(r"\{[a-z_]+\}", prompt.user)
    fixed = [text for text in fixed + _replies(settings) if len(text.split()) > 2]
    return list(dict.fromkeys([*fixed, *CALL_PARTS, *PIECES]))


def _replies(settings: SearchDemoSettings) -> list[str]:
    """What a search answers where it brings no frames, taken from the search itself."""
    from temporal_plugin.search.conversation import Conversation, Limits

    limits = Limits(turns=3, frames_per_call=settings.frames_per_call, retries=1)
    search = Conversation([], duration_seconds=60.0, contract="answer_choice", limits=limits)
    replies = [reply for said in ("?", "?") for reply in search.said(said) or ()]
    return [part["text"] for reply in replies for part in reply["content"]]
