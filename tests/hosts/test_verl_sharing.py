"""What the rollouts of a group share in verl's worker, against what verl's own worker makes."""

import asyncio
import copy
import pickle

import numpy as np
import pytest
import ray
import torch

pytest.importorskip("verl")

from temporal_plugin.integrations import shared_videos
from temporal_plugin.integrations.shared_videos import (
    SentVideos,
    SharedPrompts,
    VideoName,
    share_videos,
)
from temporal_plugin.integrations.verl_agent_manager import (
    UPSTREAM_WORKER,
    TemporalAgentLoopManager,
    TemporalAgentLoopWorker,
)
from temporal_plugin.integrations.verl_config import compose
from temporal_plugin.integrations.verl_lone_worker import LoneWorker

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
ANSWER = "<answer>1.0 to 2.5</answer>"
SAMPLING = {"fps": 2.0, "min_pixels": 4096, "max_pixels": 16384}
ROLLOUTS = 4


def row(*videos, text="When?", agent="temporal_single_turn", sampling=SAMPLING):
    """What TemporalDataset hands the worker."""
    parts = [{"type": "video", "video": str(path), "sampling": sampling} for path in videos]
    message = {"role": "user", "content": [*parts, {"type": "text", "text": text}]}
    return {"raw_prompt": [message], "agent_name": agent, "index": 0}


@pytest.fixture(scope="module")
def second_video(write_video, tmp_path_factory):
    frames = np.random.default_rng(0).integers(0, 255, (50, 64, 96, 3), dtype=np.uint8)
    return write_video(tmp_path_factory.mktemp("second") / "noise.mp4", frames)


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def config(request, tiny_model):
    return compose("tiny_cpu", [f"actor_rollout_ref.model.path={tiny_model(request.param)}"])


@pytest.fixture
def workers(config):
    """(verl's own worker, ours)."""
    return LoneWorker(config, ANSWER), LoneWorker(config, ANSWER, TemporalAgentLoopWorker)


@pytest.fixture
def made(monkeypatch):
    """The shapes of the videos that patches were made of."""
    shapes = []
    original = shared_videos.to_patches

    def to_patches(pixels, **settings):
        shapes.append(tuple(pixels.shape))
        return original(pixels, **settings)

    monkeypatch.setattr(shared_videos, "to_patches", to_patches)
    return shapes


def assert_same(ours: list[dict], theirs: list[dict]) -> None:
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert set(mine) == set(other)
        for name in ("prompts", "responses", "input_ids", "position_ids", "response_mask"):
            assert torch.equal(mine[name], other[name]), name
        inputs, wanted = mine["multi_modal_inputs"], other["multi_modal_inputs"]
        assert set(inputs) == set(wanted)
        for name, value in wanted.items():
            assert torch.equal(inputs[name], value), name
            assert inputs[name].dtype == value.dtype


@pytest.mark.parametrize("count", [1, 2])
def test_bit_for_bit_what_verl_makes(workers, clock_video, second_video, made, count):
    upstream, shared = workers
    videos = [clock_video, second_video][:count]
    for text in ("When?", "And when does it end, and why?"):
        theirs = upstream.run(row(*videos, text=text, agent="single_turn_agent"), ROLLOUTS)
        ours = shared.run(row(*videos, text=text), ROLLOUTS)
        assert_same(ours, theirs)
        assert shared.prompts == upstream.prompts
        assert len(made) == count, "once per video, whatever is asked; never by verl's own worker"
    first, second = (rollout["multi_modal_inputs"]["pixel_values_videos"] for rollout in ours[:2])
    assert count > 1 or first.data_ptr() == second.data_ptr(), "no copy for each rollout"


def test_other_sampling_is_another_video(workers, clock_video, made):
    _, shared = workers
    counts = {}
    for fps in (1.0, 2.0, 1.0):
        rollouts = shared.run(row(clock_video, sampling={**SAMPLING, "fps": fps}), 2)
        counts[fps] = rollouts[0]["multi_modal_inputs"]["video_grid_thw"][0, 0].item()
    assert counts == {1.0: 4, 2.0: 8}
    assert len(made) == 2


def test_a_changed_file_is_another_video(workers, write_video, tmp_path, made):
    _, shared = workers
    path = tmp_path / "changing.mp4"
    found = []
    for level in (10, 200):
        write_video(path, np.full((40, 64, 64, 3), level, dtype=np.uint8))
        inputs = shared.run(row(path), 1)[0]["multi_modal_inputs"]
        found.append(inputs["pixel_values_videos"].mean().item())
    assert len(made) == 2 and found[0] < found[1]


def test_settings_that_resize_are_left_to_verl(config, clock_video, made):
    config = copy.deepcopy(config)
    config.data.mm_processor_kwargs = {}
    shared = LoneWorker(config, ANSWER, TemporalAgentLoopWorker)
    upstream = LoneWorker(config, ANSWER)
    theirs = upstream.run(row(clock_video, agent="single_turn_agent"), 2)
    assert_same(shared.run(row(clock_video), 2), theirs)
    assert not made


def test_an_answer_that_writes_a_placeholder_fares_as_with_verl(config, clock_video, caplog):
    """No video stands behind it, so upstream cannot place it; sharing must not hide that."""
    for worker_class in (UPSTREAM_WORKER, TemporalAgentLoopWorker):
        with pytest.raises(RuntimeError, match="1 of 1 rollouts failed"):
            LoneWorker(config, "so <|video_pad|> there", worker_class).run(row(clock_video), 1)


def test_a_prompt_without_video(workers):
    upstream, shared = workers
    theirs = upstream.run(row(agent="single_turn_agent"), 2)
    assert_same(shared.run(row(), 2), theirs)


def test_an_overlong_prompt_fails_and_is_not_remembered(config, clock_video):
    config = copy.deepcopy(config)
    config.actor_rollout_ref.rollout.prompt_length = 20
    shared = LoneWorker(config, ANSWER, TemporalAgentLoopWorker)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="2 of 2 rollouts failed"):
            shared.run(row(clock_video), 2)


def test_a_bad_video_fails_every_rollout_and_a_mended_one_is_read(config, write_video, tmp_path):
    config = copy.deepcopy(config)
    config.data.temporal.on_bad_video = "fail"
    shared = LoneWorker(config, ANSWER, TemporalAgentLoopWorker)
    path = tmp_path / "late.mp4"
    with pytest.raises(RuntimeError, match="3 of 3"):
        shared.run(row(path), 3)
    write_video(path, np.zeros((40, 64, 64, 3), dtype=np.uint8))
    assert len(shared.run(row(path), 3)) == 3


def test_the_recipes_name_the_manager():
    name = f"{TemporalAgentLoopManager.__module__}.{TemporalAgentLoopManager.__qualname__}"
    for recipe in ("tiny_cpu", "tiny_cpu_vllm"):
        agent = compose(recipe).actor_rollout_ref.rollout.agent
        assert agent.agent_loop_manager_class == name


class TestVideoName:
    NAME = VideoName({"fps": 2.0}, ("a.mp4", 1))

    def test_is_a_dict_that_keeps_its_name_in_a_deep_copy(self):
        twin = copy.deepcopy(self.NAME)
        assert twin == {"fps": 2.0} and twin.key == self.NAME.key

    def test_leaves_the_process_as_a_dict(self):
        assert type(pickle.loads(pickle.dumps(self.NAME))) is dict


class TestSharedPrompts:
    def run(self, prompts, keys, compute):
        async def all_at_once():
            tasks = [prompts.get(key, lambda key=key: compute(key)) for key in keys]
            return await asyncio.gather(*tasks, return_exceptions=True)

        return asyncio.run(all_at_once())

    def test_one_computation_for_all_who_wait(self):
        asked = []

        async def compute(key):
            asked.append(key)
            await asyncio.sleep(0.01)
            return [1, 2, key]

        prompts = SharedPrompts(2)
        found = self.run(prompts, [7, 7, 7, 8], compute)
        assert found == [[1, 2, 7]] * 3 + [[1, 2, 8]] and asked == [7, 8]
        assert found[0] is not found[1], "each caller may change its own list"
        self.run(prompts, [7], compute)
        assert asked == [7, 8]
        self.run(prompts, [9], compute)
        self.run(prompts, [8], compute)  # 7 was used later than 8
        assert asked == [7, 8, 9, 8]

    def test_errors_reach_all_and_are_not_kept(self):
        fails = [True]

        async def compute(key):
            if fails.pop():
                raise ValueError("no")
            return [key]

        prompts = SharedPrompts(2)
        found = self.run(prompts, [1, 1], compute)
        assert [str(error) for error in found] == ["no", "no"]
        fails.append(False)
        assert self.run(prompts, [1], compute) == [[1]]

    def test_the_first_to_ask_may_be_cancelled(self):
        async def scenario():
            prompts, started = SharedPrompts(2), asyncio.Event()

            async def compute():
                started.set()
                await asyncio.sleep(0.01)
                return [1]

            first = asyncio.create_task(prompts.get(1, compute))
            await started.wait()
            second = asyncio.create_task(prompts.get(1, compute))
            first.cancel()
            return await second

        assert asyncio.run(scenario()) == [1]


class TestSentOnce:
    VIDEO = (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), VideoName({}, "a"))

    def test_one_put_for_all_who_send_at_once(self):
        written = []

        def put(videos):
            written.append(videos)
            return f"reference {len(written)}"

        sent = SentVideos()
        first, second = sent.send([self.VIDEO], put), sent.send([self.VIDEO], put)
        assert first is second and first.reference == "reference 1"
        assert written == [[self.VIDEO]]
        del first, second
        assert sent.send([self.VIDEO], put).reference == "reference 2", "nothing is kept for long"

    def test_the_group_of_a_worker(self, config, clock_video, monkeypatch):
        written = []
        monkeypatch.setattr(ray, "is_initialized", lambda: True)
        monkeypatch.setattr(ray, "put", lambda videos: written.append(videos) or "reference")

        class Slow(LoneWorker):
            async def generate(self, *args, **kwargs):
                await asyncio.sleep(0.2)  # the rollouts of a group wait for a server together
                return await super().generate(*args, **kwargs)

        worker = Slow(config, ANSWER, TemporalAgentLoopWorker)
        worker.run(row(clock_video), ROLLOUTS)
        assert len(written) == 1 and worker.videos == ["reference"] * ROLLOUTS
        worker.run(row(), 1)
        assert worker.videos == [None]


def test_a_processor_is_shared_once(tiny_model):
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(tiny_model("qwen2_5_vl"))
    assert share_videos(processor) is share_videos(processor)
    assert processor.video_processor.merge_size == 2
    assert share_videos(None) is None and share_videos(processor.tokenizer) is None
    again = pickle.loads(pickle.dumps(processor.video_processor))
    assert again.host.to_dict() == processor.video_processor.host.to_dict()
