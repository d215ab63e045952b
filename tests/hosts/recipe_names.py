"""The recipes that exist, found as the hosts find them: files named after their folder."""

from temporal_plugin.resources import resource_dir

ROOT = resource_dir("recipes")
FOLDERS = sorted(folder for folder in ROOT.iterdir() if (folder / "README.md").is_file())
NAMES = sorted(
    file.stem
    for folder in FOLDERS
    for file in folder.glob("*.yaml")
    if file.stem.startswith(folder.name)
)
SFT = [name for name in NAMES if name.endswith("_sft")]
#: those whose model, data and machine are settings
METHODS = [name for name in NAMES if not name.startswith("tiny")]
GRPO = [name for name in METHODS if name not in SFT]
#: those that search; their CPU variant is the recipe tiny_search
SEARCH = [name for name in GRPO if name.startswith("timesearch")]
MACHINES = sorted(file.stem for file in (ROOT / "base/machine").glob("*.yaml"))
