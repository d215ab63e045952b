"""What `data.temporal` says of the tasks that samples may have: their prompts, and their search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from omegaconf import OmegaConf

from temporal_plugin import prompts
from temporal_plugin.search.rollout_settings import RolloutSettings


def prompt_of(settings: Mapping[str, Any], task: str) -> prompts.Prompt:
    """The template that a sample of this task is asked with.

    Args:
        settings: `data.temporal`; its `prompt` is a template or a mapping from task to template.

    Raises:
        ValueError: templates are given by task, and none for this one.
    """
    given = settings["prompt"]
    if not isinstance(given, Mapping):
        return prompts.load(given)
    if task not in given:
        raise ValueError(
            f"data.temporal.prompt has templates for {', '.join(given)}, and there is a sample of "
            f"the task {task!r}; add one for it, or leave such samples out"
        )
    return prompts.load(given[task])


def search_settings(settings: Mapping[str, Any], response_tokens: int) -> RolloutSettings:
    """`data.temporal.search`, checked.

    Args:
        settings: `data.temporal`.
        response_tokens: `data.max_response_length`.

    Raises:
        ValueError: it is not set, or holds something wrong.
    """
    given = settings["search"]
    if given is None:
        raise ValueError("the agent loop temporal_search needs data.temporal.search")
    if settings["shuffle_consistency"] is not None:
        raise ValueError(
            "data.temporal.shuffle_consistency and data.temporal.search are both set; a search has "
            "no second answer on reordered frames: take one of them out"
        )
    if OmegaConf.is_config(given):
        given = OmegaConf.to_container(given, resolve=True)
    return RolloutSettings.from_mapping(given, tokens=response_tokens)


def check_tasks(tasks: Iterable[str], settings: Mapping[str, Any], response_tokens: int) -> None:
    """Fail before a model loads where a task has no template, or the search is set wrong.

    Raises:
        ValueError: as `prompt_of` and `search_settings`, or the second answer has no template.
    """
    for task in sorted(tasks):
        prompt_of(settings, task)
    if settings["search"] is None:
        return
    found = search_settings(settings, response_tokens)
    for task in sorted(tasks if found.verify else ()):
        found.verify.prompt_for(task)
