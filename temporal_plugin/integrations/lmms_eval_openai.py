"""The model class `temporal_openai`: any OpenAI-compatible server, told the time in words.

Such a server takes bare pictures. Each frame goes as a JPEG after a line with its real time, so
that the model knows when it sees what; frames, prompt and clip are those of our other classes.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from lmms_eval.api.instance import GenerationResult, TokenCounts

from temporal_plugin.integrations.chat_client import (
    ChatClient,
    ChatError,
    ChatSettings,
    Reply,
    clean,
)
from temporal_plugin.integrations.lmms_eval_base import (
    Question,
    RequestError,
    VideoModel,
    split_sampling,
)
from temporal_plugin.integrations.lmms_eval_qwen import load_pictures
from temporal_plugin.video.frames import Frames
from temporal_plugin.video.sharing import Memory, Shared
from temporal_plugin.video.timing import text_timestamps

PATCH_SIZE = 14  # frames get sides that are multiples of 28, which suits most vision models
JPEG_BYTES = 1 << 28
MOST_STOPS = 4  # the protocol takes no more


class TemporalOpenAI(VideoModel):
    """Answers greedily unless the task says otherwise.

    Args (of `--model_args`):
        model: name of the model on the server.
        base_url: the server's address up to `/v1`; OPENAI_BASE_URL where not given.
        key_variable: environment variable that holds the key (OPENAI_API_KEY); a key itself is
            no argument, as lmms-eval writes all arguments into its results.
        timeout: seconds for one reply.
        retries: further attempts after a time-out, a broken connection, 429 or 5xx; a request
            whose retries are used up counts as failed and scores 0.
        retry_wait: seconds before the first retry; it doubles each time.
        concurrency: requests under way at once.
        jpeg_quality: of the frames, 1 to 95.
        frame_store, resume: see `VideoModel`.
        fps, min_frames, max_pixels and all other settings of `Sampling`.

    Raises:
        ValueError: a setting out of range, a key among the arguments, or (at the first request)
            a server that refuses the key or does not know the model.
    """

    applies_masks = True

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        key_variable: str = "OPENAI_API_KEY",
        timeout: float = 120.0,
        retries: int = 5,
        retry_wait: float = 1.0,
        concurrency: int = 8,
        jpeg_quality: int = 90,
        frame_store: str | None = None,
        resume: str | None = None,
        batch_size: int | str = 1,  # means nothing to a server
        device: str | None = None,
        max_batch_size: int | None = None,
        **arguments: Any,
    ) -> None:
        if "api_key" in arguments:
            raise ValueError(
                "api_key would be written into the results; put the key into the environment "
                "(OPENAI_API_KEY, or another variable that key_variable names)"
            )
        if not 1 <= int(jpeg_quality) <= 95:
            raise ValueError(f"jpeg_quality is {jpeg_quality!r}; allowed: 1 to 95")
        if int(concurrency) < 1:
            raise ValueError(f"concurrency is {concurrency!r}; it must be 1 or more")
        sampling, unknown = split_sampling(arguments)
        super().__init__(
            sampling=sampling | unknown,  # whose error names the allowed ones
            patch_size=PATCH_SIZE,
            batch_size=1,
            workers=int(concurrency),  # a worker asks and waits for the reply
            frame_store=frame_store,
            resume=resume,
        )
        self.client = ChatClient(
            ChatSettings(
                str(model), base_url, key_variable, float(timeout), int(retries), float(retry_wait)
            )
        )
        self.jpeg_quality = int(jpeg_quality)
        self._jpegs: Memory[list[str]] = Memory(JPEG_BYTES)
        self._running: Shared[list[str]] = Shared()

    def identity(self) -> dict[str, Any]:
        settings = self.client.settings
        return {
            "model": settings.model,
            "base_url": settings.base_url,
            "jpeg_quality": self.jpeg_quality,
        }

    def prepare(self, question: Question, frames: Frames | None) -> GenerationResult:
        """The answer itself: requests run side by side where other classes prepare inputs."""
        try:
            messages = self.messages(question, frames)
            reply: Reply = self.client.ask(messages, **_options(question.generation))
        except ChatError as error:
            raise RequestError(f"{question.document.get('id')}: {error}") from error
        counts = TokenCounts(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
        return GenerationResult(reply.text, counts)

    def answer(
        self, rows: list[GenerationResult], generation: dict[str, Any]
    ) -> list[GenerationResult]:
        return rows

    def messages(self, question: Question, frames: Frames | None) -> list[dict[str, Any]]:
        """The chat as the protocol has it; a video is a line with the time before each frame.

        Raises:
            RequestError: a picture cannot be read.
        """
        pictures = iter(load_pictures(question.images, self.sampling, self.patch_size))
        found = []
        for message in question.messages:
            content: list[dict[str, Any]] = []
            for part in message["content"]:
                if part["type"] == "text":
                    content.append(_text(clean(part["text"])))
                elif part["type"] == "image":
                    content.append(_picture(_jpeg(next(pictures), self.jpeg_quality)))
                else:
                    content += self._video(question, frames)
            if all(part["type"] == "text" for part in content):  # all that a system message may be
                content = "\n".join(part["text"] for part in content)
            found.append({"role": message["role"], "content": content})
        return found

    def _video(self, question: Question, frames: Frames) -> list[dict[str, Any]]:
        key = question.shown

        def encode() -> list[str]:
            jpegs = self._jpegs.get(key)
            if jpegs is None:
                jpegs = [_jpeg(_to_picture(frame), self.jpeg_quality) for frame in frames.pixels]
                self._jpegs.put(key, jpegs, sum(map(len, jpegs)))
            return jpegs

        times = text_timestamps(frames.pts_seconds)
        jpegs = self._running.get(key, encode)
        return [
            part
            for time, jpeg in zip(times, jpegs, strict=True)
            for part in (_text(time), _picture(jpeg))
        ]


def _options(generation: dict[str, Any]) -> dict[str, Any]:
    """lmms-eval's generation_kwargs as the protocol has them; temperature 0 is greedy."""
    temperature = float(generation.get("temperature") or 0.0)
    if not generation.get("do_sample", True):
        temperature = 0.0
    options = {
        "max_tokens": int(generation.get("max_new_tokens", 128)),
        "temperature": temperature,
    }
    if temperature > 0 and generation.get("top_p") is not None:
        options["top_p"] = float(generation["top_p"])
    stops = [stop for stop in generation.get("until") or [] if stop]
    if stops:
        options["stop"] = stops[:MOST_STOPS]
    return options


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _picture(jpeg: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{jpeg}"}}


def _to_picture(frame):
    """A PIL picture of uint8 [C, H, W]."""
    from PIL import Image

    return Image.fromarray(frame.permute(1, 2, 0).contiguous().numpy())


def _jpeg(picture, quality: int) -> str:
    """The picture as JPEG in base64."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
