"""What the doctor asks every path: one question about one video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temporal_plugin.annotations.sample import Sample


@dataclass(frozen=True)
class Request:
    """One question about one video, for all paths.

    Attributes:
        model: checkpoint folder.
        video: absolute path of the file.
        sampling: the settings of `Sampling`.
        clip: (start, end) in seconds of the file, or None for all of it.
        prompt: name of the prompt template.
        recipe: verl config of the rollout.
    """

    model: str
    video: str
    sampling: Mapping[str, Any] = field(default_factory=dict)
    clip: tuple[float, float] | None = None
    prompt: str = "answer"
    recipe: str = "tiny_cpu_vllm"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; `from_dict` restores it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Request:
        clip = values["clip"]
        return cls(**{**values, "clip": None if clip is None else tuple(clip)})

    def to_sample(self) -> Sample:
        """A question whose answer nobody needs."""
        from temporal_plugin.annotations.sample import Sample
        from temporal_plugin.spans import Span
        from temporal_plugin.video.length import length_seconds

        clip = None if self.clip is None else Span(*self.clip)
        seconds = length_seconds(self.video) if clip is None else self.clip[1] - self.clip[0]
        return Sample(
            id="doctor",
            task="grounding",
            video=self.video,
            query="something happens",
            spans=(Span(0.0, seconds / 2),),
            duration=seconds,
            clip=clip,
        )
