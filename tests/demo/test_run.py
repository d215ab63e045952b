"""The chain of steps: skipping, failing, and the commands it runs."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from temporal_plugin.demo import evaluate, run, train
from temporal_plugin.demo.settings import DemoSettings, GrpoSettings


@pytest.fixture
def settings(tmp_path):
    settings = DemoSettings(out=tmp_path, seed=3)
    settings.report_dir.mkdir()
    return settings


@pytest.fixture
def calls(monkeypatch):
    """Replaces the work of every step by noting its name."""
    done = []

    def noting(name):
        return lambda settings, log: done.append(name) or f"{name} is done"

    steps = tuple(dataclasses.replace(step, work=noting(step.name)) for step in run.STEPS)
    monkeypatch.setattr(run, "STEPS", steps)
    return done


def test_steps_run_once_in_order(settings, calls, capsys):
    run.run(settings)
    assert calls == list(run.STEP_NAMES)
    run.run(settings)
    assert calls == list(run.STEP_NAMES)
    assert "done before (train is done)" in capsys.readouterr().out.replace("\n", " ")


def test_a_changed_setting_redoes_its_step_and_all_after(settings, calls):
    run.run(settings)
    calls.clear()
    run.run(dataclasses.replace(settings, grpo=GrpoSettings(steps=2)))
    assert calls == ["train", "evaluate_after", "report"]
    calls.clear()
    run.run(dataclasses.replace(settings, seed=4))
    assert calls == list(run.STEP_NAMES)


def test_the_number_of_threads_redoes_nothing(settings, calls):
    run.run(settings)
    calls.clear()
    run.run(dataclasses.replace(settings, threads=1))
    assert calls == []


def test_a_named_step_is_always_done_alone(settings, calls):
    run.run(settings, ["train"])
    run.run(settings, ["train"])
    assert calls == ["train", "train"]


def test_an_unknown_step_is_refused(settings):
    with pytest.raises(ValueError, match="unknown step tarin; use clips, model"):
        run.run(settings, ["tarin"])


def test_a_failure_names_the_step_its_log_and_the_command(settings, calls, monkeypatch):
    def fail(settings, log):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("boom")
        raise RuntimeError("no memory")

    steps = [
        dataclasses.replace(step, work=fail) if step.name == "train" else step for step in run.STEPS
    ]
    monkeypatch.setattr(run, "STEPS", tuple(steps))
    with pytest.raises(run.StepFailed) as error:
        run.run(settings)
    text = str(error.value)
    assert "step train failed: no memory" in text
    assert str(settings.out / "logs" / "train.log") in text
    assert "temporal-plugin demo --step train --out" in text
    assert "--seed 3" in text
    assert calls == ["clips", "model", "cold_start", "evaluate_before"]


def test_the_command_line_refuses_bad_values_and_has_an_example():
    import typer

    from temporal_plugin.demo.command import demo

    app = typer.Typer()
    app.command()(demo)
    result = CliRunner().invoke(app, ["--model", "llava"])
    assert result.exit_code == 1
    assert "'llava' is unknown" in result.output
    assert "--rollout" in CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output


def write_metrics(settings, attempt, rows):
    settings.train_dir.mkdir(exist_ok=True)
    text = "".join(json.dumps({"step": step, "data": data}) + "\n" for step, data in rows)
    (settings.train_dir / f"metrics_{attempt}.jsonl").write_text(text)


def save_checkpoint(settings, step):
    folder = settings.train_dir / f"checkpoints/global_step_{step}/actor/huggingface"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_metrics_of_several_attempts_are_joined(settings):
    score = "reward/score/mean"
    write_metrics(
        settings, 1, [(0, {train.VALIDATION_KEY: 0.4}), (1, {score: 0.1}), (2, {score: 0.2})]
    )
    write_metrics(settings, 2, [(2, {score: 0.3}), (3, {score: 0.4})])
    with (settings.train_dir / "metrics_2.jsonl").open("a") as file:
        file.write('{"step": 4, "da')  # still being written
    rows = train.training_rows(settings)
    assert [(step, row[score]) for step, row in rows] == [(1, 0.1), (2, 0.3), (3, 0.4)]
    assert train.validations(settings) == [(0, 0.4)]


def test_the_checkpoint_is_chosen_on_validation_clips(settings):
    write_metrics(
        settings, 1, [(k, {train.VALIDATION_KEY: v}) for k, v in ((10, 0.5), (20, 0.7), (30, 0.6))]
    )
    with pytest.raises(train.NoCheckpoint, match="global_step"):
        train.best_checkpoint(settings)
    folders = {step: save_checkpoint(settings, step) for step in (10, 20, 30)}
    assert train.best_checkpoint(settings) == (20, folders[20])


def test_commands_name_every_file_and_the_seed(settings):
    command = train.command(settings)
    assert command[1:5] == ["-m", "verl.trainer.main_ppo", "--config-name", "tiny_cpu"]
    assert "data.seed=3" in command
    assert f"actor_rollout_ref.model.path={settings.cold_start_dir}" in command
    assert "data.temporal.sampling.max_frames=16" in command
    vllm = dataclasses.replace(settings, rollout="vllm")
    assert "tiny_cpu_vllm" in train.command(vllm)
    command = evaluate.command(settings, settings.cold_start_dir, settings.out / "results")
    assert command[1:5] == ["-m", "lmms_eval", "--model", "temporal_qwen_vl"]
    assert f"pretrained={settings.cold_start_dir},dtype=float32,fps=2.0" in " ".join(command)


def test_the_same_sampling_reaches_training_and_evaluation(settings):
    trained = " ".join(train.command(settings))
    evaluated = " ".join(evaluate.command(settings, settings.model_dir, settings.out))
    for name, value in settings.sampling().items():
        assert f"data.temporal.sampling.{name}={value}" in trained
        assert f"{name}={value}" in evaluated
