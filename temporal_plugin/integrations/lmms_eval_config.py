"""A task's YAML completed: the defaults of its kind, its prompt, and how long it may answer.

Four keys of our YAML files are not lmms-eval's own and end here: `prompts` (style -> template),
`prompt_setting` (the environment variable over it), `max_new_tokens` (style -> tokens) and `style`
("direct" or "think").
"""

from __future__ import annotations

import os
from typing import Any

from lmms_eval.utils import load_yaml_config

from temporal_plugin import prompts
from temporal_plugin.answers import contract_named
from temporal_plugin.integrations.lmms_eval_kinds import KINDS
from temporal_plugin.integrations.lmms_eval_source import Source
from temporal_plugin.resources import resource_dir

PROMPT_SETTING = "TEMPORAL_PLUGIN_PROMPT"
"""Environment variable: a prompt (name or path) for all tasks of the run, over their own.

A kind whose answers have another form than training's names one of its own (`prompt_setting`)."""

STYLES = ("direct", "think")


def complete(config: dict[str, Any], kind: str) -> dict[str, Any]:
    """The task's YAML over the defaults of its kind, as lmms-eval's TaskConfig takes it.

    `dataset_kwargs.prompt` is settled: the environment's, else that of the style "think" where it
    is asked for, else the task's own, else that of the style "direct". `{name}` in the values of
    `dataset_kwargs` becomes the task's `dataset_name`.

    Raises:
        ValueError: an unknown style, a prompt that is not there or that cannot ask this kind.
    """
    defaults = load_yaml_config(str(resource_dir("lmms_tasks") / f"_{kind}.yaml.inc"))
    merged = {**defaults, **config}
    merged.pop("class", None)
    style = merged.pop("style", "direct")
    if style not in STYLES:
        raise ValueError(f"style is {style!r}; allowed: {', '.join(STYLES)}")
    variable = merged.pop("prompt_setting", PROMPT_SETTING)
    choices, tokens = merged.pop("prompts"), merged.pop("max_new_tokens")
    settings = _named(dict(merged.get("dataset_kwargs") or {}), merged.get("dataset_name"))
    own = settings.get("prompt") if style == "direct" else None
    settings["prompt"] = os.environ.get(variable) or own or choices[style]
    prompt = prompts.load(settings["prompt"])
    misfit = KINDS[kind].misfit(prompt)
    if misfit is not None:
        raise ValueError(
            f"task {merged.get('task')}: prompt {settings['prompt']!r} cannot ask a question of "
            f"the kind {kind!r}: {misfit}. Change {variable} or dataset_kwargs.prompt"
        )
    if "generation_kwargs" not in config:
        length = tokens["think" if _reasons(prompt) else "direct"]
        generation = {**merged["generation_kwargs"], "max_new_tokens": length}
        merged["generation_kwargs"] = generation
    return {**merged, "dataset_kwargs": settings}


def source_of(config: dict[str, Any]) -> Source:
    """The `Source` of a completed configuration.

    Raises:
        ValueError: as `Source.from_mapping`.
    """
    return Source.from_mapping(config.get("dataset_kwargs"), task=config.get("task", "?"))


def _reasons(prompt: prompts.Prompt) -> bool:
    """Whether answers are long: the contract has a block for reasoning, or allows anything."""
    blocks = contract_named(prompt.contract).blocks
    return not blocks or any(tag == "think" for tag, _ in blocks)


def _named(value: Any, name: str | None) -> Any:
    """The settings with each `{name}` filled in."""
    if isinstance(value, str):
        return value.replace("{name}", name) if name else value
    if isinstance(value, list):
        return [_named(item, name) for item in value]
    if isinstance(value, dict):
        return {key: _named(item, name) for key, item in value.items()}
    return value
