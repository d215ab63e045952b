"""Where our files and the user's datasets are looked for."""

import pytest

from temporal_plugin.resources import data_root, located, resource_dir


def test_the_data_root_is_the_variable_or_data(monkeypatch, tmp_path):
    monkeypatch.setenv("TEMPORAL_PLUGIN_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("TEMPORAL_PLUGIN_DATA")
    monkeypatch.chdir(tmp_path)
    assert data_root() == tmp_path / "data"


def test_a_plain_path_stays_as_it_is(tmp_path):
    assert located(str(tmp_path / "a.yaml")) == tmp_path / "a.yaml"


def test_a_recipe_brings_its_own_files():
    found = located("recipe:tiny_cpu/tiny_cpu.yaml")
    assert found == resource_dir("recipes") / "tiny_cpu/tiny_cpu.yaml"


@pytest.mark.parametrize("name", ["recipe:tiny_cpu/no.yaml", "recipe:../pyproject.toml", "recipe:"])
def test_no_other_file_is_a_recipes(name):
    with pytest.raises(
        FileNotFoundError, match=r"is no file of the recipes; there are: .*tiny_cpu"
    ):
        located(name)
