"""What a chat template writes for the messages that are appended to a running conversation.

Tokens that were generated stay as they are; only what comes after them is rendered, so that a
conversation's tokens are the same in the rollout, in evaluation and in SFT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]

#: stands for the conversation so far: what the template writes after it does not depend on it
_BEFORE = (
    {"role": "system", "content": "s"},
    {"role": "user", "content": "u"},
    {"role": "assistant", "content": "a"},
)


def appended_text(render: Callable[..., str], messages: Sequence[Message]) -> str:
    """The template's text of `messages` after an assistant's turn, with the next turn's header.

    What a template writes between two turns (a line break) stands in front. The tokens of this
    text follow those of a turn that ended with its end token.

    Args:
        render: the processor's `apply_chat_template`.
        messages: of the roles tool and user.

    Raises:
        ValueError: the template writes earlier turns in another way once others follow.
    """
    before = render(list(_BEFORE), tokenize=False, add_generation_prompt=False)
    whole = render([*_BEFORE, *messages], tokenize=False, add_generation_prompt=True)
    kept = before.rstrip()
    if not whole.startswith(kept):
        raise ValueError(
            "the chat template rewrites earlier turns when messages follow; "
            "use the template of Qwen2.5-VL or Qwen3-VL"
        )
    return whole[len(kept) :]


def images_of(messages: Sequence[Message]) -> list[Any]:
    """The pictures of the messages, in order."""
    return [
        part["image"]
        for message in messages
        if not isinstance(message["content"], str)
        for part in message["content"]
        if part["type"] == "image"
    ]
