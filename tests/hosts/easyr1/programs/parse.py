"""EasyR1's real config parser on what the launcher makes of a config.

`parse.py OUT CONFIG [a.b=c ...]`: OUT gets the parsed config and our settings as JSON.
"""

import json
import sys
from pathlib import Path

from omegaconf import OmegaConf
from verl.trainer.config import PPOConfig

from temporal_plugin.integrations.easyr1_launch import read_config, split_config


def main(out: str, *arguments: str) -> None:
    own, settings = split_config(read_config(arguments))
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(PPOConfig()), own))
    config.deep_post_init()
    found = {"config": config.to_dict(), "temporal": settings.to_environment()}
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
