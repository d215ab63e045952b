"""The dataset class that verl loads: `data.custom_cls.path=pkg://temporal_plugin...`.

`data.train_files` and `data.val_files` name Sample JSONL files or `data_config` YAMLs. Our own
settings lie under `data.temporal`: `prompt`, `sampling`, `on_bad_video` ("fail" | "skip"),
`frame_store` (a folder, or null: what TEMPORAL_PLUGIN_FRAME_STORE names, or no store),
`curriculum` (see `curation.curriculum_settings`; null: verl's own order), `rollout_seed` (see
`verl_rollout_seed`; null: rollouts are drawn without a seed), `shuffle_consistency` (null,
"reversed" or "shuffled": answer each prompt also on reordered frames), `masking` (see
`curation.masking_schedule`; null: every video is shown whole) and `search` (null, or how the model
searches the video over several turns: see `search.rollout_settings`). `prompt` is a template or,
where samples have several tasks, a mapping from task to template.
"""

import asyncio
import copy
import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import torch
from verl.utils.dataset.rl_dataset import RLHFDataset

from temporal_plugin import answers, prompts
from temporal_plugin.annotations import load_samples
from temporal_plugin.annotations.check import check_videos
from temporal_plugin.annotations.durations import with_duration
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations.shared_videos import SharedTasks, VideoName
from temporal_plugin.integrations.verl_plugin import AGENT_LOOP, SEARCH_LOOP
from temporal_plugin.integrations.verl_tasks import check_tasks, prompt_of
from temporal_plugin.resources import located
from temporal_plugin.spans import Span
from temporal_plugin.video.decode import VideoError
from temporal_plugin.video.masking import Mask
from temporal_plugin.video.reorder import ORDERS, reordered
from temporal_plugin.video.sampling import Sampling
from temporal_plugin.video.source import open_source

logger = logging.getLogger(__name__)
ON_BAD_VIDEO = ("fail", "skip")
VIDEO_FAILURE = "video_failure"  # 1.0 in the reward's parts of a rollout whose video failed
DEFAULTS = {
    "prompt": "think_answer",
    "sampling": {},
    "on_bad_video": "fail",
    "frame_store": None,
    "curriculum": None,
    "rollout_seed": None,
    "shuffle_consistency": None,
    "masking": None,
    "search": None,
}
VIDEO_MARK = "<video>"  # where a text message shows the video, as in verl's own data
_reading = SharedTasks()


class TemporalDataset(RLHFDataset):
    """Reads our Samples and hands verl messages, truth and frames; the rest is RLHFDataset's."""

    def _read_files_and_tokenize(self) -> None:
        samples = read_samples(self.data_files, self.config, self.max_samples)
        if self.filter_overlong_prompts and self.processor is not None:
            samples = self._drop_overlong(samples)
        if not samples:
            raise ValueError(f"no sample is left in {list(self.data_files)}: see the log above")
        tasks = {sample.task for sample in samples}
        check_tasks(tasks, temporal_settings(self.config), self.config.get("max_response_length"))
        self.dataframe = datasets.Dataset.from_dict(
            {"sample": [json.dumps(sample.to_dict()) for sample in samples]}
        )
        logger.info("%d samples from %s", len(samples), list(self.data_files))

    def _drop_overlong(self, samples: list[Sample]) -> list[Sample]:
        """In the place of verl's `maybe_filter_out_long_prompts`, which decodes every video."""
        from temporal_plugin.integrations.verl_prompt_lengths import PromptLengths, drop_overlong

        settings = temporal_settings(self.config)
        lengths = PromptLengths(
            self.processor,
            template_settings=self.apply_chat_template_kwargs,
            processor_settings=self.mm_processor_kwargs,
            workers=self.num_workers or 1,
        )
        return drop_overlong(
            samples,
            lambda sample: chat(prompt_of(settings, sample.task), sample, settings["sampling"]),
            lengths,
            most=self.max_prompt_length,
            on_bad_video=settings["on_bad_video"],
        )

    def _download(self, use_origin_parquet: bool = False) -> None:
        require_files(self.data_files)

    def __getitem__(self, item: int) -> dict:
        sample = Sample.from_dict(json.loads(self.dataframe[item]["sample"]))
        settings = temporal_settings(self.config)
        prompt = prompt_of(settings, sample.task)
        return {
            "raw_prompt": chat(prompt, sample, settings["sampling"]),
            "data_source": sample.source or "temporal",
            "ability": sample.task,
            "reward_model": {"style": "rule", "ground_truth": answers.encode_truth(sample)},
            "extra_info": {
                "index": item,
                "id": sample.id,
                "split": sample.split,
                "contract": prompt.contract,
                "prompt": prompt.name,
                "prompt_fingerprint": prompt.fingerprint,
            },
            "index": item,
            "agent_name": AGENT_LOOP if settings["search"] is None else SEARCH_LOOP,
            "tools_kwargs": {},
            "interaction_kwargs": {},
            "dummy_tensor": torch.tensor([0], dtype=torch.uint8),  # verl's batch may not be empty
        }

    @classmethod
    async def process_multi_modal_info(cls, messages, image_patch_size, config):
        """Frames of every video entry, read in a thread so that other rollouts go on.

        Rollouts that ask for the same videos at once take one thread among them, so that a group
        does not keep the threads that other groups need.
        """
        entries = video_entries(messages)
        if not entries:
            return None, None, None
        folder = temporal_settings(config)["frame_store"]
        key = json.dumps([entries, image_patch_size, folder], sort_keys=True)
        read = partial(read_videos, entries, image_patch_size, folder)
        videos = await _reading.get(key, partial(asyncio.to_thread, read))
        return None, list(videos), None


def temporal_settings(config: Mapping) -> dict:
    """`data.temporal` with defaults; an unknown key or value is an error that names the allowed."""
    settings = DEFAULTS | dict(config.get("temporal") or {})
    unknown = sorted(set(settings) - set(DEFAULTS))
    if unknown:
        raise ValueError(f"unknown data.temporal setting {unknown}; allowed: {sorted(DEFAULTS)}")
    order = settings["shuffle_consistency"]
    if order is not None and order not in ORDERS:
        raise ValueError(
            f"data.temporal.shuffle_consistency is {order!r}; allowed: null, {', '.join(ORDERS)}"
        )
    if order is not None and settings["masking"] is not None:
        raise ValueError(
            "data.temporal has masking and shuffle_consistency; give one of them: of a masked "
            "video in another order, what is hidden would tell where the answer lies"
        )
    if settings["search"] is not None and settings["masking"] is not None:
        raise ValueError(
            "data.temporal has masking and search; give one of them: a search would bring the "
            "frames that the mask hides"
        )
    if settings["on_bad_video"] not in ON_BAD_VIDEO:
        raise ValueError(
            f"data.temporal.on_bad_video is {settings['on_bad_video']!r}; allowed: {ON_BAD_VIDEO}"
        )
    return settings


def require_files(paths: Sequence[str]) -> None:
    """Raises FileNotFoundError for data files that are not there."""
    missing = [path for path in paths if not located(path).is_file()]
    if missing:
        raise FileNotFoundError(
            f"no such data file: {missing}; data.train_files and data.val_files name a "
            "Sample .jsonl or a data_config .yaml"
        )


def read_samples(paths: Sequence[str], config: Mapping, most: int = -1) -> list[Sample]:
    """The samples of all files whose videos can be opened, the first `most` where above 0.

    Raises:
        VideoError: a video is missing or unreadable and `on_bad_video` is "fail".
    """
    samples = [sample for path in paths for sample in load_samples(path)]
    samples = drop_bad_videos(samples, temporal_settings(config)["on_bad_video"])
    if most > 0:
        samples = samples[:most]
    return [with_duration(sample) for sample in samples]


def drop_bad_videos(samples: list[Sample], on_bad_video: str) -> list[Sample]:
    """Check every video before a model loads: "fail" lists all bad ones and raises, "skip" drops.

    Raises:
        VideoError: a video is missing or unreadable and the policy is "fail".
    """
    problems = check_videos(samples)
    if not problems:
        return samples
    listing = "\n".join(f"  {problem.path}: {problem.reason}" for problem in problems)
    text = f"{len(problems)} missing or unreadable videos:\n{listing}"
    if on_bad_video == "fail":
        raise VideoError(f"{text}\nmend data_folder, or set data.temporal.on_bad_video=skip")
    bad = {str(problem.path) for problem in problems}
    kept = [sample for sample in samples if str(sample.video) not in bad]
    logger.warning("%s\nskipping their %d samples", text, len(samples) - len(kept))
    return kept


def chat(prompt: prompts.Prompt, sample: Sample, sampling: Mapping) -> list[dict]:
    """The prompt's messages, with the video entry naming the file, the clip and the sampling."""
    return with_video_entries(prompt.messages(sample), sample, sampling)


def with_video_entries(messages: list[dict], sample: Sample, sampling: Mapping) -> list[dict]:
    """The messages, their video entries (or `<video>` in a text) filled for the sample."""
    entry = {"type": "video", "video": str(sample.video), "sampling": dict(sampling)}
    if sample.clip is not None:
        entry["clip"] = [sample.clip.start_seconds, sample.clip.end_seconds]
    for message in messages:
        content = message["content"]
        if isinstance(content, str) and VIDEO_MARK in content and message["role"] == "user":
            before, *rest = content.split(VIDEO_MARK)
            parts = [[entry, {"type": "text", "text": text}] for text in rest]
            content = [{"type": "text", "text": before}, *(p for pair in parts for p in pair)]
            content = [part for part in content if part.get("text") != ""]
        if isinstance(content, list):
            content = [entry if part["type"] == "video" else part for part in content]
        message["content"] = content
    return messages


def video_entries(messages: Sequence[Mapping]) -> list[dict]:
    """The video entries of a chat, in order."""
    return [
        dict(part)
        for message in messages
        if isinstance(message["content"], list)
        for part in message["content"]
        if part.get("type") == "video"
    ]


def with_video_settings(messages: Sequence[Mapping], **settings: Any) -> list[dict]:
    """A copy of the messages whose video entries also hold these settings, see `read_videos`."""
    copied = copy.deepcopy([dict(message) for message in messages])
    for message in copied:
        if isinstance(message["content"], list):
            for part in message["content"]:
                if part.get("type") == "video":
                    part.update(copy.deepcopy(settings))
    return copied


def read_videos(
    entries: Sequence[Mapping], patch_size: int, frame_store: str | None = None
) -> list[tuple[torch.Tensor, VideoName]]:
    """(pixels uint8 [T, C, H, W], metadata) of each video entry.

    Args:
        entries: mappings with `video`, and `clip`, `sampling`, `mask` (see `video.masking.Mask`)
            and `reorder` (an order and a seed, see `video.reorder`) where there are any.
        patch_size: edge of the vision tower's patch in pixels.
        frame_store: as in `open_source`.

    Raises:
        VideoError: a file cannot be read, or a mask leaves nothing of it.
    """
    load = open_source(frame_store)
    found = []
    for entry in entries:
        path, sampling = entry["video"], Sampling.from_mapping(entry.get("sampling"))
        clip = Span(*entry["clip"]) if entry.get("clip") else None
        frames = load(path, sampling, clip=clip, patch_size=patch_size)
        status = Path(path).stat()
        version = status.st_size, status.st_mtime_ns
        key = (path, version, sampling, clip, patch_size)
        if entry.get("mask"):
            mask = Mask.from_mapping(entry["mask"])
            frames = mask.apply(frames, path)
            key = (*key, mask)
        if entry.get("reorder"):
            frames = reordered(frames, *entry["reorder"])
            key = (*key, *entry["reorder"])
        found.append((frames.pixels, VideoName(frames.metadata(), key)))
    return found
