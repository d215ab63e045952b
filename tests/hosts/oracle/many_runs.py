"""`python -m many_runs COMMANDS.json`: several lmms-eval commands in one interpreter, in turn."""

import json
import sys
from pathlib import Path

from lmms_eval.__main__ import cli_evaluate

for arguments in json.loads(Path(sys.argv[1]).read_text("utf-8")):
    sys.argv = ["lmms-eval", *arguments]
    cli_evaluate()
