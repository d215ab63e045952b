"""What must be the same in two runs before their scores may be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from temporal_plugin.report.entries import Entry

#: Arguments of a model class that say where and how fast it runs, or which weights it has.
NOT_SAMPLING = frozenset(
    (
        *("pretrained", "peft", "model", "model_version", "model_name", "path", "engine"),
        *("dtype", "device", "device_map", "batch_size", "attn_implementation", "backend"),
        *("use_cache", "use_flash_attention_2", "tensor_parallel_size", "gpu_memory_utilization"),
        *("data_parallel_size", "num_concurrent", "workers", "threads", "timeout", "retries"),
        *("base_url", "enforce_eager", "seed"),
    )
)
SECRET = ("key", "token", "secret", "password")


Setting = str | Mapping[str, str]


def differing(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """The settings in which the entries are not all alike, each with its value per entry.

    Of a setting with several values (`fps=2, max_frames=64`) only those that differ are given.
    """
    settings = [settings_of(entry) for entry in entries]
    found = {}
    for name in settings[0]:
        values = [setting[name] for setting in settings]
        if any(value != values[0] for value in values):
            found[name] = _told_apart(values)
    return found


def _told_apart(values: Sequence[Setting]) -> list[str]:
    """What differs in the values, as text."""
    parts = [value if isinstance(value, Mapping) else {"": value} for value in values]
    keys = sorted({key for part in parts for key in part})
    keys = [key for key in keys if len({part.get(key) for part in parts}) > 1]
    return [
        ", ".join(f"{key}={part[key]}" if key else part[key] for key in keys if key in part) or "-"
        for part in parts
    ]


def settings_of(entry: Entry) -> dict[str, Setting]:
    """What decides the scores besides the model, by name; the same names for every entry."""
    run = entry.run
    task, given = run.task_config, run.run_config
    data = task.get("dataset_kwargs")
    data = dict(data) if isinstance(data, Mapping) else {}
    prompt = str(data.pop("prompt", "") or "")
    logged = sorted({q.prompt for q in (entry.questions or {}).values() if q.prompt})
    specific = task.get("lmms_eval_specific_kwargs")
    return {
        "prompt": ", ".join(logged) or prompt or _text(specific),
        "frame sampling": sampling(given.get("model_args")),
        "generation": _texts(task.get("generation_kwargs")),
        "questions": f"{_shown(run.questions)} of {_shown(run.available)}",
        "limit": f"limit {given.get('limit')}, offset {given.get('offset') or 0}",
        "data": _texts({**data, "path": task.get("dataset_path"), "split": task.get("test_split")}),
        "repeats": str(task.get("repeats") or 1),
        "model class": str(given.get("model") or "-"),
        "system prompt": _text(_arguments(given).get("system_instruction")),
        "task version": run.version or "-",
    }


def sampling(model_args: Any) -> dict[str, str]:
    """The model arguments that decide which frames a model sees, at which size."""
    if isinstance(model_args, str):
        pairs = (part.partition("=") for part in model_args.split(","))
        model_args = {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
    if not isinstance(model_args, Mapping):
        return {}
    return {
        str(name): str(value)
        for name, value in sorted(model_args.items())
        if name not in NOT_SAMPLING and not any(word in str(name).lower() for word in SECRET)
    }


def _arguments(given: Mapping[str, Any]) -> Mapping[str, Any]:
    found = given.get("resolved_cli_args")
    return found if isinstance(found, Mapping) else {}


def _shown(count: int | None) -> str:
    return "?" if count is None else str(count)


def _texts(value: Any) -> dict[str, str]:
    """The settings of a mapping that are set, as text."""
    if not isinstance(value, Mapping):
        return {} if value is None else {"": _text(value)}
    return {str(key): _text(item) for key, item in sorted(value.items()) if item is not None}


def _text(value: Any) -> str:
    """A setting in one line, the same for equal settings."""
    if value in (None, ""):
        return "-"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
