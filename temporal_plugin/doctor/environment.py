"""`temporal-plugin doctor`: is this environment able to train and evaluate?"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points

from temporal_plugin.integrations.versions import HOSTS, installed, problem
from temporal_plugin.resources import resource_dir


@dataclass(frozen=True)
class Finding:
    """One line of the report; `state` is "ok", "absent" or "broken"."""

    what: str
    state: str
    detail: str


def examine() -> list[Finding]:
    """Look at host versions, our entry points, imports that often break, and our folders."""
    checks: list[Callable[[], list[Finding]]] = [_hosts, _entry_points, _imports, _folders]
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
    return found


def _imports() -> list[Finding]:
    names = ("torchvision", "decord", "av", "qwen_vl_utils", "flash_attn")
    return [_try(name, lambda name=name: importlib.import_module(name)) for name in names]


def _folders() -> list[Finding]:
    return [_try(name, lambda name=name: resource_dir(name)) for name in ("recipes", "lmms_tasks")]


def _try(what: str, action: Callable[[], object]) -> Finding:
    try:
        action()
    except ModuleNotFoundError as error:
        return Finding(what, "absent", str(error))
    except Exception as error:  # whatever a host's import raises is what the user must see
        return Finding(what, "broken", f"{type(error).__name__}: {error}"[:300])
    return Finding(what, "ok", "")
