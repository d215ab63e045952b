"""What is installed, what of it works together, and what our plugins in the hosts say."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, entry_points, requires, version
from pathlib import Path

from temporal_plugin.integrations.versions import HOSTS, distribution, installed, problem
from temporal_plugin.resources import resource_dir

DECODERS = ("torchcodec", "decord", "av")
"""Python modules that can decode a video; one is enough."""


@dataclass(frozen=True)
class Finding:
    """One line of the report; `state` is "ok", "absent" or "broken"."""

    what: str
    state: str
    detail: str


def examine(store: Path | None = None) -> list[Finding]:
    """Look at host versions, our entry points, decoders, imports, folders and the frame store.

    Args:
        store: folder of the frame store; TEMPORAL_PLUGIN_FRAME_STORE where None.
    """
    checks: list[Callable[[], list[Finding]]] = [
        _hosts,
        _requirements,
        _entry_points,
        _decoders,
        _imports,
        _folders,
        partial(_frame_store, store),
    ]
    return [finding for check in checks for finding in check()]


def as_rows(findings: list[Finding]) -> list[dict[str, str]]:
    """The findings as JSON-able rows."""
    return [asdict(finding) for finding in findings]


def _hosts() -> list[Finding]:
    found = []
    for name, (low, high) in HOSTS.items():
        version = installed(name)
        if version is None:
            extra = {"transformers": "video"}.get(name, name)
            remedy = f"pip install 'temporal-plugin[{extra}]' (>={low},<{high})"
            found.append(Finding(name, "absent", remedy))
        else:
            wrong = problem(name)
            found.append(Finding(name, "broken" if wrong else "ok", wrong or version))
    return found


def _requirements() -> list[Finding]:
    """What an installed host demands of its own requirements and does not get."""
    hosts = [distribution(name) for name in ("temporal-plugin", *HOSTS)]
    lines = [line for name in hosts if name is not None for line in _violations(name)]
    if not lines:
        return [Finding("requirements of the hosts", "ok", "")]
    return [Finding("requirements of the hosts", "broken", "; ".join(lines))]


def _violations(name: str) -> Iterator[str]:
    from packaging.requirements import Requirement

    for text in requires(name) or []:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            continue  # leaving a package out can be meant; its import says whether it is missed
        if not wanted.specifier.contains(found, prereleases=True):
            yield f"{name} needs {wanted.name}{wanted.specifier}, installed is {found}"


def _entry_points() -> list[Finding]:
    """verl and lmms-eval hide a plugin that fails to load; here the reason is shown."""
    found = []
    for group, host in (("verl.plugins", "verl"), ("lmms_eval.models", "lmms-eval")):
        ours = [point for point in entry_points(group=group) if point.name == "temporal_plugin"]
        if not ours:
            remedy = "not registered: reinstall temporal-plugin with pip"
            found.append(Finding(f"plugin in {host}", "broken", remedy))
        elif installed(host) is not None:
            found.append(_try(f"plugin in {host}", ours[0].load))
    chosen = os.environ.get("VERL_USE_EXTERNAL_PLUGINS", "auto")
    if chosen != "auto" and "temporal_plugin" not in chosen.split(","):
        text = f"VERL_USE_EXTERNAL_PLUGINS={chosen} keeps verl from loading it; unset it"
        found.append(Finding("plugin in verl", "broken", text))
    return found


def _decoders() -> list[Finding]:
    found = [_try(f"decoder {name}", partial(importlib.import_module, name)) for name in DECODERS]
    if not any(finding.state == "ok" for finding in found):
        remedy = "none loads, so that no video can be read; pip install av"
        found.append(Finding("decoders", "broken", remedy))
    # one decoder more or less is no fault where another works
    usable = any(finding.state == "ok" for finding in found)
    return [
        Finding(finding.what, "absent", finding.detail)
        if usable and finding.state == "broken"
        else finding
        for finding in found
    ]


def _imports() -> list[Finding]:
    names = ("torchvision", "qwen_vl_utils", "flash_attn")
    return [_try(name, partial(importlib.import_module, name)) for name in names]


def _folders() -> list[Finding]:
    return [_try(name, partial(resource_dir, name)) for name in ("recipes", "lmms_tasks")]


def _frame_store(folder: Path | None) -> list[Finding]:
    from temporal_plugin.video.source import STORE_VARIABLE

    folder = folder or Path(os.environ.get(STORE_VARIABLE, ""))
    if folder == Path():
        return [Finding("frame store", "absent", f"--store or {STORE_VARIABLE} names one")]
    if not folder.is_dir():
        remedy = f"{folder} is no folder; `temporal-plugin frames build` makes one"
        return [Finding("frame store", "broken", remedy)]
    try:
        from temporal_plugin.video.frame_store import FrameStore

        stat = FrameStore(folder).stat()
    except Exception as error:  # whatever stands there, the user must see why it is no store
        return [Finding("frame store", "broken", f"{type(error).__name__}: {error}"[:300])]
    text = f"{folder}: {stat.entries} entries, {stat.bytes / 1e6:.1f} MB"
    if stat.unreadable or stat.left_behind:
        text += (
            f"; {stat.unreadable} unreadable, {stat.left_behind} left behind: "
            f"run `temporal-plugin frames verify --store {folder}`"
        )
    return [Finding("frame store", "broken" if stat.unreadable else "ok", text)]


def _try(what: str, action: Callable[[], object]) -> Finding:
    try:
        action()
    except ModuleNotFoundError as error:
        return Finding(what, "absent", str(error))
    except Exception as error:  # whatever a host's import raises is what the user must see
        return Finding(what, "broken", f"{type(error).__name__}: {error}"[:300])
    return Finding(what, "ok", "")
