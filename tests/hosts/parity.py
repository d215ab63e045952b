"""The five ways in which a video reaches the model, asked in one process."""

from dataclasses import dataclass, field
from pathlib import Path

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import vllm_inputs
from temporal_plugin.video.model_view import ModelView, first_difference

PROMPT = "answer"
SMALL = {"min_pixels": 56 * 56, "max_pixels": 96 * 96}


def sample_of(video: Path, **fields) -> Sample:
    row = {"id": "a", "task": "grounding", "query": "the red square moves", "spans": [[1.0, 2.0]]}
    return Sample.from_dict(row | {"video": str(video)} | fields)


@dataclass
class Paths:
    """All paths for one model and sampling; each is built when it is first asked.

    Attributes:
        model: checkpoint folder.
        sampling: the settings of `Sampling`.
        engine: engine settings of the rollout's vLLM, None for what the recipe says.
        processor: `data.mm_processor_kwargs` of verl, None for what the recipe says.
        sft_dataset: `data.custom_cls` of SFT, None for ours.
    """

    model: Path
    sampling: dict
    engine: dict | None = None
    processor: dict | None = None
    sft_dataset: dict | None = None
    made: dict = field(default_factory=dict)

    def __post_init__(self):
        self.model = str(self.model)

    def once(self, name, build):
        if name not in self.made:
            self.made[name] = build()
        return self.made[name]

    def rollout(self, sample: Sample, **settings) -> tuple[ModelView, ModelView]:
        """The views of the rollout and of the log-prob pass; settings of the video entries."""
        from omegaconf import open_dict

        from temporal_plugin.integrations import verl_view

        def build():
            config = verl_view.rollout_config(self.model, PROMPT, self.sampling)
            if self.processor is not None:
                with open_dict(config):
                    config.data.mm_processor_kwargs = self.processor
            return verl_view.Rollout(config)

        rollout = self.once("rollout", build)
        engine = verl_view.engine_settings(rollout.config) if self.engine is None else self.engine
        reader = self.once("reader", lambda: vllm_inputs.InputReader(self.model, engine))
        prompt, log_prob = rollout.run(sample, **settings)
        return reader.view(prompt), log_prob

    def sft(self, sample: Sample) -> ModelView:
        from temporal_plugin.integrations import verl_sft_view as view

        dataset = view.DATASET if self.sft_dataset is None else self.sft_dataset
        build = lambda: view.SFT(self.model, PROMPT, self.sampling, dataset)  # noqa: E731
        return self.once("sft", build).view(sample)

    def transformers(self, sample: Sample) -> ModelView:
        from temporal_plugin.integrations.lmms_eval_view import TransformersView

        build = lambda: TransformersView(self.model, **self.sampling)  # noqa: E731
        return self.once("transformers", build).view(sample, PROMPT)

    def vllm(self, sample: Sample) -> ModelView:
        from temporal_plugin.integrations.lmms_eval_view import VLLMView

        build = lambda: VLLMView(self.model, **self.sampling)  # noqa: E731
        return self.once("vllm", build).view(sample, PROMPT)

    def views(self, sample: Sample) -> dict[str, ModelView]:
        rollout, log_prob = self.rollout(sample)
        return {
            "rollout": rollout,
            "log-prob": log_prob,
            "SFT": self.sft(sample),
            "lmms-eval transformers": self.transformers(sample),
            "lmms-eval vLLM": self.vllm(sample),
        }


def differences(views: dict[str, ModelView]) -> dict[str, str]:
    """What each path has that the rollout has not."""
    return {
        name: str(first_difference(views["rollout"], view))
        for name, view in views.items()
        if view != views["rollout"]
    }
