"""Pictures and words as vectors of one space, by any Hugging Face dual encoder."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

#: families that were trained on lower-case text, padded to full length and never masked
SIGLIP_FAMILIES = ("siglip", "siglip2")
#: what decides a picture's vector, by name or by ending, among the files of a model
MODEL_FILES = ("config.json", "preprocessor_config.json", "processor_config.json")
WEIGHT_ENDINGS = (".safetensors", ".bin")
BATCH = 64
DTYPES = ("auto", "float32", "float16", "bfloat16")


class DualEncoder:
    """An image tower and a text tower whose vectors can be compared.

    Threads may share one.

    Args:
        model: a transformers model with `get_image_features` and `get_text_features`.
        processor: its processor: `image_processor` and `tokenizer`.
        fingerprint: stands for the weights and the preparation of pictures: vectors of equal
            fingerprints may be compared, whatever device and dtype made them.
        batch_size: pictures or texts at once.
    """

    def __init__(
        self, model: Any, processor: Any, fingerprint: str, batch_size: int = BATCH
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be 1 or more")
        self.model = model.eval().requires_grad_(False)
        self.processor = processor
        self.fingerprint = fingerprint
        self.batch_size = batch_size
        self._lock = threading.Lock()  # fast tokenizers refuse to be used by two threads at once

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return self.model.device

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        config = self.model.config
        found = getattr(config, "projection_dim", None)  # CLIP and its kin
        text = config.text_config
        return found or getattr(text, "projection_size", text.hidden_size)

    def images(self, pixels: torch.Tensor | np.ndarray) -> np.ndarray:
        """float32 [N, D], rows of length 1, of pictures.

        They are resized and normalised by the model's own image processor.

        Args:
            pixels: uint8 [N, C, H, W], RGB, of any size.

        Raises:
            ValueError: shape or dtype are others, or a vector is not finite.
        """
        pixels = torch.as_tensor(pixels)
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
            raise ValueError(
                f"pixels are {pixels.dtype} {tuple(pixels.shape)}; needed: uint8 [N, 3, H, W]"
            )
        return self._joined(list(self.stream(pixels)))

    def stream(self, pictures: Iterable[torch.Tensor]) -> Iterator[np.ndarray]:
        """As `images`, batch by batch, for pictures uint8 [3, H, W] that come one by one.

        Only one picture at a time is held at its full size.
        """
        prepared: list[dict[str, torch.Tensor]] = []
        for picture in pictures:
            prepared.append(self.prepare(picture))
            if len(prepared) == self.batch_size:
                yield self._features("images", _stacked(prepared))
                prepared = []
        if prepared:
            yield self._features("images", _stacked(prepared))

    def prepare(self, picture: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the image tower is given for uint8 [3, H, W], as the model's processor makes it."""
        # named, since a picture of 3 rows would otherwise be taken for one of 3 channels last
        settings = {"input_data_format": "channels_first", "return_tensors": "pt"}
        return dict(self.processor.image_processor(images=[picture], **settings))

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [N, D], rows of length 1, of texts; what is too long for the model is cut.

        Raises:
            TypeError: `texts` is one string.
            ValueError: a vector is not finite.
        """
        if isinstance(texts, str):
            raise TypeError(f"texts is the string {texts!r}; needed: a list of strings")
        starts = range(0, len(texts), self.batch_size)
        batches = (self.tokens(texts[start : start + self.batch_size]) for start in starts)
        return self._joined([self._features("texts", batch) for batch in batches])

    def tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """What the text tower is given.

        SigLIP and SigLIP2 read lower-case text, padded to their full length (64) without an
        attention mask, because they were trained so; others get padding only within a batch.
        """
        config = self.model.config
        siglip = config.model_type in SIGLIP_FAMILIES
        with self._lock:
            found = self.processor.tokenizer(
                [text.lower() for text in texts] if siglip else list(texts),
                padding="max_length" if siglip else True,
                truncation=True,
                max_length=config.text_config.max_position_embeddings,
                return_tensors="pt",
            )
        return {"input_ids": found["input_ids"]} if siglip else dict(found)

    @torch.inference_mode()
    def _features(self, kind: str, inputs: dict[str, torch.Tensor]) -> np.ndarray:
        tower = self.model.get_image_features if kind == "images" else self.model.get_text_features
        dtype, device = self.model.dtype, self.device
        inputs = {
            name: value.to(device, dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }
        found = tower(**inputs)
        rows = getattr(found, "pooler_output", found).float()  # [N, D]
        rows = (rows / rows.norm(dim=-1, keepdim=True)).cpu().numpy()
        if not np.isfinite(rows).all():
            raise ValueError(
                f"the encoder's vectors of {kind} are not finite in {dtype}; load it with "
                "dtype=bfloat16 or float32"
            )
        return rows

    def _joined(self, rows: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(rows) if rows else np.empty((0, self.dimensions), np.float32)


def _stacked(prepared: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([one[name] for one in prepared]) for name in prepared[0]}


def load_encoder(
    name_or_path: str | Path,
    device: str | torch.device | None = None,
    dtype: str = "auto",
    batch_size: int = BATCH,
) -> DualEncoder:
    """A dual encoder by its name on the hub or by its folder: SigLIP, SigLIP2, CLIP and others.

    Args:
        name_or_path: such as `google/siglip-so400m-patch14-384`.
        device: None takes the GPU where there is one.
        dtype: "auto" is float16 on a GPU (finer than bfloat16, and vectors have length 1) and
            float32 elsewhere; or one of them by name.
        batch_size: pictures or texts at once.

    Raises:
        OSError: there is no such model.
        ValueError: the model is no dual encoder, or an argument is out of range.
    """
    from transformers import AutoModel, AutoProcessor

    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed: {', '.join(DTYPES)}")
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if dtype == "auto":
        dtype = "float32" if device.type == "cpu" else "float16"
    model = AutoModel.from_pretrained(name_or_path, dtype=getattr(torch, dtype))
    if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
        raise ValueError(
            f"{name_or_path} is a {model.config.model_type} model, which does not compare pictures "
            "with text; name a dual encoder such as google/siglip-so400m-patch14-384"
        )
    processor = AutoProcessor.from_pretrained(name_or_path)
    return DualEncoder(model.to(device), processor, fingerprint(name_or_path), batch_size)


def fingerprint(name_or_path: str | Path) -> str:
    """32 hexadecimal digits of a model's weights and image settings: of the files' content.

    The same model has the same one by name and by folder, on every machine.

    Raises:
        OSError: there is no such model.
    """
    from transformers.utils import cached_file

    folder = Path(cached_file(str(name_or_path), "config.json")).parent
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.name in MODEL_FILES or file.suffix in WEIGHT_ENDINGS:
            digest.update(f"{file.name}:{file.stat().st_size}:".encode())
            with file.open("rb") as stream:
                while block := stream.read(1 << 22):
                    digest.update(block)
    return digest.hexdigest()[:32]
