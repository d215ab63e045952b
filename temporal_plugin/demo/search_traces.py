"""The traces of a poor searcher: what the search demo's cold start is taught.

They are real searches, with the conversation, tool and embeddings of training and evaluation; how
poor is said in `SearchColdStartSettings`. What to answer is taught where the event was shown; where
it was not, only the form of an answer is. The same questions are also asked about searched frames
alone and about uniform frames: every form that is compared later is known to the model.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from temporal_plugin.demo import clips, search_model
from temporal_plugin.demo.cold_start import IGNORED_LABEL
from temporal_plugin.demo.search_settings import SearchDemoSettings

if TYPE_CHECKING:
    import numpy as np
    import torch

    from temporal_plugin.annotations.sample import Sample
    from temporal_plugin.search.conversation import Conversation
    from temporal_plugin.search.frame_search import FrameSearch
    from temporal_plugin.video.frames import Frames

#: the tensors of one chat (batch of one), with `labels` on what the model is taught to say
Row = dict[str, "torch.Tensor"]


class Tracer:
    """Writes the rows of a question.

    Args:
        settings: the demo's settings.
        processor: of the model that is trained.
        seed: decides what the poor searcher does.
    """

    def __init__(self, settings: SearchDemoSettings, processor: Any, seed: int) -> None:
        from temporal_plugin import prompts

        self.settings, self.processor = settings, processor
        self.search, self.evenly = frame_search(settings), frame_search(settings, "uniform")
        self.random = random.Random(seed)
        self.prompts = {
            name: prompts.load(name)
            for name in (search_model.SEARCH_PROMPT, search_model.FRAMES_PROMPT)
        }
        self._found: dict[tuple, Frames] = {}
        self._header = processor.tokenizer("<|im_start|>assistant\n").input_ids

    def rows(self, sample: Sample) -> Iterator[Row]:
        """Searches for the sample's event, their frames alone, and uniform frames."""
        cold = self.settings.cold_start
        for _ in range(cold.traces):
            conversation, preview = self._searched(sample)
            shown = seen(sample, times_of(conversation), preview.pts_seconds)
            yield self._row(sample, conversation.messages, [preview], shown)
        for _ in range(cold.frames_rows):
            yield self._frames_row(sample)
        if self.random.random() < cold.uniform_share:
            yield self._uniform_row(sample)

    def _searched(self, sample: Sample) -> tuple[Conversation, Frames]:
        from temporal_plugin.search.conversation import Call, Conversation, Limits

        prompt, settings = self.prompts[search_model.SEARCH_PROMPT], self.settings
        limits = Limits(turns=settings.turns, frames_per_call=settings.frames_per_call)
        conversation = Conversation(
            prompt.messages(sample),
            duration_seconds=sample.duration,
            contract=prompt.contract,
            limits=limits,
        )
        counts = settings.cold_start.search_counts
        for _ in range(self.random.choices(range(len(counts)), counts)[0]):
            call = conversation.said(self._call(sample))
            if not isinstance(call, Call):
                raise RuntimeError(f"the demo's own call was refused: {call}")
            conversation.found(self._seek(sample, call.query, call.num_frames))
        return conversation, self._preview(sample)

    def _call(self, sample: Sample) -> str:
        colour = sample.extra["colour"]
        if self.random.random() >= self.settings.cold_start.right_colour_share:
            colour = self.random.choice([other for other in clips.COLOURS if other != colour])
        frames = self.random.randint(1, self.settings.frames_per_call)
        return search_model.call_text(search_model.query_text(colour), frames)

    def _frames_row(self, sample: Sample) -> Row:
        """The question about the frames of a search that found the event, or did not."""
        colour = sample.extra["colour"]
        if self.random.random() < 0.3:
            colour = self.random.choice(list(clips.COLOURS))
        count = self.random.randint(1, self.settings.frames_per_call)
        return self._about(sample, self._seek(sample, search_model.query_text(colour), count))

    def _uniform_row(self, sample: Sample) -> Row:
        """The question about uniform frames, every other time with one that shows the event."""
        frames = self._evenly(sample)
        if self.random.random() < 0.5:
            frames = with_frame(frames, self._event_frame(sample))
        return self._about(sample, frames)

    def _about(self, sample: Sample, frames: Frames) -> Row:
        """The question about some frames, as the second answer of GRPO-CSV is asked for."""
        from temporal_plugin.search.conversation import verify_messages
        from temporal_plugin.search.tool import frames_content

        prompt = self.prompts[search_model.FRAMES_PROMPT]
        messages = verify_messages([frames_content(frames)], prompt, sample)
        return self._row(sample, messages, [], seen(sample, frames.pts_seconds))

    def _seek(self, sample: Sample, query: str, count: int) -> Frames:
        """What a search of the whole video brings; the questions about a video share it."""
        key = (sample.video, query, count)
        if key not in self._found:
            self._found[key] = self.search.seek(sample.video, query, num_frames=count)
        return self._found[key]

    def _evenly(self, sample: Sample) -> Frames:
        """As many uniform frames of the whole video as a search may have seen at its end."""
        key = (sample.video, "evenly")
        if key not in self._found:
            count = self.settings.uniform_frames
            self._found[key] = self.evenly.seek(sample.video, "all", num_frames=count)
        return self._found[key]

    def _preview(self, sample: Sample) -> Frames:
        from temporal_plugin.video.decode import load_frames
        from temporal_plugin.video.sampling import Sampling

        key = (sample.video, "preview")
        if key not in self._found:
            sampling = Sampling(**self.settings.sampling())
            patch = self.settings.patch_size
            self._found[key] = load_frames(sample.video, sampling, patch_size=patch)
        return self._found[key]

    def _event_frame(self, sample: Sample) -> Frames:
        [span] = sample.spans
        query = search_model.query_text(sample.extra["colour"])
        return self.search.seek(sample.video, query, span.start_seconds, span.end_seconds, 1)

    def _row(self, sample: Sample, messages: list[dict], videos: list[Frames], shown: bool) -> Row:
        import torch

        from temporal_plugin.video.model_inputs import encode

        answer = {"role": "assistant", "content": search_model.answer_text(sample.answer)}
        messages = [*messages, answer]
        images = [
            part["image"]
            for message in messages
            if isinstance(message["content"], list)
            for part in message["content"]
            if part["type"] == "image"
        ]
        inputs = encode(
            self.processor, messages, videos, images=images, add_generation_prompt=False
        )
        ids = inputs["input_ids"][0]
        taught = said_by_assistant(ids.tolist(), self._header, self.processor.tokenizer)
        labels = torch.full_like(ids, IGNORED_LABEL)
        labels[taught] = ids[taught]
        if not shown:  # whoever saw nothing is taught no answer
            letter = self.processor.tokenizer.convert_tokens_to_ids(sample.answer)
            labels[max(place for place in taught if ids[place] == letter)] = IGNORED_LABEL
        return {**inputs, "labels": labels[None]}


def times_of(conversation: Conversation) -> list[float]:
    """Seconds of every frame that a search was shown, read from its own texts."""
    texts = [part.get("text", "") for content in conversation.shown for part in content]
    return [float(text[1:].split()[0]) for text in texts if text.startswith("<")]


def seen(sample: Sample, *times: Sequence[float] | np.ndarray) -> bool:
    """Whether a frame at one of the times (seconds) shows the sample's event."""
    [span] = sample.spans
    return any(span.start_seconds <= second < span.end_seconds for some in times for second in some)


def with_frame(frames: Frames, other: Frames) -> Frames:
    """`frames` with the one nearest in time replaced by the only frame of `other`."""
    pixels, times = frames.pixels.clone(), frames.pts_seconds.copy()
    place = int(abs(times - other.pts_seconds[0]).argmin())
    pixels[place], times[place] = other.pixels[0], other.pts_seconds[0]
    return dataclasses.replace(frames, pixels=pixels, pts_seconds=times)


def said_by_assistant(ids: list[int], header: list[int], tokenizer: Any) -> list[int]:
    """Positions of what the assistant says in a chat, the end tokens of its turns included."""
    positions, index = [], 0
    while index < len(ids):
        if ids[index : index + len(header)] != header:
            index += 1
            continue
        index += len(header)
        while True:
            positions.append(index)
            index += 1
            if ids[index - 1] == tokenizer.eos_token_id:
                break
    return positions


def frame_search(settings: SearchDemoSettings, method: str = "dpp") -> FrameSearch:
    """The search of training and evaluation, in this process."""
    from temporal_plugin.search.settings import SearchSettings

    given = settings.frame_search()
    return SearchSettings.from_mapping({**given, "method": method, "device": "cpu"}).open()
