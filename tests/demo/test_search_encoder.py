"""The tiny SigLIP finds what is asked for, through the frame search's own loader."""

import numpy as np
import pytest

from temporal_plugin.demo import clips, search_clips, search_encoder
from temporal_plugin.demo.search_settings import (
    EncoderSettings,
    SearchClipSettings,
    SearchDemoSettings,
)

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("av")


def test_every_wording_says_what_it_names():
    texts = search_encoder.texts()
    assert texts["red thing"] == ("red", None)
    assert texts["a cross"] == (None, "cross")
    assert texts["the blue circle"] == ("blue", "circle")
    assert {colour for colour, _ in texts.values()} == {None, *clips.COLOURS}
    assert {shape for _, shape in texts.values()} == {None, *search_clips.SHAPES}


def test_a_text_is_true_of_what_it_names_only():
    labels = [("red", "circle"), ("blue", "circle"), None]
    named = [("red", None), (None, "circle"), ("blue", "circle"), ("red", "cross"), None]
    found = search_encoder.truth(labels, named).astype(int).tolist()
    assert found == [[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1]]


def test_pictures_are_labelled_with_what_they_show():
    settings = SearchDemoSettings(clips=SearchClipSettings(train=3))
    pictures, labels = search_encoder.pictures(settings)
    assert len(pictures) == len(labels) == 3 * (3 * 2 + 4)
    for picture, label in zip(pictures, labels, strict=True):
        spread = picture.max(-1).astype(int) - picture.min(-1)  # 0 where a pixel is grey
        assert (spread.max() > 60) == (label is not None)


@pytest.mark.slow
def test_a_query_finds_its_events_frames(tmp_path):
    """Recall of the event's frames among the first k of a minute-long clip of another split."""
    from temporal_plugin.search.embed import load_encoder

    settings = SearchDemoSettings(
        out=tmp_path, threads=1, clips=SearchClipSettings(train=80, test=12),
        encoder=EncoderSettings(batches=250),
    )  # fmt: skip
    search_encoder.build(settings)
    encoder = load_encoder(settings.encoder_dir, device="cpu")
    recalls, chance = [], []
    for index in range(settings.clips.test):
        duration, events = search_clips.plan(settings.clips, 0, "test", index)
        frames = search_clips.draw(settings.clips, duration, events, [0, 2, index])[::2]
        times = np.arange(len(frames)) * 2 / settings.clips.frames_per_second
        features = encoder.images(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))
        for event in events:
            scores = features @ encoder.texts([f"{event.colour} thing"])[0]
            shown = (times >= event.start_seconds) & (times < event.end_seconds)
            first = np.argsort(-scores)[: shown.sum()]
            recalls.append(shown[first].mean())
            chance.append(shown.mean())
    assert np.mean(chance) < 0.05
    assert np.mean(recalls) > 0.8
