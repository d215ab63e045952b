"""EasyR1's real config parser on what the launcher makes of configs.

`parse.py REQUEST OUT`: REQUEST holds lists of the launcher's arguments; OUT gets per list the
parsed `config` and our settings (`temporal`), or the `error`.
"""

import json
import sys
from pathlib import Path

from omegaconf import OmegaConf
from verl.trainer.config import PPOConfig

from temporal_plugin.integrations.easyr1_launch import read_config, split_config
from temporal_plugin.integrations.easyr1_settings import VARIABLE


def parse(arguments):
    own, settings = split_config(read_config(arguments))
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(PPOConfig()), own))
    config.deep_post_init()
    temporal = json.loads(settings.to_environment()[VARIABLE])
    return {"config": config.to_dict(), "temporal": temporal}


def parse_or_error(arguments):
    try:
        return parse(arguments)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main(request: str, out: str) -> None:
    asked = json.loads(Path(request).read_text())
    Path(out).write_text(json.dumps([parse_or_error(arguments) for arguments in asked]))


if __name__ == "__main__":
    main(*sys.argv[1:])
