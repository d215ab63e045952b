"""A tiny SigLIP that knows the demo's world: colours, shapes and the empty background.

It is trained from scratch on frames of the train clips and saved as any SigLIP checkpoint is, so
that the frame search loads it by its path like a released one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from temporal_plugin.demo import clips, search_clips
from temporal_plugin.demo.search_settings import EncoderSettings, SearchDemoSettings

if TYPE_CHECKING:
    import torch

#: wordings about a picture with a shape; {c} colour, {s} shape
WORDINGS = (
    "{c}", "{c} thing", "{c} shape", "a {c} thing", "the {c} thing", "a {c} shape",
    "{s}", "a {s}", "the {s}", "{c} {s}", "a {c} {s}", "the {c} {s}",
)  # fmt: skip
NOTHING = ("nothing", "an empty background", "the background")
EDGE_PIXELS, PATCH_PIXELS, WIDTH = 32, 8, 64
MAX_WORDS = 16
#: frames of each event and of the background that are drawn from a clip
FRAMES_PER_EVENT, FRAMES_OF_BACKGROUND = 2, 4


def texts() -> dict[str, tuple[str | None, str | None]]:
    """Every wording and what it speaks of: (colour, shape), None for any."""
    known: dict[str, tuple[str | None, str | None]] = {}
    for wording in WORDINGS:
        for colour in clips.COLOURS:
            for shape in search_clips.SHAPES:
                named = (colour if "{c}" in wording else None, shape if "{s}" in wording else None)
                known[wording.format(c=colour, s=shape)] = named
    return known


def pictures(settings: SearchDemoSettings) -> tuple[np.ndarray, list[tuple[str, str] | None]]:
    """uint8 [N, H, W, 3] from the train clips, and each one's (colour, shape), None for none."""
    found, labels = [], []
    for index in range(settings.clips.train):
        duration, events = search_clips.plan(settings.clips, settings.seed, "train", index)
        noise_seed = [settings.seed, clips.SPLITS.index("train"), index]
        frames = search_clips.draw(settings.clips, duration, events, noise_seed)
        rate = settings.clips.frames_per_second
        free = np.ones(len(frames), bool)
        for event in events:
            first, last = round(event.start_seconds * rate), round(event.end_seconds * rate) - 1
            free[first : last + 1] = False
            for number in np.linspace(first, last, FRAMES_PER_EVENT).round().astype(int):
                found.append(frames[number])
                labels.append((event.colour, event.shape))
        calm = np.flatnonzero(free)
        for number in calm[:: max(1, len(calm) // FRAMES_OF_BACKGROUND)][:FRAMES_OF_BACKGROUND]:
            found.append(frames[number])
            labels.append(None)
    return np.stack(found), labels


def truth(labels: Sequence[tuple[str, str] | None], named: Sequence[tuple | None]) -> np.ndarray:
    """bool [pictures, texts]: whether the text is true of the picture; None: nothing is there."""

    def fits(label: tuple[str, str] | None, text: tuple | None) -> bool:
        if label is None or text is None:
            return label is text
        return all(wanted in (None, value) for value, wanted in zip(label, text, strict=True))

    return np.array([[fits(label, text) for text in named] for label in labels])


def build(settings: SearchDemoSettings) -> dict[str, float]:
    """Trains the encoder and saves it to `settings.encoder_dir`.

    Returns:
        `loss` of the last batches and the number of `parameters`.
    """
    import torch
    from transformers import SiglipImageProcessor, SiglipModel, SiglipProcessor

    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    said = texts()
    sentences = [*said, *NOTHING]
    tokenizer = _tokenizer(sentences)
    model = SiglipModel(_config(len(tokenizer), tokenizer.pad_token_id))
    with torch.no_grad():  # as in SigLIP's paper; transformers' own start suits loaded weights
        model.logit_scale.fill_(math.log(10.0))
        model.logit_bias.fill_(-2.0)
    images = SiglipImageProcessor(size={"height": EDGE_PIXELS, "width": EDGE_PIXELS})
    drawn, labels = pictures(settings)
    pixels = images(list(drawn), return_tensors="pt", input_data_format="channels_last")
    ids = tokenizer(sentences, padding="max_length", return_tensors="pt").input_ids
    true = torch.from_numpy(truth(labels, [*said.values(), *(None for _ in NOTHING)]))
    loss = _train(model, pixels["pixel_values"], ids, true, settings.encoder, settings.seed)
    settings.encoder_dir.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(settings.encoder_dir)
    SiglipProcessor(images, tokenizer).save_pretrained(settings.encoder_dir)
    return {"loss": loss, "parameters": sum(weight.numel() for weight in model.parameters())}


def _train(
    model: Any,
    pixels: torch.Tensor,
    ids: torch.Tensor,
    true: torch.Tensor,
    settings: EncoderSettings,
    seed: int,
) -> float:
    """SigLIP's loss (arXiv 2303.15343), each pair a yes or no, over all texts at once."""
    import torch
    from rich.progress import track

    generator = np.random.default_rng([seed, 5])
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.batches
    )
    model.train()
    losses: list[float] = []
    for _ in track(range(settings.batches), "training the encoder"):
        picked = torch.from_numpy(generator.choice(len(pixels), size=settings.batch_size))
        asked = torch.from_numpy(generator.choice(len(ids), size=settings.batch_size))
        scores = model(pixel_values=pixels[picked], input_ids=ids[asked]).logits_per_image
        sign = true[picked][:, asked].float() * 2 - 1
        loss = -torch.nn.functional.logsigmoid(sign * scores).sum() / len(picked)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-20:]))


def _tokenizer(sentences: Sequence[str]) -> Any:
    """One token per word; a word of another world becomes `<unk>`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", *sorted({word for text in sentences for word in text.split()})]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=MAX_WORDS,
        padding_side="right",
    )


def _config(vocabulary: int, pad_id: int) -> Any:
    from transformers import SiglipConfig

    tower = {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text = {
        **tower,
        "vocab_size": vocabulary,
        "max_position_embeddings": MAX_WORDS,
        "pad_token_id": pad_id,
        "bos_token_id": pad_id,
        "eos_token_id": pad_id,
        "projection_size": WIDTH,
    }
    vision = {**tower, "image_size": EDGE_PIXELS, "patch_size": PATCH_PIXELS}
    return SiglipConfig(text_config=text, vision_config=vision)
