"""Builds a Qwen2.5-VL or Qwen3-VL of about one million parameters from its config.

The folder holds what a released checkpoint holds (weights, generation config, tokenizer, chat
template, processor), so that transformers, verl and vLLM load it like any other model.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from temporal_plugin.demo.settings import FAMILIES, PATCH_SIZES, DemoSettings

logger = logging.getLogger(__name__)

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END, VISION_START, VISION_END, IMAGE, VIDEO)
#: tags of the answer contracts, one token each, as text that stays when special tokens are skipped
TAGS = ("<think>", "</think>", "<answer>", "</answer>")

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif part['type'] == 'video' -%}
{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- elif part['type'] == 'text' -%}
{{- part['text'] -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\n' -}}
{%- endif -%}
"""

HIDDEN, HEADS, VISION_HIDDEN = 128, 4, 64
#: about 1 / sqrt(2 * HIDDEN); the released models' 0.02 suits thousands of dimensions, and with it
#: so small a model learns markedly slower
WEIGHT_STD = 0.06
#: the positions of a short clip differ by 16 at most; a base of a million would leave most of the
#: rotary pairs unmoved
ROPE_THETA = 1000.0
#: the vocabulary is a multiple of this, as kernels and tensor parallelism like it
VOCABULARY_MULTIPLE = 64


def build(
    family: str, out: Path, seed: int, texts: Iterable[str], sentences: Iterable[str] = ()
) -> int:
    """Writes a randomly initialised model with its processor.

    Args:
        family: one of `FAMILIES`.
        out: folder to write; created where missing.
        seed: decides the weights.
        texts: prompts and answers that the tokenizer is trained on.
        sentences: fixed parts of the prompts; each becomes one token, so that sequences are short.

    Returns:
        The number of parameters.

    Raises:
        ValueError: unknown family.
    """
    import torch
    from transformers import AutoModelForImageTextToText, GenerationConfig

    if family not in FAMILIES:
        raise ValueError(f"model family {family!r} is unknown; use one of {FAMILIES}")
    tokenizer = train_tokenizer(texts, sentences)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    vocabulary = -(-len(tokenizer) // VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE
    torch.manual_seed(seed)
    config = _config(family, vocabulary, ids)
    # float32: GRPO's small steps would be lost in bfloat16 weights, and most CPUs are faster at it
    model = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
    model.generation_config = GenerationConfig(
        bos_token_id=ids[END_OF_TEXT],
        eos_token_id=[ids[TURN_END], ids[END_OF_TEXT]],
        pad_token_id=ids[END_OF_TEXT],
    )
    model.save_pretrained(out)
    _processor(family, tokenizer).save_pretrained(out)
    count = sum(weight.numel() for weight in model.parameters())
    logger.info("%s with %.2f M parameters, %d tokens: %s", family, count / 1e6, vocabulary, out)
    return count


def build_for_demo(settings: DemoSettings) -> int:
    """`build` in `settings.model_dir`, with a tokenizer trained on the train clips' questions."""
    import re

    from temporal_plugin import prompts
    from temporal_plugin.annotations import load_samples
    from temporal_plugin.demo.cold_start import answer_text

    prompt = prompts.load(settings.prompt)
    texts = ["system user assistant <0.5 seconds>"]
    for sample in load_samples(settings.clips_dir / "train.jsonl"):
        parts = prompt.messages(sample)[-1]["content"]
        texts += [part["text"] for part in parts if part["type"] == "text"]
        texts.append(answer_text(sample.spans[0]))
    # what stands around the fields {query}, {duration} of the template
    sentences = [part for part in re.split(r"\{\w+\}", prompt.user) if len(part.split()) > 2]
    return build(settings.family, settings.model_dir, settings.seed, texts, sentences)


def train_tokenizer(texts: Iterable[str], sentences: Iterable[str] = ()) -> Any:
    """A byte-level BPE tokenizer: any text can be written in it, ours in few tokens.

    Digits stay single tokens, so that a time is read and written place by place.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=640,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    whole = [*sentences, *TAGS]
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in whole])
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        model_max_length=4096,
        padding_side="left",
        chat_template=CHAT_TEMPLATE,
        # the processors look the placeholders up by these names
        extra_special_tokens={
            "image_token": IMAGE,
            "video_token": VIDEO,
            "vision_start_token": VISION_START,
            "vision_end_token": VISION_END,
        },
    )


def _config(family: str, vocabulary: int, ids: dict[str, int]) -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen3VLConfig

    text = {
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": 4,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS // 2,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
        "bos_token_id": ids[END_OF_TEXT],
        "eos_token_id": ids[TURN_END],
        "pad_token_id": ids[END_OF_TEXT],
        "initializer_range": WEIGHT_STD,
    }
    vision = {
        "depth": 2,
        "hidden_size": VISION_HIDDEN,
        "num_heads": 2,
        "intermediate_size": 2 * VISION_HIDDEN,
        "out_hidden_size": HIDDEN,
        "patch_size": PATCH_SIZES[family],
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "initializer_range": WEIGHT_STD,
    }
    common = {
        "image_token_id": ids[IMAGE],
        "video_token_id": ids[VIDEO],
        "vision_start_token_id": ids[VISION_START],
        "vision_end_token_id": ids[VISION_END],
        "tie_word_embeddings": False,
    }
    if family == "qwen2_5_vl":
        # a head has 32 dimensions, 16 rotary pairs: most for time, the rest for rows and columns
        text["rope_parameters"] = {
            "rope_type": "default",
            "rope_theta": ROPE_THETA,
            "mrope_section": [8, 4, 4],
        }
        vision |= {"window_size": 112, "fullatt_block_indexes": [1], "tokens_per_second": 2}
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision, **common)
    text["head_dim"] = HIDDEN // HEADS
    text["rope_parameters"] = {
        "rope_type": "default",
        "rope_theta": ROPE_THETA,
        "mrope_section": [6, 5, 5],
        "mrope_interleaved": True,
    }
    vision |= {"num_position_embeddings": 256, "deepstack_visual_indexes": [0]}
    return Qwen3VLConfig(text_config=text, vision_config=vision, **common)


def _processor(family: str, tokenizer: Any) -> Any:
    from transformers import (
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    patch = PATCH_SIZES[family]
    token_area = (2 * patch) ** 2
    shape = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": 2}
    images = Qwen2VLImageProcessor(
        **shape, size={"shortest_edge": token_area, "longest_edge": 64 * token_area}
    )
    # limits wide enough that frames which `Sampling` sized are never sized a second time;
    # Qwen2.5-VL counts the pixels of a frame, Qwen3-VL those of the whole video
    limits = {"shortest_edge": token_area, "longest_edge": 4096 * token_area}
    if family == "qwen2_5_vl":
        videos = Qwen2VLVideoProcessor(**shape, size=limits)
        processor = Qwen2_5_VLProcessor
    else:
        videos = Qwen3VLVideoProcessor(**shape, size=limits)
        processor = Qwen3VLProcessor
    return processor(
        image_processor=images,
        tokenizer=tokenizer,
        video_processor=videos,
        chat_template=CHAT_TEMPLATE,
    )
