"""The curriculum around verl's training set: draws, measurements, checkpoint, seeds."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("verl")

from temporal_plugin.curation.curriculum_settings import CurriculumSettings
from temporal_plugin.integrations.verl_curriculum import (
    STATE_FILE,
    STEPS_FILE,
    Rollout,
    TrainingCurriculum,
    read_steps,
    sample_rows,
    settings_of,
    stored_difficulty,
)
from temporal_plugin.integrations.verl_rollout_seed import seeded

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
ROWS = [{"id": f"s{n}", "extra": {"difficulty": n / 10}} for n in range(10)]


def build(folder, rows=ROWS, **settings):
    return TrainingCurriculum(rows, CurriculumSettings(**settings), batch_size=4, folder=folder)


def rollouts(ids, value=0.5, **parts):
    return [
        Rollout(f"u{place}", id, session, {"score": value, "acc": value, **parts})
        for place, id in enumerate(ids)
        for session in range(2)
    ]


def test_rows_are_drawn_by_their_number(tmp_path):
    rows = list(reversed(ROWS))
    curriculum = build(tmp_path, rows, order="easy_to_hard")
    numbers = curriculum.draw(10)
    assert [rows[number]["id"] for number in numbers] == [f"s{n}" for n in range(10)]


def test_a_step_measures_the_mean_of_each_group(tmp_path):
    curriculum = build(tmp_path, order="file")
    curriculum.draw(2)
    measured = [
        Rollout("u1", "s1", 1, {"score": 2.0, "acc": 1.0}),
        Rollout("u0", "s0", 0, {"score": 1.5, "acc": 0.5}),
        Rollout("u1", "s1", 0, {"score": 1.0, "acc": 0.0}),
    ]
    metrics = curriculum.measured(1, measured)
    records = curriculum.curriculum.records
    assert (records["s0"].success, records["s1"].success) == (0.5, 0.5)
    assert metrics["curriculum/success_of_step"] == 0.5
    assert metrics["curriculum/difficulty_mean"] == pytest.approx(0.05)
    line = read_steps(tmp_path)[1]
    # groups by the order in which they were drawn, rollouts by their number
    assert line["samples"] == [
        {"id": "s0", "success": [0.5], "scores": [1.5]},
        {"id": "s1", "success": [0.0, 1.0], "scores": [1.0, 2.0]},
    ]


def test_a_sample_drawn_twice_in_a_step_counts_once_with_its_mean(tmp_path):
    curriculum = build(tmp_path, newest_share=1.0)
    pair = [Rollout("u0", "s0", 0, {"acc": 1.0}), Rollout("u1", "s0", 0, {"acc": 0.0})]
    curriculum.measured(1, pair)
    record = curriculum.curriculum.records["s0"]
    assert (record.success, record.seen) == (0.5, 1)


def test_a_failed_video_says_nothing_about_its_sample(tmp_path):
    curriculum = build(tmp_path)
    metrics = curriculum.measured(1, rollouts(["s0"], 0.0, video_failure=1.0))
    assert curriculum.curriculum.records["s0"].seen == 0
    assert "curriculum/success_of_step" not in metrics


def test_another_part_of_the_reward_can_be_the_success(tmp_path):
    curriculum = build(tmp_path, part="iou")
    curriculum.measured(1, rollouts(["s0"], 0.1, iou=0.8))
    assert curriculum.curriculum.records["s0"].success == pytest.approx(0.8)
    with pytest.raises(ValueError, match=r"curriculum\.part is 'iou', but the reward has: score"):
        curriculum.measured(2, rollouts(["s0"]))


def test_a_checkpoint_restores_the_draws(tmp_path):
    one = build(tmp_path, order="success")
    for step in range(5):
        drawn = [ROWS[number]["id"] for number in one.draw(4)]
        one.measured(step, rollouts(drawn, step / 5))
    path = one.save(tmp_path / "global_step_5")
    assert path.name == STATE_FILE and not list(path.parent.glob("*.tmp"))
    two = build(tmp_path, order="success")
    assert two.load(tmp_path / "global_step_5")
    assert [two.draw(4) for _ in range(10)] == [one.draw(4) for _ in range(10)]


def test_a_checkpoint_without_state_starts_anew(tmp_path, caplog):
    assert not build(tmp_path).load(tmp_path / "global_step_5")
    assert "the curriculum starts anew" in caplog.text


def test_of_a_step_done_twice_the_later_counts_and_a_torn_line_does_not(tmp_path):
    lines = [{"step": 1, "n": 0}, {"step": 2, "n": 0}, {"step": 2, "n": 1}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / STEPS_FILE).write_text(text + '{"step": 3, "sam')
    assert read_steps(tmp_path) == {1: lines[0], 2: lines[2]}


def test_difficulty_comes_from_the_rows_or_from_a_file(tmp_path):
    assert stored_difficulty([*ROWS, {"id": "bare"}], None) == {f"s{n}": n / 10 for n in range(10)}
    path = tmp_path / "difficulty.jsonl"
    path.write_text('{"id": "s1", "ious": [1.0, 0.0]}\n{"id": "other", "ious": [0]}\n')
    assert stored_difficulty(ROWS, str(path)) == {"s1": 0.5}
    with pytest.raises(ValueError, match="names no sample of the training data"):
        stored_difficulty([{"id": "x"}], str(path))


def test_the_rows_of_a_dataset():
    dataset = SimpleNamespace(dataframe={"sample": [json.dumps(row) for row in ROWS]})
    assert sample_rows(dataset) == ROWS


def test_the_seed_is_the_runs_unless_it_is_given():
    assert settings_of({}, 7).seed == 7
    assert settings_of({"seed": 3}, 7).seed == 3
    assert settings_of({}, None).seed == 0
    with pytest.raises(ValueError, match="unknown keys"):
        settings_of({"sed": 3}, 7)


PROMPT = {"global_steps": 3, "uid": "u", "session_id": 1, "extra_info": {"id": "s"}}


def test_every_rollout_has_a_seed_of_its_own():
    sampling = {"temperature": 1.0, "top_p": 0.9}
    others = [
        {**PROMPT, "global_steps": 4},
        {**PROMPT, "uid": "v"},
        {**PROMPT, "session_id": 0},
        {**PROMPT, "extra_info": {"id": "t"}},
    ]
    seeds = [seeded(sampling, 0, prompt)["seed"] for prompt in (PROMPT, *others)]
    seeds.append(seeded(sampling, 1, PROMPT)["seed"])
    assert len(set(seeds)) == 6
    assert all(0 <= seed < 2**48 for seed in seeds)
    assert seeded(sampling, 0, PROMPT) == {**sampling, "seed": seeds[0]}
    assert sampling == {"temperature": 1.0, "top_p": 0.9}, "verl shares it among rollouts"


@pytest.mark.parametrize(("temperature", "run_seed"), [(0, 5), (1.0, None)])
def test_greedy_and_unseeded_rollouts_have_none(temperature, run_seed):
    assert "seed" not in seeded({"temperature": temperature}, run_seed, PROMPT)


def verls_own_order(state=None):
    """verl's dataloader of ten rows in batches of three, as its trainer asks it."""
    from omegaconf import OmegaConf
    from torchdata.stateful_dataloader import StatefulDataLoader
    from verl.trainer.ppo.utils import create_rl_sampler

    sampler = create_rl_sampler(OmegaConf.create({"shuffle": True, "seed": 3}), range(10))
    loader = StatefulDataLoader(
        range(10), batch_size=3, drop_last=True, collate_fn=list, sampler=sampler
    )
    if state is not None:
        loader.load_state_dict(state)
    while True:
        for batch in iter(loader):
            yield batch, loader


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
def test_without_a_curriculum_verls_own_order_resumes(steps):
    """In mid-epoch and at its end; where upstream breaks this, runs without a curriculum suffer."""
    unbroken = verls_own_order()
    for _ in range(steps):
        _, loader = next(unbroken)
    state = loader.state_dict()
    after = [next(unbroken)[0] for _ in range(5)]
    resumed = verls_own_order(state)
    assert [next(resumed)[0] for _ in range(5)] == after
