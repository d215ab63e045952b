"""How many tokens a prompt has, from the sizes of its videos alone.

verl decodes every video of the data set for this; here a video's packets are enough.
"""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from verl.utils.tokenizer import build_multimodal_processor_inputs

from temporal_plugin.integrations.shared_videos import VideoName, share_videos
from temporal_plugin.integrations.verl_dataset import video_entries
from temporal_plugin.spans import Span
from temporal_plugin.video.decode import VideoError
from temporal_plugin.video.plan import plan
from temporal_plugin.video.sampling import Sampling

logger = logging.getLogger(__name__)


class PromptLengths:
    """Counts the tokens of prompts as the agent loop makes them.

    Args:
        processor: a Qwen-VL processor; it is left as it is.
        template_settings: as `data.apply_chat_template_kwargs`.
        processor_settings: as `data.mm_processor_kwargs`.
        workers: files looked into at once.
    """

    def __init__(
        self,
        processor,
        *,
        template_settings: Mapping[str, Any] | None = None,
        processor_settings: Mapping[str, Any] | None = None,
        workers: int = 4,
    ) -> None:
        self.processor = copy.copy(processor)
        share_videos(self.processor)  # makes no patches of videos that stand for their size
        self.patch_size = processor.video_processor.patch_size
        self.template_settings = dict(template_settings or {})
        self.processor_settings = dict(processor_settings or {})
        self.workers = workers

    def count(self, chats: Sequence[Sequence[dict]]) -> Iterator[int | VideoError]:
        """Tokens of each chat, generation prompt included; the error where a video has one.

        A video that several chats show is looked at once.
        """
        entries = [video_entries(chat) for chat in chats]
        videos = {_key(entry): entry for chat in entries for entry in chat}
        with ThreadPoolExecutor(max(1, self.workers)) as pool:
            found = dict(zip(videos, pool.map(self._video, videos.values()), strict=True))
        for chat, parts in zip(chats, entries, strict=True):
            tokens = [found[_key(part)] for part in parts]
            errors = [token for token in tokens if isinstance(token, VideoError)]
            yield errors[0] if errors else self._text(chat) + sum(tokens)

    def _text(self, chat: Sequence[dict]) -> int:
        """Tokens of the chat with one placeholder for each video, less these placeholders."""
        text = self.processor.apply_chat_template(
            list(chat), add_generation_prompt=True, tokenize=False, **self.template_settings
        )
        return len(self.processor.tokenizer(text)["input_ids"]) - text.count(
            self.processor.video_token
        )

    def _video(self, entry: Mapping) -> int | VideoError:
        """Tokens that stand where the template has the placeholder."""
        clip = Span(*entry["clip"]) if entry.get("clip") else None
        try:
            seen = plan(
                entry["video"], Sampling.from_mapping(entry.get("sampling")), clip, self.patch_size
            )
        except VideoError as error:
            return error
        # one byte that looks like the whole video
        pixels = torch.zeros((), dtype=torch.uint8).expand(len(seen), 3, seen.height, seen.width)
        name = VideoName(seen.metadata(), _key(entry), size_only=True)
        inputs = build_multimodal_processor_inputs(
            self.processor,
            text=[f"<|vision_start|>{self.processor.video_token}<|vision_end|>"],
            videos=[(pixels, name)],
            mm_processor_kwargs=self.processor_settings,
        )
        return inputs["input_ids"].shape[1] - 2  # without the two tokens around it


def _key(entry: Mapping) -> str:
    return repr([entry["video"], entry.get("clip"), sorted((entry.get("sampling") or {}).items())])


def drop_overlong(
    rows: Sequence[Any],
    chat_of: Callable[[Any], list[dict]],
    lengths: PromptLengths,
    *,
    most: int,
    on_bad_video: str,
) -> list[Any]:
    """The rows whose prompt has at most `most` tokens; how many were dropped is logged.

    Raises:
        VideoError: a video cannot be read and `on_bad_video` is "fail"; "skip" drops its rows.
    """
    kept, overlong, bad = [], [], 0
    counts = lengths.count([chat_of(row) for row in rows])
    for row, count in zip(rows, counts, strict=True):
        if isinstance(count, VideoError):
            if on_bad_video == "fail":
                raise count
            logger.warning("dropped: %s", count)
            bad += 1
        elif count > most:
            overlong.append(count)
        else:
            kept.append(row)
    if overlong or bad:
        logger.warning(
            "%d of %d prompts dropped: %d have more than %d tokens (up to %d), %d a bad video",
            len(rows) - len(kept),
            len(rows),
            len(overlong),
            most,
            max(overlong, default=0),
            bad,
        )
    return kept
