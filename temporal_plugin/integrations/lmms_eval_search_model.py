"""The model class `temporal_search`: answers after a search of several turns, as training does.

The conversation, the tool and the frame search are those of the rollout (`search/`); the engine
is that of `temporal_qwen_vl`. All unfinished searches of a batch generate together, and what a
model said stays as token ids: only what is said to it is tokenised.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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
from temporal_plugin.integrations.lmms_eval_search_record import (
    RECORD,
    Record,
    times_of,
    turns_of,
)
from temporal_plugin.integrations.lmms_eval_search_settings import UNIFORM, SearchSettings
from temporal_plugin.search.chat_text import appended_text, images_of
from temporal_plugin.search.conversation import (
    SEARCH_PROMPTS,
    VERIFY_PROMPTS,
    Conversation,
    verify_messages,
)
from temporal_plugin.search.embed import load_encoder
from temporal_plugin.search.embedding_store import EmbeddingStore
from temporal_plugin.search.frame_search import FrameSearch, SearchError
from temporal_plugin.search.tool import TOOL, Call, frames_content
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.frames import Frames

VERIFY_TOKENS = 256
"""New tokens of the answer from the searched frames alone, as in TimeSearch-R."""


@dataclass
class Search:
    """One question while it is being answered.

    Attributes:
        messages: the prompt.
        row: what the engine takes of the conversation so far.
        start: tokens of the prompt.
        results: the times of each result that is shown.
        said: tokens that the model has generated.
        failed: its video cannot be searched: the question fails.
    """

    question: Question
    sample: Sample
    contract: str
    messages: list[dict]
    row: Any
    start: int
    conversation: Conversation | None = None
    results: list[Any] = field(default_factory=list)
    answer: str = ""
    verified: str | None = None
    said: int = 0
    failed: bool = False


class TemporalSearch(VideoModel):
    """Answers questions of this package's tasks after a search.

    Args (of `--model_args`, besides `--batch_size` and `--device`):
        pretrained, backend, dtype, workers, frame_store, resume, fps, max_frames and others: as
            of `temporal_qwen_vl`; the sampling is that of the preview.
        all settings of `SearchSettings`: encoder, store, search, turns, frames_per_call, ...

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
        self.settings, arguments = SearchSettings.split(arguments)
        sampling, _ = split_sampling(arguments)
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
        self.frame_search = self.open_search(device)

    def load_model(self, pretrained: str, backend: str, arguments: dict[str, Any]):
        """The engine, with the weights."""
        if backend == "vllm":
            arguments = {"images": self.settings.most_images, **arguments}
        return TemporalQwenVL(pretrained, backend=backend, **arguments)

    def open_search(self, device: str | None) -> FrameSearch:
        """What finds frames: at even distances for the baseline, else by the encoder."""
        settings, encoder, store = self.settings, None, None
        method = UNIFORM if settings.search == UNIFORM else settings.method
        if method != UNIFORM:
            if settings.encoder is None or settings.store is None:
                raise ValueError(
                    f"temporal_search: encoder is {settings.encoder!r} and store "
                    f"{settings.store!r}; a search by method {method} needs both (such as "
                    "encoder=google/siglip-so400m-patch14-384,store=FOLDER), or take "
                    "search=uniform"
                )
            encoder = load_encoder(settings.encoder, device=device)
            store = EmbeddingStore(settings.store)
        return FrameSearch(
            encoder,
            store,
            fps=settings.search_fps,
            sampling=settings.frame_sampling(),
            method=method,
            patch_size=self.model.patch_size,
        )

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
        prompt = docs.load_prompt(self.settings.prompt or SEARCH_PROMPTS[_kind(sample)])
        return prompt.messages(sample), prompt.contract

    def _uniform(self, question: Question, sample: Sample, frames: Frames | None) -> Search:
        """The question with frames at even distances in place of a search."""
        shown = self._seek(question, sample.query, 0.0, None, self.settings.uniform_frames)
        prompt = docs.load_prompt(self.settings.prompt or VERIFY_PROMPTS[_kind(sample)])
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
        return self.frame_search.seek(
            question.video, query, start, end, count, clip=question.clip
        )

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
            while active := [each for each in searches if _goes_on(each)]:
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
        """Takes a turn: searches where it asks for that, and appends what it is told."""
        conversation = search.conversation
        ended = bool(ids) and ids[-1] in self.model.end_tokens
        step = conversation.said(self._text(ids), cut=not ended)
        if isinstance(step, Call):
            step = self._found(search, step)
        if conversation.over or search.failed:
            return
        row = self._extended(search, ids, ended, step)
        search.row, before = row, search.row
        if not conversation.room(self._used(search)):
            del search.results[conversation.counts["searches"] - 1 :]
            search.row = self._extended(
                replace(search, row=before), ids, ended, conversation.no_room()
            )
            del search.results[conversation.counts["searches"] :]
        if not conversation.room(self._used(search)):
            conversation.overflow()

    def _found(self, search: Search, call: Call) -> list[dict]:
        """The messages that answer a call; a broken video fails the question."""
        conversation = search.conversation
        span = (call.start_seconds, call.end_seconds, call.num_frames)
        try:
            frames = self._seek(search.question, call.query, *span)
        except SearchError as error:
            return conversation.failed(str(error))
        except VideoError as error:
            logger.error(f"a search ends: {error}")
            failures.record(search.question.video, str(error))
            search.failed = True
            return []
        search.results.append(frames.pts_seconds)
        return conversation.found(frames)

    def _extended(self, search: Search, ids: list[int], ended: bool, messages: list[dict]) -> Any:
        text = appended_text(self.model.processor.apply_chat_template, messages)
        said = ids if ended else [*ids, self.model.tokenizer.eos_token_id]
        return self.model.extend(search.row, said, text, images_of(messages))

    def _verify(self, searches: list[Search], generation: dict[str, Any]) -> None:
        """The same model's answer from the searched frames alone; "" where there are none."""
        asked = []
        for search in searches:
            search.verified = ""
            prompt = prompts.load(VERIFY_PROMPTS[_kind(search.sample)])
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
        conversation = search.conversation
        if conversation is None:
            said = [{"role": "assistant", "text": search.answer}]
            shown = sum(len(times) for times in search.results)
            counters: dict[str, float] = {}
        else:
            search.answer = conversation.answer
            said = turns_of(conversation.messages[len(search.messages) :], search.results)
            shown, counters = conversation.counts["frames"], conversation.counters()
        text = search.answer
        if generation.get(RECORD):
            record = Record(
                answer=search.answer,
                turns=tuple(said),
                seconds=times_of(search.results),
                frames=int(shown),
                counters=counters,
                verified=search.verified,
            )
            text = record.to_text()
        return GenerationResult(text, TokenCounts(output_tokens=search.said))


def _goes_on(search: Search) -> bool:
    return not (search.failed or search.conversation.over)


def _kind(sample: Sample) -> str:
    """The key of a sample's search prompt.

    Raises:
        ValueError: there is none for its task.
    """
    kind = "choice" if sample.task == "choice" else sample.task
    if kind not in SEARCH_PROMPTS:
        raise ValueError(
            f"sample {sample.id!r} has the task {sample.task!r}, for which there is no search "
            f"prompt; allowed: {', '.join(SEARCH_PROMPTS)}, or give prompt=FILE in --model_args"
        )
    return kind
