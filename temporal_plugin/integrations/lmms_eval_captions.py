"""Open answers (captions), judged by a local OpenAI-compatible server where one is configured."""

from __future__ import annotations

import os
from functools import cache

from temporal_plugin.annotations.sample import Sample
from temporal_plugin.answers import REFUSAL, Answer

URL_SETTING = "TEMPORAL_PLUGIN_JUDGE_URL"
MODEL_SETTING = "TEMPORAL_PLUGIN_JUDGE_MODEL"
