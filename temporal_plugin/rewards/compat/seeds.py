"""The published rewards by name."""

from __future__ import annotations

from temporal_plugin.rewards.compat import time_zero, tvg_r1, video_chat_r1
from temporal_plugin.rewards.compat.seed import Seed, Task
from temporal_plugin.rewards.compat.temporal_r1 import temporal_r1

_IOU_FORMAT = ("iou", "format")
_WITH_CHOICE = (*_IOU_FORMAT, "choice")
_LOGGED = ("timestep_pair", "length", "keywords", "paragraphs")

SEEDS: dict[str, Seed] = {
    seed.name: seed
    for seed in (
        Seed(
            "timezero",
            "github.com/www-Ye/TimeZero; Time-R1's fine-tuning has the same",
            {"grounding": Task(time_zero.time_zero, _IOU_FORMAT, {"iou": 1.0, "format": 1.0})},
        ),
        Seed(
            "time_r1",
            "github.com/xiaomi-research/time-r1, TimeRFT",
            {
                "grounding": Task(
                    time_zero.time_r1,
                    ("iou", "iou_v2", "format", *_LOGGED),
                    {"iou_v2": 1.0, "format": 1.0},
                )
            },
        ),
        Seed(
            "temporal_r1",
            "github.com/appletea233/Temporal-R1",
            {"grounding": Task(temporal_r1, _IOU_FORMAT, {"iou": 0.5, "format": 0.5})},
        ),
        Seed(
            "videochat_r1",
            "github.com/OpenGVLab/VideoChat-R1",
            {
                "grounding": Task(
                    video_chat_r1.grounding, _IOU_FORMAT, {"iou": 1.0, "format": 1.0}
                ),
                "grounded_choice": Task(
                    video_chat_r1.grounded_choice, _WITH_CHOICE, dict.fromkeys(_WITH_CHOICE, 1.0)
                ),
            },
        ),
        Seed(
            "tvg_r1",
            "github.com/zjuruizhechen/TVG-R1",
            {
                "grounding": Task(tvg_r1.grounding, _IOU_FORMAT, {"iou": 0.9, "format": 0.1}),
                "grounded_choice": Task(
                    tvg_r1.grounded_choice,
                    _WITH_CHOICE,
                    {"choice": 0.7, "iou": 0.2, "format": 0.1},
                ),
            },
        ),
    )
}
