"""Makes `import torchvision` work where its CUDA wheel lies beside a CPU torch.

The registry's torchvision wheel is a CUDA build. Beside a CPU torch its extension cannot load, and
the import then dies because the operator `torchvision::nms` was never declared. Declaring the two
operators (without a kernel) before the import is enough: nobody here calls them.

    python -m temporal_plugin.torchvision_shim     # installs the shim only where it is needed
"""

import importlib.abc
import subprocess
import sys
import sysconfig
from pathlib import Path

NAME = "temporal_plugin_torchvision_shim"
_libraries = []  # an operator declaration lives as long as its Library object


class DeclareOperators(importlib.abc.MetaPathFinder):
    """Declares the operators the first time torchvision is looked up, then steps aside."""

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision":
            sys.meta_path.remove(self)
            import torch

            if not _libraries and not torch.cuda.is_available():  # a .pth may be read twice
                library = torch.library.Library("torchvision", "FRAGMENT")
                for operator in ("nms", "qnms"):
                    signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                    library.define(operator + signature)
                _libraries.append(library)
        return None


def import_works() -> bool:
    """True where a fresh Python imports torchvision."""
    code = [sys.executable, "-c", "import torchvision"]
    return subprocess.run(code, capture_output=True, check=False).returncode == 0


def install() -> str:
    """Install the shim into this environment if torchvision needs it; return what was done.

    Raises:
        RuntimeError: torchvision still cannot be imported, for another reason.
    """
    if import_works():
        return "torchvision imports: nothing to do"
    site_packages = Path(sysconfig.get_path("purelib"))
    source = Path(__file__).read_text(encoding="utf-8")
    (site_packages / f"{NAME}.py").write_text(source, encoding="utf-8")
    (site_packages / f"{NAME}.pth").write_text(
        f"import sys, {NAME}; sys.meta_path.insert(0, {NAME}.DeclareOperators())\n"
    )
    if not import_works():
        raise RuntimeError(
            "torchvision cannot be imported even with its operators declared: "
            "is it installed, and for this version of torch? Try `python -c 'import torchvision'`"
        )
    return f"torchvision's CUDA wheel beside a CPU torch: shim installed in {site_packages}"


if __name__ == "__main__":
    sys.stdout.write(install() + "\n")
