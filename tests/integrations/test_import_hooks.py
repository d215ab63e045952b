"""Callbacks that wait for a module."""

import subprocess
import sys

from temporal_plugin.integrations.import_hooks import when_imported


def test_called_after_the_import_and_at_once_if_imported(tmp_path, monkeypatch):
    (tmp_path / "late_module_a.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = []
    when_imported("late_module_a", lambda module: seen.append(module.value))
    when_imported("late_module_a", lambda module: seen.append(module.value + 1))
    assert seen == []
    import late_module_a  # noqa: F401

    assert seen == [1, 2]
    when_imported("late_module_a", lambda module: seen.append(3))
    assert seen == [1, 2, 3]


def test_looking_a_module_up_does_not_lose_the_callback(tmp_path):
    """transformers asks `find_spec` for a package before it imports it."""
    (tmp_path / "late_module_b.py").write_text("value = 1\n")
    code = (
        "import importlib.util, sys; sys.path.insert(0, sys.argv[1])\n"
        "from temporal_plugin.integrations.import_hooks import when_imported\n"
        "when_imported('late_module_b', lambda m: print('called'))\n"
        "importlib.util.find_spec('late_module_b'); import late_module_b"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert found.stdout == "called\n"
