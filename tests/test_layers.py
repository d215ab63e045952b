"""Who may import whom: the table of the design, enforced on the source of the whole package."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "temporal_plugin"
ROOT = Path(__file__).parent.parent / PACKAGE

CORE = ("spans", "answers", "prompts", "rewards", "metrics")
LEAVES = ("resources", "torchvision_shim")  # use nothing of this package
# may use everything, the heavy part in functions
TOOLS = (
    *("command_errors", "report", "demo", "cli", "doctor"),
    *("frames_command", "curate_command", "search_filter_command", "traces_command"),
)
LOWER = (*CORE, *LEAVES, "annotations", "video")

# Part of the package -> the parts it may import, besides itself.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    **{part: CORE[:index] for index, part in enumerate(CORE)},
    **dict.fromkeys(LEAVES, ()),
    "annotations": (*CORE, "resources"),
    "video": ("spans", *LEAVES),
    "search": LOWER,
    "curation": LOWER,
    "integrations": (*LOWER, "search", "curation"),
    **dict.fromkeys(TOOLS, (*LOWER, "search", "curation", "integrations", *TOOLS)),
}
# Single files that a part may use although the rest of their part is above it.
ALSO = {"annotations": (f"{PACKAGE}.video.length",)}  # a header's length; knows no torch
WITHOUT_TORCH = (*CORE, "annotations")  # not even inside a function
TORCH_AT_THE_TOP = ("video", "search", "curation", "integrations", "torchvision_shim")
CORE_THIRD_PARTY = {"metrics": {"numpy"}, "prompts": {"yaml"}}
# Host -> beginnings of the names of the files in integrations/ that may know it.
HOSTS = {"verl": ("verl_", "easyr1_"), "lmms_eval": ("lmms_eval_",)}
SHARED = ("verl_reward",)  # knows no host's code: EasyR1 is to score as verl does


@dataclass(frozen=True)
class Import:
    """One import statement; `lazy` if it stands in a function or is for type checkers only."""

    file: Path
    line: int
    module: str
    lazy: bool

    @property
    def part(self) -> str:
        return self.file.relative_to(ROOT).parts[0].removesuffix(".py")

    @property
    def target(self) -> str | None:
        """The part of this package that is imported, None for other packages."""
        names = self.module.split(".")
        return names[1] if names[0] == PACKAGE and len(names) > 1 else None

    @property
    def root(self) -> str:
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT.parent)}:{self.line} imports {self.module}"


def imports_of(file: Path) -> Iterator[Import]:
    yield from _walk(file, ast.parse(file.read_text(encoding="utf-8")), lazy=False)


def _walk(file: Path, node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(file, child.lineno, alias.name, lazy)
        elif isinstance(child, ast.ImportFrom):
            for module in _modules(file, child):
                yield Import(file, child.lineno, module, lazy)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            inside = inside or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child))
            yield from _walk(file, child, lazy=lazy or inside)


def _modules(file: Path, node: ast.ImportFrom) -> list[str]:
    """The modules of `from a import b`; `from package import part` names the part."""
    module = node.module or ""
    if node.level:
        above = file.relative_to(ROOT.parent).with_suffix("").parts[: -node.level]
        module = ".".join((*above, module)).rstrip(".")
    if module == PACKAGE:
        return [f"{PACKAGE}.{alias.name}" for alias in node.names if alias.name != "__version__"]
    return [module]


FILES = sorted(file for file in ROOT.rglob("*.py") if file != ROOT / "__init__.py")
IMPORTS = [found for file in FILES for found in imports_of(file)]


def failing(wrong: list[Import]) -> str:
    return "\n".join(["imports against the design's table:", *map(str, wrong)])


def test_every_part_has_its_row_in_the_table():
    parts = {file.relative_to(ROOT).parts[0].removesuffix(".py") for file in FILES}
    assert parts <= set(MAY_IMPORT), "add the new part to the table of the design and to this one"


def test_each_layer_imports_only_earlier_ones():
    wrong = [
        found
        for found in IMPORTS
        if found.target not in (None, found.part)
        and found.target not in MAY_IMPORT[found.part]
        and found.module not in ALSO.get(found.part, ())
    ]
    assert not wrong, failing(wrong)


def test_the_core_needs_the_standard_library_only():
    wrong = [
        found
        for found in IMPORTS
        if found.part in CORE
        and found.root != PACKAGE
        and found.root not in sys.stdlib_module_names
        and found.root not in CORE_THIRD_PARTY.get(found.part, ())
    ]
    assert not wrong, failing(wrong)


def test_torch_stays_where_it_is_needed():
    wrong = [
        found
        for found in IMPORTS
        if found.root in ("torch", "torchvision", "transformers", "vllm")
        and (found.part in WITHOUT_TORCH or (not found.lazy and found.part not in TORCH_AT_THE_TOP))
    ]
    assert not wrong, failing(wrong)


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_known_in_its_own_files_only(host):
    wrong = [
        found
        for found in IMPORTS
        if found.root == host
        and not (found.part == "integrations" and found.file.name.startswith(HOSTS[host]))
    ]
    assert not wrong, failing(wrong)


def test_hosts_do_not_know_each_other():
    wrong = []
    for found in IMPORTS:
        if found.part == "integrations" and found.target == "integrations":
            target = found.module.removeprefix(f"{PACKAGE}.integrations.")
            if target in SHARED:
                continue
            for prefixes in (("verl_",), ("easyr1_",), ("lmms_eval_",)):
                if target.startswith(prefixes) and not found.file.name.startswith(prefixes):
                    wrong.append(found)
    assert not wrong, failing(wrong)


def test_tools_load_the_heavy_parts_inside_functions():
    wrong = [
        found
        for found in IMPORTS
        if found.part in TOOLS
        and found.part != "doctor"  # is itself loaded inside a function of cli
        and not found.lazy
        # the tools themselves are light
        and found.target not in (None, *TOOLS, *CORE, *LEAVES)
    ]
    assert not wrong, failing(wrong)


def test_the_walk_sees_every_kind_of_import(tmp_path):
    file = ROOT / "video" / "imagined.py"
    source = (
        "import a.b\nfrom c import d\nfrom . import e\nfrom ..spans import f\n"
        f"from {PACKAGE} import rewards\n"
        "def g():\n    import torch\n"
        "if TYPE_CHECKING:\n    import h\n"
        "class K:\n    import m\n"
    )
    found = {(i.module, i.lazy) for i in _walk(file, ast.parse(source), lazy=False)}
    assert found == {
        ("a.b", False),
        ("c", False),
        (f"{PACKAGE}.video", False),
        (f"{PACKAGE}.spans", False),
        (f"{PACKAGE}.rewards", False),
        ("torch", True),
        ("h", True),
        ("m", False),
    }


@pytest.mark.parametrize("part", (*CORE, "annotations"))
def test_importing_the_core_leaves_torch_unloaded(part):
    program = f"import sys, {PACKAGE}.{part}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
