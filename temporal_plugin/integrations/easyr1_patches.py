"""What the launcher replaces in EasyR1, in the driver and in every Ray worker, and why.

EasyR1 has no place to plug a dataset, a video reader or a rollout in, and its workers build their
inputs on their own. Each replacement is one function in `PATCHES`, applied when its module is
imported, and guarded by the source of what it replaces (`easyr1_guard`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from functools import wraps
from types import ModuleType
from typing import Any

from temporal_plugin.integrations.easyr1_guard import checked
from temporal_plugin.integrations.easyr1_settings import Settings
from temporal_plugin.integrations.import_hooks import when_imported

logger = logging.getLogger(__name__)

KNOWN = {
    "process_video": "a09b3abd33f17b17",
    "RLHFDataset.__init__": "54942d4ced639fff",
    "RLHFDataset.__getitem__": "30386bc1723f94aa",
    "RLHFDataset._build_messages": "57f43321f0f578f5",
    "FSDPWorker._process_multi_modal_inputs": "fbbac382744ca5d2",
    "_process_multi_modal_data": "46c4ce9279184d50",
    "vLLMRollout.generate_sequences": "7b1590c8abd73706",
    "_get_logit_bias": "df1c53ffec369f61",
}
"""Functions of EasyR1 at `easyr1_guard.COMMIT` -> `easyr1_guard.fingerprint`."""

MARK = "temporal_plugin"
"""Attribute of what was replaced."""


def install(without: Container[str] = ()) -> None:
    """Apply all `PATCHES` as their modules are imported; safe to call twice in a process.

    This is the `worker_process_setup_hook` of a run.

    Args:
        without: names of patches to leave out, for tests.
    """
    for name, (module, patch) in PATCHES.items():
        if name not in without:
            when_imported(module, patch)


def _once(module: ModuleType, name: str) -> bool:
    """Whether patch `name` is yet to be applied to the module, which is then marked."""
    marks = vars(module).setdefault(f"_{MARK}", set())
    if name in marks:
        return False
    marks.add(name)
    logger.debug("%s: replaced %s", module.__name__, name)
    return True


def read_for_dataset(module: ModuleType) -> None:
    """`process_video` of the dataset: our frames, and the rate at which they really lie.

    Upstream reports `frames / total * fps` of qwen-vl-utils, and takes 14-pixel patches for
    Qwen3-VL too.
    """
    if _once(module, "process_video"):
        module.process_video = _reader(module.process_video, keep=False)


def read_for_actor(module: ModuleType) -> None:
    """`process_video` of the actor, which then needs no decoding after the rollout's."""
    if _once(module, "process_video"):
        module.process_video = _reader(module.process_video, keep=True)


def read_for_rollout(module: ModuleType) -> None:
    """`process_video` of the rollout: the same frames as the dataset's and the actor's."""
    if _once(module, "process_video"):
        checked(
            module._process_multi_modal_data,
            "_process_multi_modal_data",
            KNOWN["_process_multi_modal_data"],
        )
        module.process_video = _reader(module.process_video, keep=True)


def _reader(upstream: Callable, *, keep: bool) -> Callable:
    from temporal_plugin.integrations.easyr1_video import NAME, load, told_fps

    if not hasattr(upstream, MARK):  # the workers import the one that the dataset's module holds
        checked(upstream, "process_video", KNOWN["process_video"])

    def process_video(
        video,
        min_pixels,
        max_pixels,
        video_fps,
        return_fps=False,
        return_metadata=False,
    ) -> Any:
        settings = Settings.from_environment()
        sampling = settings.of_run(video_fps, min_pixels, max_pixels)
        pixels = load(video, sampling, settings, keep=keep)
        name = getattr(pixels, NAME)
        found = (pixels, dict(name)) if return_metadata else pixels
        return (found, told_fps(name)) if return_fps else found

    setattr(process_video, MARK, upstream)
    return process_video


def dataset(module: ModuleType) -> None:
    """`RLHFDataset`: see `easyr1_dataset`.

    Upstream decodes every video to find overlong prompts, dies of the first one that cannot be
    read, and knows neither clips nor system messages.
    """
    if not _once(module, "RLHFDataset"):
        return
    from temporal_plugin.integrations import easyr1_dataset

    known = module.RLHFDataset
    for name in ("__init__", "__getitem__", "_build_messages"):
        upstream = checked(
            getattr(known, name), f"RLHFDataset.{name}", KNOWN[f"RLHFDataset.{name}"]
        )
        setattr(known, name, getattr(easyr1_dataset, name.strip("_"))(upstream))


def tell_times(module: ModuleType) -> None:
    """A processor's call: named videos come with their times, are not resampled or resized.

    Upstream passes bare frames, of which transformers believes that they were shown at 24 frames
    per second (Qwen3-VL), takes every n-th, and resizes what was resized before.
    """
    if not _once(module, "times"):
        return
    from temporal_plugin.integrations.easyr1_video import names_of
    from temporal_plugin.integrations.shared_videos import share_videos

    for name in ("Qwen2_5_VLProcessor", "Qwen3VLProcessor"):
        processor = getattr(module, name, None)
        if processor is None:
            continue
        upstream = processor.__call__

        @wraps(upstream)
        def call(self, images=None, text=None, videos=None, *, _upstream=upstream, **settings):
            names = names_of(videos)
            if names is not None:
                share_videos(self)  # which makes no patches where token ids are all that is wanted
                told = {"video_metadata": names, "do_sample_frames": False, "do_resize": False}
                settings = {**settings, **told}
            return _upstream(self, images=images, text=text, videos=videos, **settings)

        processor.__call__ = call


def actor_inputs(module: ModuleType) -> None:
    """`FSDPWorker._process_multi_modal_inputs`: patches by the video processor's settings.

    Upstream has the image processor resize and normalise the frames once more, by the settings
    for images.
    """
    if not _once(module, "_process_multi_modal_inputs"):
        return
    from temporal_plugin.integrations.easyr1_video import names_of, patches_of

    known = KNOWN["FSDPWorker._process_multi_modal_inputs"]
    worker = module.FSDPWorker
    upstream = checked(
        worker._process_multi_modal_inputs, "FSDPWorker._process_multi_modal_inputs", known
    )

    class _ByVideo:
        """Stands where upstream's method looks for the image processor."""

        def __init__(self, processor: Any) -> None:
            self.processor = processor

        def __call__(self, images=None, videos=None, **settings):
            if names_of(videos) is None:
                return self.processor.image_processor(images=images, videos=videos, **settings)
            return patches_of(videos, self.processor.video_processor)

    class _Processor:
        def __init__(self, processor: Any) -> None:
            self.image_processor = _ByVideo(processor)

    @wraps(upstream)
    def process(self, data) -> None:
        processor = self.processor
        if processor is None:
            return upstream(self, data)
        self.processor = _Processor(processor)
        try:
            return upstream(self, data)
        finally:
            self.processor = processor

    worker._process_multi_modal_inputs = process


def rollout_inputs(module: ModuleType) -> None:
    """`LLM` of the rollout: prompts carry the times, and nothing is resampled or resized.

    Upstream hands vLLM bare frames of Qwen2.5-VL, which are taken for 2 per second, and frames of
    Qwen3-VL without the word that they were sampled.
    """
    if not _once(module, "LLM"):
        return
    from temporal_plugin.integrations.easyr1_rollout import timed_llm

    known = KNOWN["vLLMRollout.generate_sequences"]
    checked(module.vLLMRollout.generate_sequences, "vLLMRollout.generate_sequences", known)
    module.LLM = timed_llm(module.LLM)


def no_video_tokens(module: ModuleType) -> None:
    """`_get_logit_bias`: the model cannot write a video's placeholder, as it cannot an image's.

    One such token in an answer makes the actor count more placeholders than there are features.
    """
    if not _once(module, "_get_logit_bias"):
        return
    upstream = checked(module._get_logit_bias, "_get_logit_bias", KNOWN["_get_logit_bias"])

    @wraps(upstream)
    def get_logit_bias(processor):
        bias = upstream(processor)
        if processor is not None and hasattr(processor, "video_token"):
            token = processor.tokenizer.convert_tokens_to_ids(processor.video_token)
            bias = {**(bias or {}), token: -100}
        return bias

    module._get_logit_bias = get_logit_bias


_TRANSFORMERS = "transformers.models"
PATCHES: dict[str, tuple[str, Callable[[ModuleType], None]]] = {
    "read_for_dataset": ("verl.utils.dataset", read_for_dataset),
    "dataset": ("verl.utils.dataset", dataset),
    "tell_times_qwen2_5_vl": (f"{_TRANSFORMERS}.qwen2_5_vl.processing_qwen2_5_vl", tell_times),
    "tell_times_qwen3_vl": (f"{_TRANSFORMERS}.qwen3_vl.processing_qwen3_vl", tell_times),
    "read_for_actor": ("verl.workers.fsdp_workers", read_for_actor),
    "actor_inputs": ("verl.workers.fsdp_workers", actor_inputs),
    "read_for_rollout": ("verl.workers.rollout.vllm_rollout_spmd", read_for_rollout),
    "rollout_inputs": ("verl.workers.rollout.vllm_rollout_spmd", rollout_inputs),
    "no_video_tokens": ("verl.workers.rollout.vllm_rollout_spmd", no_video_tokens),
}
"""Name -> the module that it waits for, and the function that changes it."""
