"""A tiny random dual encoder in the files of a real one."""

from pathlib import Path

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
