"""What a template writes for messages that are appended, without the conversation before them."""

import pytest

from temporal_plugin.search.chat_text import appended_text, images_of


def qwen(messages, tokenize=False, add_generation_prompt=False):
    """ChatML as the Qwen-VL templates write it."""
    text = ""
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = "".join(part.get("text", "<image>") for part in content)
        text += f"<|im_start|>{message['role']}\n{content}<|im_end|>\n"
    return text + ("<|im_start|>assistant\n" if add_generation_prompt else "")


TOLD = [
    {"role": "tool", "content": [{"type": "text", "text": "<1.0 seconds>"},
                                 {"type": "image", "image": "a picture"}]},
    {"role": "user", "content": [{"type": "text", "text": "answer now"}]},
]  # fmt: skip


def test_the_text_goes_on_where_the_turn_ended():
    chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "I look"}]
    said = qwen(chat[:1], add_generation_prompt=True) + "I look<|im_end|>"
    assert said + appended_text(qwen, TOLD) == qwen([*chat, *TOLD], add_generation_prompt=True)


def test_the_pictures_are_those_of_the_messages():
    assert images_of([{"role": "user", "content": "q"}, *TOLD]) == ["a picture"]


def test_a_template_that_rewrites_history_is_refused():
    def forgetful(messages, tokenize=False, add_generation_prompt=False):
        return qwen(messages[-2:], add_generation_prompt=add_generation_prompt)

    with pytest.raises(ValueError, match="rewrites earlier turns"):
        appended_text(forgetful, TOLD)
