"""What our model classes of lmms-eval share: chats, frames, failures, batches and resuming.

They show the model the prompt, frames and times that our training shows it, as all use
`video.source.open_source` and `Frames.metadata`.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.api.model import lmms
from loguru import logger
from tqdm import tqdm

from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_answers import RESUME_VARIABLE, AnswerLog, Keys
from temporal_plugin.spans import Span
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.masking import AUTO, Mask, chosen_mode
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.source import open_source

#: settings of `Sampling` that are arguments of our model classes
SAMPLING_ARGUMENTS = frozenset(Sampling.__dataclass_fields__)


class RequestError(Exception):
    """One question could not be answered, through no fault of the model; the message says why."""


@dataclass(frozen=True)
class Question:
    """One request.

    Attributes:
        index: its place among all.
        document: the task's row.
        messages: the chat as the task gave it.
        generation: lmms-eval's generation settings.
        video: path of its video, None where it has none.
        clip: the part of the video that is shown.
        mask: what of the video is hidden, None where all is shown.
        images: its pictures (PIL or paths), in the order of the chat.
        key: equal in two runs where the model sees the same.
    """

    index: int
    document: Mapping[str, Any]
    messages: list[dict]
    generation: dict[str, Any]
    video: str | None
    clip: Span | None
    mask: Mask | None
    images: tuple[Any, ...]
    key: str

    @property
    def shown(self) -> tuple:
        """Equal for two questions exactly where they show the same frames."""
        return self.video, self.clip, self.mask


class VideoModel(lmms):
    """Answers the chat requests of lmms-eval in batches; a subclass prepares and generates.

    A question may hold one video, pictures and text. One whose video cannot be read, or whose
    request fails for good, is answered "" and counts as a failed request.

    Args:
        sampling: the settings of `Sampling`.
        patch_size: of the model; frames have sides that are multiples of twice this.
        batch_size: questions answered at once.
        workers: threads that prepare the questions to come while others are answered; None takes
            one per core, 8 at most.
        frame_store: folder of the frame store; TEMPORAL_PLUGIN_FRAME_STORE where not given.
        resume: folder where answers are kept as they come and found by the next run;
            TEMPORAL_PLUGIN_RESUME where not given.

    Raises:
        ValueError: a wrong batch size, number of workers or sampling setting.
    """

    is_simple = False
    #: set where the model sees nothing of a video but the frames that `prepare` gets: then what a
    #: chat's `mask` hides stays hidden
    applies_masks = False
    #: a time is written before each step or frame, so that frames can be left out of a video
    timestamps_in_text = True

    def __init__(
        self,
        *,
        sampling: dict[str, Any],
        patch_size: int,
        batch_size: int | str,
        workers: int | None,
        frame_store: str | None,
        resume: str | None,
    ) -> None:
        super().__init__()
        self.sampling = Sampling.from_mapping(sampling)
        self.patch_size = patch_size
        self.batch_size = _batch_size(batch_size)
        self.workers = _workers(workers)
        self.load_frames = open_source(frame_store)
        self.resume = os.environ.get(RESUME_VARIABLE) if resume is None else str(resume)

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """All that decides an answer beside the question and the sampling, as JSON values."""

    @abstractmethod
    def prepare(self, question: Question, frames: Frames | None) -> Any:
        """What `answer` takes of one question; called in a worker thread.

        Raises:
            RequestError: the question cannot be answered.
        """

    @abstractmethod
    def answer(self, rows: list, generation: dict[str, Any]) -> list[GenerationResult]:
        """The answers to prepared questions that share their generation settings."""

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """One answer per request, in order."""
        answers: list[GenerationResult] = [GenerationResult(text="")] * len(requests)
        log = AnswerLog(self.resume, self.rank)
        to_ask = []
        for question in self._questions(requests):
            known = log.get(question.key)
            if known is None:
                to_ask.append(question)
            else:
                answers[question.index] = known
        batches = list(_batches(to_ask, self.batch_size))
        torch.get_num_threads()  # fixes this thread's number before the workers set theirs
        try:
            with (
                ThreadPoolExecutor(self.workers, "prepare-questions", _one_thread) as pool,
                tqdm(total=len(to_ask), disable=self.rank != 0, desc="Answering") as bar,
            ):
                for batch, rows in self._prepared(batches, pool):
                    ready = [
                        (q, row) for q, row in zip(batch, rows, strict=True) if row is not None
                    ]
                    if ready:
                        found = self.answer([row for _, row in ready], batch[0].generation)
                        for (question, _), answer in zip(ready, found, strict=True):
                            answers[question.index] = answer
                            log.put(question.key, answer)
                    bar.update(len(batch))
        finally:
            log.close()
        return answers

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Not offered: a grounding question has one round."""
        raise NotImplementedError(f"{type(self).__name__} answers one round (generate_until)")

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Not offered: grounding tasks generate."""
        raise NotImplementedError(f"{type(self).__name__} generates only (generate_until)")

    def _questions(self, requests: Sequence[Instance]) -> Iterator[Question]:
        """The requests that can be asked; a question of a bad video is known as failed already."""
        keys = Keys({"class": type(self).__name__, "sampling": self.sampling.key()}
                    | self.identity())  # fmt: skip
        for index, request in enumerate(requests):
            _, doc_to_messages, generation, doc_id, task, split = request.args
            document = self.task_dict[task][split][doc_id]
            messages = doc_to_messages(document)
            if "sample" in document and failures.reason(docs.to_sample(document).video) is not None:
                continue
            if failures.unasked_reason(document) is not None:
                continue
            parts = [part for message in messages for part in message["content"]]
            videos = [part for part in parts if part["type"] == "video"]
            if len(videos) > 1:
                raise ValueError(f"task {task} asks about {len(videos)} videos at once; allowed: 1")
            entry = videos[0] if videos else {}
            clip = None
            if entry.get("end_time") is not None:
                clip = Span(entry.get("start_time") or 0.0, entry["end_time"])
            images = tuple(part["url"] for part in parts if part["type"] == "image")
            mask = self._mask(entry)
            key = keys.key(messages, generation)
            yield Question(
                index, document, messages, generation, entry.get("url"), clip, mask, images, key
            )

    def _mask(self, entry: Mapping[str, Any]) -> Mask | None:
        """The mask of a video entry; `mode` auto, the default, is the one that this model takes.

        Raises:
            ValueError: a wrong mask, or frames are to be dropped that this model cannot miss.
        """
        if not entry.get("mask"):
            return None
        mode = chosen_mode(
            entry["mask"].get("mode", AUTO), timestamps_in_text=self.timestamps_in_text
        )
        return Mask.from_mapping({**entry["mask"], "mode": mode})

    def _prepared(
        self, batches: Sequence[list[Question]], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[list[Question], list]]:
        """Each batch with its prepared rows, those of the next ones being prepared meanwhile."""
        ahead = 1 + -(-2 * self.workers // self.batch_size)  # batches that keep all workers busy
        waiting: deque[tuple[list[Question], list[Future]]] = deque()
        todo = iter(batches)
        while True:
            while len(waiting) < ahead and (batch := next(todo, None)) is not None:
                waiting.append((batch, [pool.submit(self._prepare, item) for item in batch]))
            if not waiting:
                return
            batch, rows = waiting.popleft()
            yield batch, [row.result() for row in rows]

    def _prepare(self, question: Question) -> Any:
        """What `answer` takes of a question, None where it cannot be asked."""
        frames = None
        if question.video is not None:
            try:
                frames = self.load_frames(
                    question.video, self.sampling, clip=question.clip, patch_size=self.patch_size
                )
            except ValueError as error:  # VideoError, and pictures of a shape beyond all limits
                logger.error(f"a question goes unanswered: {error}")
                failures.record(question.video, str(error))
                return None
        if frames is not None and question.mask is not None:
            try:
                frames = question.mask.apply(frames, question.video)
            except VideoError as error:  # at this sampling the spans touch all that is seen
                failures.record_unasked(question.document, str(error))
                return None
        try:
            return self.prepare(question, frames)
        except RequestError as error:
            logger.error(f"a question goes unanswered: {error}")
            failures.record_request(question.document, str(error))
            return None


def split_sampling(arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Model arguments as (settings of `Sampling`, the rest)."""
    sampling = {name: arguments[name] for name in arguments if name in SAMPLING_ARGUMENTS}
    if sampling.get("fps") is not None:
        sampling["fps"] = float(sampling["fps"])
    return sampling, {name: arguments[name] for name in arguments if name not in sampling}


def _batches(questions: Sequence[Question], size: int) -> Iterator[list[Question]]:
    """Batches of equal generation settings, questions about one video together."""
    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(repr(sorted(question.generation.items())), []).append(question)
    for group in groups.values():
        # all of one video and clip in a row: it is decoded once even where memory holds only one
        group.sort(key=lambda item: (item.video or "", repr(item.clip), item.index))
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _batch_size(value: int | str) -> int:
    if str(value).isdigit() and int(value) > 0:
        return int(value)
    raise ValueError(f"--batch_size is {value!r}; allowed: a whole number from 1")


def _workers(value: int | None) -> int:
    if value is None:
        return min(8, os.cpu_count() or 1)
    if int(value) < 1:
        raise ValueError(f"workers is {value!r}; it must be 1 or more")
    return int(value)


def _one_thread() -> None:
    """Keeps a worker from starting threads of torch, which would wait for each other's cores.

    The setting is the calling thread's own; those who answer keep theirs.
    """
    torch.set_num_threads(1)
