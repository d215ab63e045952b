"""SFT on traces of searches: `data.custom_cls.path=pkg://temporal_plugin.integrations.verl_sft_traces`.

Rows are traces (see `search.trace`). The tool is run again when a row is loaded, so that the file
holds no pixels, and the tokens are those that the agent loop `temporal_search` makes of the same
turns. Only the model's own turns are taught. Settings lie under `data.temporal` as for the agent
loop: `prompt` (by task), `sampling`, and `search` with its frames and limits.
"""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations.verl_dataset import chat, prompt_of, read_videos, video_entries
from temporal_plugin.integrations.verl_sft_dataset import TemporalSFTDataset, without_videos
from temporal_plugin.search import trace
from temporal_plugin.search.chat_text import appended_text, images_of
from temporal_plugin.search.conversation import Call, Conversation
from temporal_plugin.search.frame_search import FrameSearch
from temporal_plugin.search.rollout_settings import RolloutSettings
from temporal_plugin.search.settings import SearchSettings
from temporal_plugin.video.decode import VideoError
from temporal_plugin.video.frames import Frames

logger = logging.getLogger(__name__)


class TemporalTraceDataset(TemporalSFTDataset):
    """Teaches the turns of searches; items are those of `TemporalSFTDataset`.

    A row whose video cannot be read is handled as `data.temporal.on_bad_video` says.

    Raises:
        ValueError: `data.temporal.search` is not set; on reading a row, one that is no trace.
    """

    def _read_files_and_process(self) -> None:
        given = self.settings["search"]
        if given is None:
            raise ValueError(
                "traces of searches need data.temporal.search, as the agent loop does: its frames "
                "name the encoder and the store"
            )
        if OmegaConf.is_config(given):
            given = OmegaConf.to_container(given, resolve=True)
        self.search = RolloutSettings.from_mapping(given, tokens=self.max_length)
        super()._read_files_and_process()

    def __getitem__(self, item: int) -> dict[str, Any]:
        sample = self.samples[item]
        prompt = prompt_of(self.settings, sample.task)
        messages = chat(prompt, sample, self.settings["sampling"])
        patch_size = self.processor.video_processor.patch_size
        try:
            videos = read_videos(video_entries(messages), patch_size, self.settings["frame_store"])
            pieces = self._pieces(sample, messages, prompt.contract)
        except VideoError as error:
            if self.settings["on_bad_video"] == "fail":
                raise
            logger.warning("teaches nothing: %s", error)
            text = self._render(without_videos(messages), add_generation_prompt=True)
            return self._item(sample, *self._encode_pieces([(text, [], False)], []), teach=False)
        return self._item(sample, *self._encode_pieces(pieces, videos), teach=True)

    def _pieces(
        self, sample: Sample, messages: list[dict], contract: str
    ) -> list[tuple[str, list, bool]]:
        """(text, its pictures, whether it is taught) of the prompt and of all that follows."""
        talk = Conversation(
            messages,
            duration_seconds=sample.duration,
            contract=contract,
            limits=self.search.limits,
        )
        pieces = [(self._render(messages, add_generation_prompt=True), [], False)]
        try:
            turns = trace.turns_in(sample.extra.get("messages"))
            for said, reply in trace.replay(talk, turns, self._seek(sample)):
                pieces.append((said + self.tokenizer.eos_token, [], True))
                if reply:
                    pieces.append((appended_text(self._render, reply), images_of(reply), False))
        except VideoError:
            raise
        except ValueError as error:
            raise ValueError(f"sample {sample.id!r} is no trace of a search: {error}") from error
        return pieces

    def _seek(self, sample: Sample) -> trace.Seek:
        """The frames of a call: those that the trace names, else what the search finds."""
        search = _opened(self._frames_key())

        def seek(call: Call, seconds: tuple[float, ...] | None) -> Frames:
            if seconds is None:
                window = call.start_seconds, call.end_seconds, call.num_frames
                return search.seek(sample.video, call.query, *window, clip=sample.clip)
            about = search.sampling, sample.clip, search.patch_size
            return trace.frames_at(sample.video, seconds, *about)

        return seek

    def _frames_key(self) -> str:
        patch_size = self.processor.image_processor.patch_size
        return json.dumps({"patch_size": patch_size, **self.search.frames}, sort_keys=True)

    def _render(self, messages: list[dict], **settings: Any) -> str:
        settings = {"tokenize": False, **self.apply_chat_template_kwargs, **settings}
        return self.processor.apply_chat_template(messages, **settings)


@lru_cache(maxsize=4)
def _opened(settings: str) -> FrameSearch:
    """The search of this process, with its encoder; opened once."""
    return SearchSettings.from_mapping(json.loads(settings)).open()
