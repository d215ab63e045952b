"""Windows, methods and frames of a search, against what the definition says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.search.embedding_store import Embeddings, EmbeddingStore
from temporal_plugin.search.frame_search import METHODS, FrameSearch, SearchError, select
from temporal_plugin.spans import Span
from temporal_plugin.video import decode
from temporal_plugin.video.errors import VideoError
from temporal_plugin.video.sampling import Sampling

SMALL = Sampling(min_pixels=28 * 28, max_pixels=56 * 56)


def some_embeddings(count=40, fps=2.0, dimensions=16, seed=0):
    generator = np.random.default_rng(seed)
    rows = generator.standard_normal((count, dimensions)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Embeddings(rows, np.arange(count) / fps, np.arange(count) * 5)


def window(embeddings, start, end, count=1000, method="dpp", query=None):
    query = embeddings.features[0] if query is None else query
    return select(
        embeddings, query, start_seconds=start, end_seconds=end, count=count, method=method
    )


@pytest.mark.parametrize(
    "start, end, expected",
    [
        (0.0, 2.0, [0, 1, 2, 3]),  # the frame at 2.0 s is outside
        (0.5, 2.01, [1, 2, 3, 4]),
        (0.51, 1.0, []),
        (0.0, 0.0, []),
        (19.5, 1e9, [39]),
        (19.6, 1e9, []),
        (-5.0, 0.1, [0]),
    ],
)
def test_the_window_is_half_open(start, end, expected):
    embeddings = some_embeddings()
    if expected:
        assert window(embeddings, start, end) == expected
    else:
        with pytest.raises(SearchError, match="ask for a longer one"):
            window(embeddings, start, end)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 12),
    st.floats(0, 30),
    st.floats(0, 30),
    st.sampled_from(sorted(METHODS)),
    st.booleans(),
)
def test_any_window_gives_its_own_different_frames(count, most, start, end, method, static):
    embeddings = some_embeddings(count)
    if static:  # a video in which nothing changes
        embeddings.features[:] = embeddings.features[0]
    times = embeddings.pts_seconds
    inside = np.flatnonzero((times >= start) & (times < end)).tolist()
    if not inside:
        with pytest.raises(SearchError):
            window(embeddings, start, end, most, method)
        return
    found = window(embeddings, start, end, most, method)
    assert len(found) == min(most, len(inside))
    assert found == sorted(set(found))
    assert set(found) <= set(inside)


def test_top_k_takes_the_most_relevant():
    embeddings = some_embeddings()
    query = embeddings.features[7]
    scores = embeddings.features @ query
    best = sorted(np.argsort(-scores[4:30])[:5] + 4)
    assert window(embeddings, 2.0, 15.0, 5, "top_k", query) == best
    assert 7 in best


def test_dpp_takes_the_relevant_frame_once_where_top_k_takes_its_copies():
    embeddings = some_embeddings()
    embeddings.features[10:16] = embeddings.features[10]  # a still scene
    query = embeddings.features[10]
    assert window(embeddings, 0, 20, 4, "top_k", query) == [10, 11, 12, 13]
    assert sum(10 <= frame < 16 for frame in window(embeddings, 0, 20, 4, "dpp", query)) == 1


def test_uniform_covers_the_window_and_needs_no_query():
    embeddings = some_embeddings()
    found = select(embeddings, None, start_seconds=0, end_seconds=20, count=4, method="uniform")
    assert found == [0, 13, 26, 39]


def test_wrong_arguments_of_select_are_refused():
    embeddings = some_embeddings()
    with pytest.raises(ValueError, match="method is 'best'; allowed: dpp, top_k, uniform"):
        window(embeddings, 0, 1, 1, "best")
    with pytest.raises(SearchError, match="num_frames is 0"):
        window(embeddings, 0, 1, 0)
    with pytest.raises(ValueError, match="the same encoder"):
        window(embeddings, 0, 20, 3, "dpp", np.ones(5, np.float32))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return EmbeddingStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(params=sorted(METHODS))
def search(request, encoder, store):
    return FrameSearch(encoder, store, 2.0, SMALL, request.param)


def test_frames_come_with_their_real_times_and_pixels(search, scenes_video):
    found = search.seek(scenes_video, "a red square", 1.0, 11.2, 4)
    assert len(found) == 4
    times = found.pts_seconds
    assert ((times >= 1.0) & (times < 11.2)).all()
    assert (np.diff(times) > 0).all()
    np.testing.assert_allclose(times, np.array(found.indices) / 10)
    whole = decode.load_frames(scenes_video, Sampling(**{**vars(SMALL), "fps": 10.0}))
    for frame, index in zip(found.pixels, found.indices, strict=True):
        assert (frame == whole.pixels[whole.indices.index(index)]).all()
    assert found.pixels.shape[2] * found.pixels.shape[3] <= 56 * 56


def test_times_are_relative_to_the_clip(search, scenes_video):
    whole = search.seek(scenes_video, "a blue door", 4.0, 9.0, 3)
    clip = search.seek(scenes_video, "a blue door", 1.0, 6.0, 3, clip=Span(3.0, 11.0))
    assert clip.indices == whole.indices
    np.testing.assert_allclose(clip.pts_seconds, whole.pts_seconds - 3.0)
    assert clip.clip == Span(3.0, 11.0)


def test_a_clip_hides_the_rest_of_the_file(search, scenes_video):
    found = search.seek(scenes_video, "a door", 0.0, 1e6, 100, clip=Span(3.0, 6.0))
    assert found.indices == (30, 35, 40, 45, 50, 55)
    found = search.seek(scenes_video, "a door", num_frames=100, clip=Span(10.0, 600.0))
    assert found.indices == (100, 105, 110, 115)


def test_fewer_frames_than_asked_for_are_all_of_them(search, scenes_video):
    assert search.seek(scenes_video, "a door", 2.0, 4.0, 8).indices == (20, 25, 30, 35)
    assert search.seek(scenes_video, "a door", 2.0, 2.1, 8).indices == (20,)
    assert len(search.seek(scenes_video, "a door", num_frames=1)) == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("", 0, 5, 3), "query is empty; say in words"),
        ((" \n", 0, 5, 3), "query is empty"),
        (("a", 0, 5, 0), "num_frames is 0; ask for 1 or more"),
        (("a", -1, 5, 3), "start_time is -1; give seconds from 0 on"),
        (("a", float("nan"), 5, 3), "start_time is nan"),
        (("a", 0, float("inf"), 3), "end_time is inf"),
        (("a", 12, 15, 3), "start_time is 12.0 s, but the video ends at 12.0 s"),
        (("a", 5, 5, 3), "the window must end after it starts"),
        (("a", 6, 5, 3), "start_time is 6.0 s and end_time 5.0 s"),
        (("a", 5.1, 5.2, 3), "no frame in a window of 0.10 s; ask for a longer one"),
    ],
)
def test_a_bad_question_is_answered_by_what_to_ask(search, scenes_video, arguments, message):
    with pytest.raises(SearchError, match=message):
        search.seek(scenes_video, *arguments)


def test_a_bad_video_is_a_video_error(search, scenes_video, tmp_path):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(scenes_video.read_bytes()[:1500])
    for path in (cut, tmp_path / "none.mp4"):
        with pytest.raises(VideoError, match=path.name):
            search.seek(path, "a door", 0, 5, 3)


def test_a_still_video_gives_frames_over_all_of_it(encoder, store, write_video, tmp_path):
    still = write_video(tmp_path / "still.mp4", np.full((100, 32, 32, 3), 90, np.uint8))
    for method in METHODS:
        found = FrameSearch(encoder, store, 2.0, SMALL, method).seek(still, "a door", 0, 10, 4)
        assert len(set(found.indices)) == 4
    assert FrameSearch(encoder, store, 2.0, SMALL).seek(still, "a", 0, 10, 4).indices[-1] == 95


def test_uniform_needs_neither_encoder_nor_store(scenes_video):
    found = FrameSearch(None, None, 2.0, SMALL, "uniform").seek(scenes_video, "a", 0, 12, 3)
    assert found.indices == (0, 60, 115)


def test_wrong_settings_are_refused(encoder, store):
    with pytest.raises(ValueError, match="method is 'best'"):
        FrameSearch(encoder, store, method="best")
    with pytest.raises(ValueError, match="'top_k' needs an encoder and a store"):
        FrameSearch(None, store, method="top_k")
    with pytest.raises(ValueError, match="fps is 0"):
        FrameSearch(encoder, store, fps=0)
