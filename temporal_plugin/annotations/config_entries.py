"""The YAML that says which annotation files to load, from where and how much of them.

Paths may be URLs (see `remote`): the annotation file is copied when it is read, and videos below a
remote `data_folder` are looked for among the copies that `temporal-plugin data fetch` makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from temporal_plugin.annotations import clip_policy, remote, row_limits
from temporal_plugin.annotations.errors import AnnotationError
from temporal_plugin.annotations.registry import READERS, find_reader
from temporal_plugin.annotations.sampling_strategy import ALLOWED, parse_strategy
from temporal_plugin.annotations.span_faults import POLICIES
from temporal_plugin.annotations.strict_json import read_text
from temporal_plugin.resources import data_root

TOP_KEYS = ("datasets", "below_data_root")
OWN_FORMATS = ("jsonl", "parquet", "verl")
"""Rows that can stand alone: videos may be absolute or beside the file, a clip is to be cut out."""
ON_BAD_ROW = ("error", "drop")


@dataclass(frozen=True)
class DatasetConfig:
    """One entry of `datasets`, its paths absolute or URLs.

    `clip` is a policy of `clip_policy`, None where the entry names none; `weight` is None where
    it names none. `data_url` is the remote origin of the files in `data_folder`.
    """

    where: str
    json_path: Path | str
    format: str
    data_folder: Path | None = None
    data_url: str | None = None
    strip_prefix: str = ""
    clip: str | None = None
    weight: float | None = None
    sampling_strategy: str = "all"
    on_bad_span: str = "drop"
    on_bad_row: str = "error"
    seed: int = 0
    limits: row_limits.RowLimits = row_limits.NONE
    options: dict[str, Any] = field(default_factory=dict)
    """What the reader gets: split, video_extension, durations, and the entry's `options`."""


KEYS = (
    "json_path",
    "data_folder",
    "strip_prefix",
    "format",
    "clip",
    "weight",
    "split",
    "video_extension",
    "durations",
    "options",
    "sampling_strategy",
    "seed",
    "on_bad_span",
    "on_bad_row",
    *row_limits.KEYS,
)


def read_data_config(path: str | Path) -> list[DatasetConfig]:
    """The entries of a data config.

    Relative paths start at the config's folder, or with `below_data_root: true` at the folder that
    the environment variable TEMPORAL_PLUGIN_DATA names (`./data` where it is not set).

    Raises:
        AnnotationError: not YAML of this form; names the file, the line and the key.
    """
    path = Path(path)
    text = read_text(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_repeats(node, path)
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise AnnotationError(f"not YAML ({problem})", where=str(path)) from None
    except (RecursionError, ValueError) as error:
        if isinstance(error, AnnotationError):
            raise
        raise AnnotationError(f"not usable YAML ({error})", where=str(path)) from None
    _known_keys(content, TOP_KEYS, str(path))
    entries = content.get("datasets")
    if not isinstance(entries, list) or not entries:
        raise AnnotationError(
            "nothing to load",
            where=str(path),
            field="datasets",
            value=entries,
            allowed="a list of entries with json_path and data_folder",
        )
    below = content.get("below_data_root", False)
    if not isinstance(below, bool):
        raise AnnotationError(
            "not a switch",
            where=str(path),
            field="below_data_root",
            value=below,
            allowed="true or false",
        )
    folder = data_root() if below else path.parent
    return [_dataset(entry, f"{path}: datasets[{n}]", folder) for n, entry in enumerate(entries)]


def _refuse_repeats(node: yaml.Node | None, path: Path) -> None:
    """YAML would let the last of two equal keys win in silence."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if isinstance(item, yaml.MappingNode):
                _refuse_repeats(item, path)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                raise AnnotationError(
                    "key given twice",
                    where=f"{path}:{key.start_mark.line + 1}",
                    field=key.value,
                    allowed="each key once",
                )
            seen.add(key.value)
        if key.value == "datasets":
            _refuse_repeats(value, path)


def _known_keys(content: Any, allowed: tuple[str, ...], where: str) -> None:
    if not isinstance(content, dict):
        raise AnnotationError(
            "not a mapping", where=where, value=content, allowed=f"keys {', '.join(allowed)}"
        )
    for key in content:
        if key not in allowed:
            raise AnnotationError("unknown key", where=where, value=key, allowed=", ".join(allowed))


def _dataset(entry: Any, where: str, folder: Path) -> DatasetConfig:
    _known_keys(entry, KEYS, where)
    try:
        return _checked(entry, where, folder)
    except AnnotationError as error:
        raise error.at(where) from None


def _checked(entry: dict[str, Any], where: str, folder: Path) -> DatasetConfig:
    json_path = _path(entry, "json_path", folder)
    if json_path is None:
        raise AnnotationError("missing", field="json_path", allowed="the annotation file's path")
    format = _format(entry, json_path)
    data_folder, data_url = _path(entry, "data_folder", folder), None
    if remote.is_remote(data_folder):
        data_folder, data_url = remote.cache_folder(data_folder), data_folder
    if data_folder is None and (format not in OWN_FORMATS or remote.is_remote(json_path)):
        raise AnnotationError(
            "missing", field="data_folder", allowed="the folder that holds the videos"
        )
    strategy = entry.get("sampling_strategy", "all")
    try:
        parse_strategy(strategy)
    except ValueError:
        raise AnnotationError(
            "unknown strategy", field="sampling_strategy", value=strategy, allowed=ALLOWED
        ) from None
    seed = entry.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise AnnotationError("not a seed", field="seed", value=seed, allowed="an integer")
    return DatasetConfig(
        where=where,
        json_path=json_path,
        format=format,
        data_folder=data_folder,
        data_url=data_url,
        strip_prefix=_string(entry, "strip_prefix") or "",
        clip=_one_of(entry, "clip", clip_policy.POLICIES) if "clip" in entry else None,
        weight=_weight(entry),
        sampling_strategy=strategy,
        on_bad_span=_one_of(entry, "on_bad_span", POLICIES),
        on_bad_row=_one_of(entry, "on_bad_row", ON_BAD_ROW),
        seed=seed,
        limits=row_limits.RowLimits.from_entry(entry),
        options=_options(entry, folder),
    )


def _format(entry: dict[str, Any], json_path: Path | str) -> str:
    format = entry.get("format", "jsonl" if str(json_path).endswith(".jsonl") else None)
    allowed = f"{', '.join(READERS)}, an entry point's name or module:function"
    if not isinstance(format, str):
        raise AnnotationError(
            "the format cannot be told from the file name",
            field="format",
            value=format,
            allowed=allowed,
            remedy=f"say which it is, for example `format: {next(iter(READERS))}`",
        )
    try:
        find_reader(format)
    except ValueError as error:
        raise AnnotationError(str(error), field="format", value=format, allowed=allowed) from None
    return format


def _options(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    options = entry.get("options", {})
    if not isinstance(options, dict) or not all(isinstance(key, str) for key in options):
        raise AnnotationError(
            "not a mapping", field="options", value=options, allowed="the reader's options by name"
        )
    options = dict(options)
    for name in ("split", "video_extension"):
        if name in entry:
            options[name] = _string(entry, name)
    durations = _path(entry, "durations", folder)
    if durations is not None:
        options["durations"] = durations
    return options


def _string(entry: dict[str, Any], key: str) -> str | None:
    value = entry.get(key)
    if key in entry and not isinstance(value, str):
        raise AnnotationError("not a string", field=key, value=value, allowed="a string")
    return value


def _weight(entry: dict[str, Any]) -> float | None:
    if "weight" not in entry:
        return None
    value = entry["weight"]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 1e-6 <= value <= 1e6:
        raise AnnotationError(
            "not a weight", field="weight", value=value, allowed="a number from 1e-6 to 1e6"
        )
    return float(value)


def _path(entry: dict[str, Any], key: str, folder: Path) -> Path | str | None:
    if entry.get(key) is None:
        return None
    value = entry[key]
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise AnnotationError("not a path", field=key, value=value, allowed="a path or a URL")
    if remote.is_remote(value):
        return value.rstrip("/")
    # resolve() and not a textual clean-up, so that `..` after a link means what the system means.
    return (folder / Path(value).expanduser()).resolve()


def _one_of(entry: dict[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    value = entry.get(key, allowed[0])
    if value not in allowed:
        raise AnnotationError("unknown setting", field=key, value=value, allowed=", ".join(allowed))
    return value
