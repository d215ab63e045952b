"""The model class `temporal_search`: answers after a search of several turns, as training does.

The conversation, the tool and the frame search are those of the rollout (`search/`); the engine
is that of `temporal_qwen_vl`. All unfinished searches of a batch generate together, and what a
model said stays as token ids: only what is said to it is tokenised.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from lmms_eval.api.instance import GenerationResult, TokenCounts
from loguru import logger

from temporal_plugin import prompts
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_answers import weights_version
from temporal_plugin.integrations.lmms_eval_base import (
    Question,
    RequestError,
    VideoModel,
    split_sampling,
)
from temporal_plugin.integrations.lmms_eval_model import TemporalQwenVL
from temporal_plugin.integrations.lmms_eval_search_record import RECORD
from temporal_plugin.integrations.lmms_eval_search_settings import UNIFORM, LoopSettings
from temporal_plugin.integrations.lmms_eval_search_state import Search, kind_of
from temporal_plugin.search.chat_text import appended_text, images_of
from temporal_plugin.search.conversation import (
    SEARCH_PROMPTS,
    VERIFY_PROMPTS,
    Conversation,
    verify_messages,
)
from temporal_plugin.search.frame_search import SearchError
from temporal_plugin.search.tool import TOOL, Call, frames_content
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.frames import Frames

VERIFY_TOKENS = 256
"""New tokens of the answer from the searched frames alone, as in TimeSearch-R."""


class TemporalSearch(VideoModel):
    """Answers questions of this package's tasks after a search.

    Args (of `--model_args`, besides `--batch_size` and `--device`):
        pretrained, backend, dtype, workers, frame_store, resume, fps, max_frames and others: as
            of `temporal_qwen_vl`; the sampling is that of the preview.
        all settings of `LoopSettings`: encoder, store, search, turns, frames_per_call, ...

    Raises:
        ValueError: a wrong argument, or no encoder or store for a search that needs them.
    """

    def __init__(
        self,
        pretrained: str,
        batch_size: int | str = 1,
        device: str | None = None,
        backend: str = "transformers",
        workers: int | None = None,
        frame_store: str | None = None,
        resume: str | None = None,
        max_batch_size: int | None = None,
        **arguments: Any,
    ) -> None:
        if frame_store and "store" not in arguments:
            arguments["store"] = frame_store
        self.settings, arguments = LoopSettings.split(arguments)
        sampling, _ = split_sampling(arguments)
        self.settings.frame_search(1, device)  # says what is missing before the model is loaded
        self.model = self.load_model(pretrained, backend, {"device": device, **arguments})
        super().__init__(
            sampling=sampling,
            patch_size=self.model.patch_size,
            batch_size=batch_size,
            workers=workers,
            frame_store=frame_store,
            resume=resume,
        )
        self._rank, self._world_size = self.model.rank, self.model.world_size
        self.frame_search = self.settings.frame_search(self.patch_size, device).open()

    def load_model(self, pretrained: str, backend: str, arguments: dict[str, Any]):
        """The engine, with the weights."""
        if backend == "vllm":
            arguments = {"images": self.settings.most_images, **arguments}
        return TemporalQwenVL(pretrained, backend=backend, **arguments)

    def identity(self) -> dict[str, Any]:
        settings = self.settings.identity()
        if settings["encoder"] is not None:
            settings["encoder_weights"] = weights_version(settings["encoder"])
        return self.model.identity() | {"search": settings}

    def prepare(self, question: Question, frames: Frames | None) -> Search:
        if "sample" not in question.document or question.video is None:
            raise ValueError(
                "temporal_search answers questions about a video that come from this package's "
                "tasks (temporal-plugin's docs/tasks.md)"
            )
        sample = docs.asked(docs.measured(docs.to_sample(question.document)))
        if sample.duration is None:
            raise RequestError("the length of its video is unknown")
        if self.settings.search == UNIFORM:
            return self._uniform(question, sample, frames)
        messages, contract = self._prompt(question, sample)
        row = self.model.row(messages, frames, (question.video, question.clip))
        start = self.model.tokens_in(row)
        return Search(question, sample, contract, messages, row, start)

    def _prompt(self, question: Question, sample: Sample) -> tuple[list[dict], str]:
        """The messages of a search, and the contract of its answer."""
        texts = [
            part["text"]
            for message in question.messages
            for part in message["content"]
            if part["type"] == "text"
        ]
        if self.settings.prompt is None and any(TOOL in text for text in texts):
            prompt = docs.load_prompt(question.document["prompt"])
            return question.messages, prompt.contract
        prompt = docs.load_prompt(self.settings.prompt or SEARCH_PROMPTS[kind_of(sample)])
        return prompt.messages(sample), prompt.contract

    def _uniform(self, question: Question, sample: Sample, frames: Frames | None) -> Search:
        """The question with frames at even distances in place of a search."""
        count = self.settings.uniform_frames
        try:
            shown = self._seek(question, sample.query, 0.0, None, count)
        except (SearchError, VideoError) as error:
            raise RequestError(f"its frames cannot be shown: {error}") from error
        prompt = docs.load_prompt(self.settings.prompt or VERIFY_PROMPTS[kind_of(sample)])
        content = frames_content(shown)
        messages = verify_messages([content], prompt, sample)
        preview = frames if self.settings.preview else None
        if preview is not None:
            user = next(message for message in messages if message["role"] == "user")
            user["content"] = [{"type": "video"}, *user["content"]]
        about = (question.video, question.clip)
        row = self.model.row(messages, preview, about, images_of(messages))
        start = self.model.tokens_in(row)
        results = [shown.pts_seconds]
        return Search(question, sample, prompt.contract, messages, row, start, results=results)

    def _seek(self, question: Question, query: str, start: float, end: float | None, count: int):
        return self.frame_search.seek(question.video, query, start, end, count, clip=question.clip)

    def answer(
        self, rows: list[Search], generation: dict[str, Any]
    ) -> list[GenerationResult | None]:
        limits = self.settings.limits(int(generation.get("max_new_tokens", 256)))
        searches = [replace(row) for row in rows]
        if self.settings.search == UNIFORM:
            for search, ids in zip(searches, self._say(searches, generation, limits), strict=True):
                search.answer = self._text(ids)
        else:
            for search in searches:
                search.results = []
                search.conversation = Conversation(
                    search.messages,
                    duration_seconds=search.sample.duration,
                    contract=search.contract,
                    limits=limits,
                )
            self._converse(searches, generation)
            if self.settings.completeness:
                self._verify([each for each in searches if not each.failed], generation)
        return [None if each.failed else self._result(each, generation) for each in searches]

    def _converse(self, searches: list[Search], generation: dict[str, Any]) -> None:
        """Turn by turn until every search is over; all that go on generate together."""
        with ThreadPoolExecutor(self.workers, "search") as pool:
            while active := [each for each in searches if each.goes_on]:
                limits = active[0].conversation.limits
                turns = self._say(active, generation, limits)
                list(pool.map(self._reply, active, turns))

    def _say(self, searches: Sequence[Search], generation: dict, limits: Any) -> list[list[int]]:
        """The next turn of each search as token ids."""
        room = [
            limits.tokens_per_turn
            if each.conversation is None
            else each.conversation.room(self._used(each))
            for each in searches
        ]
        turns = self.model.generate_turns([each.row for each in searches], room, generation)
        for search, ids in zip(searches, turns, strict=True):
            search.said += len(ids)
        return turns

    def _used(self, search: Search) -> int:
        return self.model.tokens_in(search.row) - search.start

    def _text(self, ids: Sequence[int]) -> str:
        return self.model.tokenizer.decode(ids, skip_special_tokens=True)

    def _reply(self, search: Search, ids: list[int]) -> None:
        """Takes a turn: searches where it asks for that, and appends what it is told.

        In the order of the rollout: a reply that leaves no room for a whole turn is taken back,
        and where even the short one leaves none, the search ends.
        """
        talk = search.conversation
        step = talk.said(self._text(ids), cut=len(ids) >= talk.room(self._used(search)))
        if isinstance(step, Call):
            step = self._found(search, step)
        if talk.over or search.failed:
            return
        longer = self._extended(search, ids, step)
        if self._room(search, longer) < talk.limits.tokens_per_turn:
            longer = self._extended(search, ids, talk.no_room())
            del search.results[talk.counts["searches"] :]
        if self._room(search, longer):
            search.row = longer
        else:
            talk.overflow()

    def _room(self, search: Search, row: Any) -> int:
        return search.conversation.room(self.model.tokens_in(row) - search.start)

    def _found(self, search: Search, call: Call) -> list[dict]:
        """The messages that answer a call; a broken video fails the question."""
        conversation = search.conversation
        span = (call.start_seconds, call.end_seconds, call.num_frames)
        try:
            frames = self._seek(search.question, call.query, *span)
        except SearchError as error:
            return conversation.failed(f"{error}.")
        except VideoError as error:
            logger.error(f"a search ends: {error}")
            failures.record(search.question.video, str(error))
            search.failed = True
            return []
        search.results.append(frames.pts_seconds)
        return conversation.found(frames)

    def _extended(self, search: Search, ids: list[int], messages: list[dict]) -> Any:
        """The row with a turn, closed where it was cut off, and what it is told."""
        end = self.model.tokenizer.eos_token_id
        text = appended_text(self.model.processor.apply_chat_template, messages)
        said = ids if ids[-1:] == [end] else [*ids, end]
        return self.model.extend(search.row, said, text, images_of(messages))

    def _verify(self, searches: list[Search], generation: dict[str, Any]) -> None:
        """The same model's answer from the searched frames alone; "" where there are none."""
        asked = []
        for search in searches:
            search.verified = ""
            prompt = prompts.load(VERIFY_PROMPTS[kind_of(search.sample)])
            messages = verify_messages(search.conversation.shown, prompt, search.sample)
            if messages is not None:
                asked.append((search, self.model.row(messages, images=images_of(messages))))
        if asked:
            rows, room = [row for _, row in asked], [VERIFY_TOKENS] * len(asked)
            turns = self.model.generate_turns(rows, room, generation)
            for (search, _), ids in zip(asked, turns, strict=True):
                search.verified = self._text(ids)
                search.said += len(ids)

    def _result(self, search: Search, generation: dict[str, Any]) -> GenerationResult:
        record = search.record()
        text = record.to_text() if generation.get(RECORD) else record.answer
        return GenerationResult(text, TokenCounts(output_tokens=search.said))
