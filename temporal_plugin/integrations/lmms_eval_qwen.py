"""What both engines of `temporal_qwen_vl` share: the checkpoint's processor and its pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from transformers import AutoConfig, AutoProcessor

from temporal_plugin.integrations.lmms_eval_answers import weights_version
from temporal_plugin.integrations.lmms_eval_base import Question, RequestError, VideoModel

SEED = "seed"  # of a prepared question, where there is one
FAMILIES = ("qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe")


class QwenModel(VideoModel):
    """A Qwen2.5-VL or Qwen3-VL checkpoint that is loaded into this process.

    Args:
        pretrained: folder or hub name of the checkpoint.
        draw_seed: every sampled answer draws from a generator of its own, seeded by this, the
            question's id and the number of the answer to it, so that neither the batch nor the
            shard in which it is asked changes it; None leaves the draws to the backend.
        settings: arguments of `VideoModel`, without the patch size.

    Raises:
        ValueError: another family of model, a wrong batch size or sampling setting.
    """

    applies_masks = True

    def __init__(self, pretrained: str, draw_seed: int | None = None, **settings: Any) -> None:
        self.pretrained = pretrained
        self.draw_seed = None if draw_seed is None else int(draw_seed)
        self.config = AutoConfig.from_pretrained(pretrained)
        if self.config.model_type not in FAMILIES:
            raise ValueError(
                f"{pretrained} is a {self.config.model_type} model; this class knows "
                f"{', '.join(FAMILIES)}. Our tasks also run with lmms-eval's own model classes"
            )
        self.timestamps_in_text = self.config.model_type != "qwen2_5_vl"
        super().__init__(patch_size=self.config.vision_config.patch_size, **settings)
        self.processor = AutoProcessor.from_pretrained(pretrained)
        self.tokenizer = self.processor.tokenizer
        # as in training's rollout: no video stands behind a placeholder that the model writes
        self.forbidden = [self.processor.image_token_id, self.processor.video_token_id]

    def identity(self) -> dict[str, Any]:
        found = {"pretrained": self.pretrained, "weights": weights_version(self.pretrained)}
        return found if self.draw_seed is None else {**found, "draw_seed": self.draw_seed}

    def seed_of(self, question: Question) -> int | None:
        """What seeds the draws of one answer, in [0, 2**63); None without `draw_seed`."""
        if self.draw_seed is None:
            return None
        base, _, number = question.key.rpartition("-")
        about = [self.draw_seed, question.document.get("id", base), number]
        digest = hashlib.blake2b(json.dumps(about).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1

    def pictures(self, question: Question) -> list:
        """The question's pictures as RGB, at a size that the model takes.

        Raises:
            RequestError: one cannot be read.
        """
        return load_pictures(question.images, self.sampling, self.patch_size)


def load_pictures(images: Sequence[Any], sampling: Any, patch_size: int) -> list:
    """PIL pictures as RGB, sized within the sampling's limits as qwen-vl-utils does.

    Args:
        images: PIL pictures or paths; nothing is fetched from the web.

    Raises:
        RequestError: one cannot be read, or is the address of a page.
    """
    from qwen_vl_utils import fetch_image

    limits = {
        name: value
        for name in ("min_pixels", "max_pixels")
        if (value := getattr(sampling, name)) is not None
    }
    found = []
    for image in images:
        if isinstance(image, str) and "://" in image:
            raise RequestError(f"picture {image[:200]!r}: give a path or a picture, no address")
        try:
            found.append(fetch_image({"image": image, **limits}, image_patch_size=patch_size))
        except (OSError, ValueError) as error:
            raise RequestError(f"a picture cannot be read ({error})") from error
    return found
