"""Tiny random dual encoders in the files of real ones."""

from pathlib import Path

import pytest

WORDS = [
    "a",
    "the",
    "red",
    "blue",
    "green",
    "square",
    "circle",
    "appears",
    "moves",
    "person",
    "opens",
    "door",
    "[MASK]",
]


def build_tiny_siglip(folder: Path, *, seed: int = 0, size: int = 16, width: int = 32) -> Path:
    """A random SigLIP of a few thousand weights, saved as a real one is."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        SiglipConfig,
        SiglipImageProcessor,
        SiglipModel,
        SiglipProcessor,
    )

    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    tower = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = SiglipConfig(
        text_config={
            **tower,
            "vocab_size": len(vocabulary),
            "max_position_embeddings": 64,
            "projection_size": width,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "bos_token_id": 1,
        },
        vision_config={**tower, "image_size": size, "patch_size": size // 2},
    )
    torch.manual_seed(seed)
    SiglipModel(config).save_pretrained(folder)
    images = SiglipImageProcessor(size={"height": size, "width": size})
    SiglipProcessor(images, fast).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def siglip_folder(tmp_path_factory) -> Path:
    """The folder of a tiny random SigLIP."""
    return build_tiny_siglip(tmp_path_factory.mktemp("encoder") / "siglip")


@pytest.fixture(scope="session")
def encoder(siglip_folder):
    """The same, loaded."""
    from temporal_plugin.search.embed import load_encoder

    return load_encoder(siglip_folder, device="cpu")


@pytest.fixture(scope="session")
def scenes_video(write_video, tmp_path_factory) -> Path:
    """A 12 s mp4 at 10 fps, 64x48, of six 2 s scenes of one colour each."""
    import numpy as np

    colours = [
        (250, 10, 10),
        (10, 250, 10),
        (10, 10, 250),
        (240, 240, 10),
        (10, 240, 240),
        (0, 0, 0),
    ]
    frames = np.repeat(np.array(colours, np.uint8), 20, axis=0)[:, None, None, :]
    frames = np.broadcast_to(frames, (120, 48, 64, 3)).copy()
    return write_video(tmp_path_factory.mktemp("scenes") / "scenes.mp4", frames)
