"""Vectors of pictures and words: as the model's own processor and towers make them."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

from temporal_plugin.search.embed import DualEncoder, fingerprint, load_encoder


def some_pictures(count=5, height=40, width=52, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = (count, 3, height, width)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A tiny random CLIP, whose texts are masked and whose towers are projected."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        CLIPConfig,
        CLIPImageProcessor,
        CLIPModel,
        CLIPProcessor,
        PreTrainedTokenizerFast,
    )

    words = {word: number for number, word in enumerate(["<pad>", "<end>", "a", "red", "Red"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>", unk_token="a"
    )
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    torch.manual_seed(0)
    text = {**tower, "vocab_size": 5, "max_position_embeddings": 12, "eos_token_id": 1}
    vision = {**tower, "image_size": 16, "patch_size": 8}
    folder = tmp_path_factory.mktemp("encoder") / "clip"
    CLIPModel(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    ).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})
    CLIPProcessor(images, fast).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("height, width", [(40, 52), (16, 16), (3, 3), (200, 31)])
def test_pictures_are_prepared_as_the_processor_does(encoder, siglip_folder, height, width):
    pictures = some_pictures(3, height, width)
    own = AutoProcessor.from_pretrained(siglip_folder).image_processor
    images = [Image.fromarray(picture.permute(1, 2, 0).numpy()) for picture in pictures]
    expected = own(images=images, return_tensors="pt")["pixel_values"]
    found = torch.cat([encoder.prepare(picture)["pixel_values"] for picture in pictures])
    assert torch.equal(found, expected)


def test_vectors_are_the_towers_own_of_length_one(encoder, siglip_folder):
    model = AutoModel.from_pretrained(siglip_folder).eval()
    processor = AutoProcessor.from_pretrained(siglip_folder)
    pictures = some_pictures()
    with torch.inference_mode():
        values = processor.image_processor(images=list(pictures), return_tensors="pt")
        images = model.get_image_features(**values).pooler_output
        tokens = processor.tokenizer(
            ["a red square"], padding="max_length", max_length=64, return_tensors="pt"
        )
        texts = model.get_text_features(input_ids=tokens["input_ids"]).pooler_output
    for found, rows in (encoder.images(pictures), images), (encoder.texts(["A red SQUARE"]), texts):
        rows = (rows / rows.norm(dim=-1, keepdim=True)).numpy()
        np.testing.assert_allclose(found, rows, atol=1e-6)
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_batches_change_nothing(siglip_folder):
    pictures, texts = some_pictures(7), ["a", "red square", "the door", "blue", "a circle moves"]
    whole, split = (load_encoder(siglip_folder, "cpu", batch_size=size) for size in (64, 3))
    np.testing.assert_allclose(whole.images(pictures), split.images(pictures), atol=1e-6)
    np.testing.assert_allclose(whole.texts(texts), split.texts(texts), atol=1e-6)
    assert [len(rows) for rows in split.stream(pictures)] == [3, 3, 1]
    assert whole.images(pictures[:0]).shape == whole.texts([]).shape == (0, 32)


def test_siglip_text_is_lower_case_padded_to_its_length_and_unmasked(encoder):
    tokens = encoder.tokens(["A Red SQUARE", "the"])
    assert set(tokens) == {"input_ids"}
    assert tokens["input_ids"].shape == (2, 64)
    assert torch.equal(tokens["input_ids"], encoder.tokens(["a red square", "the"])["input_ids"])
    # a long query is cut, not refused
    assert encoder.texts(["red " * 500]).shape == (1, 32)


def test_clip_text_is_masked_and_keeps_its_case(clip_folder):
    clip = load_encoder(clip_folder, "cpu")
    tokens = clip.tokens(["a red", "a"])
    assert tokens["input_ids"].shape == (2, 2)
    assert tokens["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert clip.tokens(["Red"])["input_ids"].tolist() != clip.tokens(["red"])["input_ids"].tolist()
    assert clip.tokens(["red " * 50])["input_ids"].shape == (1, 12)
    assert clip.dimensions == 24
    assert clip.images(some_pictures()).shape == (5, 24)
    assert clip.texts(["a red"]).shape == (1, 24)


def test_half_precision_gives_nearly_the_same_vectors(encoder, siglip_folder):
    half = load_encoder(siglip_folder, "cpu", "bfloat16")
    assert half.model.dtype == torch.bfloat16
    pictures = some_pictures()
    assert (half.images(pictures) * encoder.images(pictures)).sum(axis=1).min() > 0.999
    assert half.images(pictures).dtype == np.float32
    assert half.fingerprint == encoder.fingerprint


def test_the_fingerprint_is_that_of_weights_and_picture_settings(siglip_folder, tmp_path):
    copy = shutil.copytree(siglip_folder, tmp_path / "copy")
    assert fingerprint(copy) == fingerprint(str(siglip_folder))
    (copy / "README.md").write_text("words")
    assert fingerprint(copy) == fingerprint(siglip_folder)
    for name in ("model.safetensors", "config.json"):
        changed = bytearray((copy / name).read_bytes())
        changed[-1] ^= 1
        (copy / name).write_bytes(changed)
        assert fingerprint(copy) != fingerprint(siglip_folder)
        changed[-1] ^= 1
        (copy / name).write_bytes(changed)


def test_threads_may_share_an_encoder(encoder):
    from concurrent.futures import ThreadPoolExecutor

    texts = [["red " * length] for length in range(1, 40)]
    expected = [encoder.texts(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        for found, one in zip(pool.map(encoder.texts, texts), expected, strict=True):
            np.testing.assert_allclose(found, one, atol=1e-6)


@pytest.mark.parametrize(
    "pixels",
    [
        torch.zeros(2, 3, 8, 8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
    ],
)
def test_other_pictures_are_refused(encoder, pixels):
    with pytest.raises(ValueError, match=r"needed: uint8 \[N, 3, H, W\]"):
        encoder.images(pixels)


def test_vectors_that_are_not_finite_are_refused(siglip_folder):
    broken = load_encoder(siglip_folder, "cpu")
    with torch.no_grad():
        broken.model.vision_model.post_layernorm.weight.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"images are not finite in torch.float32; load it with"):
        broken.images(some_pictures())


def test_wrong_arguments_are_refused(encoder, siglip_folder, tmp_path):
    with pytest.raises(TypeError, match="needed: a list of strings"):
        encoder.texts("a red square")
    with pytest.raises(ValueError, match="dtype is 'float8'; allowed: auto, float32"):
        load_encoder(siglip_folder, dtype="float8")
    with pytest.raises(ValueError, match="batch_size is 0"):
        DualEncoder(encoder.model, encoder.processor, "", 0)
    with pytest.raises(OSError, match="nowhere"):
        load_encoder(tmp_path / "nowhere")


def test_a_model_of_one_tower_is_refused(tmp_path):
    from transformers import BertConfig, BertModel

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    BertModel(BertConfig(**size, intermediate_size=16)).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="is a bert model, which does not compare pictures"):
        load_encoder(tmp_path, "cpu")


def test_siglip2_of_any_size_is_given_its_masks(tmp_path):
    """Its pictures keep their shape: patches, a mask and the number of patches go together."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        PreTrainedTokenizerFast,
        Siglip2Config,
        Siglip2ImageProcessor,
        Siglip2Model,
        Siglip2Processor,
    )

    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "red": 3, "door": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    tower = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    text = {**tower, **ends, "vocab_size": 5, "max_position_embeddings": 64, "projection_size": 32}
    torch.manual_seed(0)
    Siglip2Model(
        Siglip2Config(text_config=text, vision_config={**tower, "patch_size": 4, "num_patches": 16})
    ).save_pretrained(tmp_path)
    images = Siglip2ImageProcessor(patch_size=4, max_num_patches=16)
    Siglip2Processor(images, fast).save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path, "cpu", batch_size=2)
    pictures = some_pictures(3, 40, 20)
    assert set(encoder.prepare(pictures[0])) == {
        "pixel_values",
        "pixel_attention_mask",
        "spatial_shapes",
    }
    assert encoder.images(pictures).shape == encoder.texts(["Red door"] * 3).shape == (3, 32)
    model = AutoModel.from_pretrained(tmp_path).eval()
    own = AutoProcessor.from_pretrained(tmp_path).image_processor
    with torch.inference_mode():
        values = own(images=list(pictures), return_tensors="pt")
        rows = model.get_image_features(**values).pooler_output
    rows = (rows / rows.norm(dim=-1, keepdim=True)).numpy()
    np.testing.assert_allclose(encoder.images(pictures), rows, atol=1e-6)
    assert set(encoder.tokens(["Red"])) == {"input_ids"}


def test_siglips_own_tokenizer(siglip_folder, tmp_path):
    """The first SigLIP's is a SentencePiece model, which transformers reads in Python."""
    import io

    import sentencepiece
    from transformers import SiglipTokenizer

    model = io.BytesIO()
    texts = ["a red square moves", "the person opens a door", "blue circle appears"] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=28, minloglevel=2
    )
    (tmp_path / "spiece.model").write_bytes(model.getvalue())
    own = SiglipTokenizer(str(tmp_path / "spiece.model"), model_max_length=64)
    encoder = load_encoder(siglip_folder, "cpu")
    encoder.processor.tokenizer = own
    expected = own(["a red square"], padding="max_length", return_tensors="pt")["input_ids"]
    assert expected.shape == (1, 64)
    assert torch.equal(encoder.tokens(["A Red square."])["input_ids"], expected)
