"""The doctor's findings, its table of times, its exit status and its JSON."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from temporal_plugin.cli import app
from temporal_plugin.doctor import environment, time_table
from temporal_plugin.doctor.environment import Finding
from temporal_plugin.doctor.request import Request
from temporal_plugin.doctor.time_table import PATHS, judge

pytest.importorskip("torch")
from temporal_plugin.video.model_view import ModelView

FRAMES, TRUE = [[0.0, 0.5], [1.0, 1.5]], [0.0, 1.0]
VIEW = ModelView(
    token_ids=(1, 2, 3),
    grids=((2, 2, 2),),
    pixels=("a", "b"),
    seconds_per_step=(1.0,),
    step_seconds=(0.0, 1.0),
    positions=((0, 1, 2),) * 3,
    next_position=3,
)


@pytest.fixture
def run():
    return lambda *args: CliRunner().invoke(app, ["doctor", *map(str, args)])


@pytest.fixture
def sound(monkeypatch):
    """An environment in which all is well."""
    monkeypatch.setattr(environment, "examine", lambda store: [Finding("verl", "ok", "0.9.1")])


@pytest.fixture
def asked(monkeypatch, sound, tmp_path):
    """asked(answers) -> command line arguments; what the paths then answer."""

    def prepare(answers):
        (tmp_path / "v.mp4").write_bytes(b"")
        monkeypatch.setattr(time_table, "_truth", lambda request: (FRAMES, TRUE))
        monkeypatch.setattr(time_table, "_ask_all", lambda request: answers)
        return "--model", "m", "--video", tmp_path / "v.mp4"

    return prepare


def verdicts(answers):
    return {verdict.path: verdict for verdict in judge(FRAMES, TRUE, answers).verdicts}


class TestVerdicts:
    def test_all_equal_and_true(self):
        table = judge(FRAMES, TRUE, dict.fromkeys(PATHS, VIEW))
        assert table.agrees
        assert {verdict.state for verdict in table.verdicts} == {"PASS"}

    def test_a_host_that_is_not_installed_is_no_difference(self):
        answers = {"log-prob": VIEW, "SFT": VIEW}
        assert judge(FRAMES, TRUE, answers).agrees
        found = verdicts(answers)
        assert found["rollout"] == time_table.Verdict("rollout", "absent", "needs verl and vllm")
        assert found["log-prob"].state == "PASS"

    def test_nothing_installed_shows_nothing(self):
        assert not judge(FRAMES, TRUE, {}).agrees

    def test_the_first_difference_is_named(self):
        other = replace(VIEW, positions=((0, 1, 4), (0, 1, 2), (0, 1, 2)))
        answers = {**dict.fromkeys(PATHS, VIEW), "SFT": other}
        assert not judge(FRAMES, TRUE, answers).agrees
        verdict = verdicts(answers)["SFT"]
        assert verdict.state == "DIFFERS"
        assert verdict.detail == "from rollout in positions (temporal) at token 2: 2 and 4"

    def test_an_untrue_time_counts_even_where_all_agree(self):
        wrong = replace(VIEW, step_seconds=(0.0, 1.5))
        found = verdicts(dict.fromkeys(PATHS, wrong))
        assert {verdict.state for verdict in found.values()} == {"DIFFERS"}
        assert found["rollout"].detail == "step 1: tells 1.5 s, true is 1.0 s"

    def test_too_few_steps(self):
        short = replace(VIEW, step_seconds=(0.0,))
        assert verdicts({"SFT": short})["SFT"].detail == "1 steps where the video has 2"

    def test_a_path_that_fails_says_why(self):
        answers = {**dict.fromkeys(PATHS, VIEW), "rollout": "ImportError: no"}
        assert not judge(FRAMES, TRUE, answers).agrees
        assert verdicts(answers)["rollout"].detail == "ImportError: no"
        assert verdicts(answers)["log-prob"].state == "PASS"


class TestCommand:
    def test_all_well(self, run, asked):
        done = run(*asked(dict.fromkeys(PATHS, VIEW)), "--json")
        content = json.loads(done.stdout)
        assert (done.exit_code, content["ok"], content["time"]["agrees"]) == (0, True, True)
        assert content["environment"] == [{"what": "verl", "state": "ok", "detail": "0.9.1"}]
        step = content["time"]["steps"][1]
        assert (step["frames"], step["true"], step["rollout"]) == ([1.0, 1.5], 1.0, 1.0)

    def test_a_difference_is_exit_status_1(self, run, asked):
        other = replace(VIEW, step_seconds=(0.0, 2.0))
        done = run(*asked({**dict.fromkeys(PATHS, VIEW), "SFT": other}))
        assert done.exit_code == 1
        assert "DIFFERS SFT: step 1: tells 2.0 s, true is 1.0 s" in done.output
        assert "PASS log-prob: true times, equal to rollout in all" in done.output

    def test_a_long_table_is_cut(self, run, asked):
        done = run(*asked(dict.fromkeys(PATHS, VIEW)), "--max-rows", 1)
        assert "and 1 steps more (--max-rows)" in done.output

    def test_the_environment_alone(self, run, sound):
        done = run("--json")
        assert done.exit_code == 0
        assert json.loads(done.stdout)["time"] is None

    def test_something_broken_is_exit_status_1(self, run, monkeypatch):
        broken = Finding("vllm", "broken", "[0.32] is too new")
        monkeypatch.setattr(environment, "examine", lambda store: [broken])
        done = run()
        assert done.exit_code == 1
        assert "[0.32]" in done.output, "brackets are no markup"

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--model", "m"], "--model and --video belong together"),
            (["--model", "m", "--video", "gone.mp4"], "gone.mp4: no such video file"),
            (["--model", "m", "--video", __file__, "--clip", "5"], "needed: START-END in seconds"),
            (["--model", "m", "--video", __file__, "--sampling", "3"], "needed: a mapping"),
        ],
    )
    def test_a_wrong_argument_names_what_is_needed(self, run, sound, arguments, expected):
        done = run(*arguments)
        assert done.exit_code == 1
        assert expected in done.output
        content = json.loads(run(*arguments, "--json").stdout)
        assert content["ok"] is False and expected in content["error"]


class TestRequest:
    def test_json(self):
        request = Request("m", "/v.mp4", {"fps": 1.94}, (5.0, 20.5))
        assert Request.from_dict(json.loads(json.dumps(request.to_dict()))) == request

    def test_a_clip_is_as_long_as_it_is(self):
        sample = Request("m", "/v.mp4", {}, (5.0, 20.5)).to_sample()
        assert (sample.duration, sample.clip.start_seconds) == (15.5, 5.0)


class TestEnvironment:
    def test_a_violated_requirement_is_named(self, monkeypatch):
        wanted = ["numpy>=99", "numpy<1; extra == 'x'", "no-such-package", "pyyaml>=6"]
        monkeypatch.setattr(environment, "distribution", lambda name: "verl")
        monkeypatch.setattr(environment, "requires", lambda name: wanted)
        (finding,) = environment._requirements()
        assert finding.state == "broken"
        assert f"verl needs numpy>=99, installed is {np.__version__}" in finding.detail
        assert "no-such-package" not in finding.detail

    def test_requirements_that_are_met(self, monkeypatch):
        monkeypatch.setattr(environment, "requires", lambda name: ["numpy>=1"])
        assert environment._requirements()[0].state == "ok"

    def test_one_decoder_is_enough(self, monkeypatch):
        def load(name):
            if name != "av":
                raise OSError(f"{name} is for CUDA")

        monkeypatch.setattr(environment, "importlib", SimpleNamespace(import_module=load))
        states = {finding.what: finding.state for finding in environment._decoders()}
        assert states == {
            "decoder torchcodec": "absent",
            "decoder decord": "absent",
            "decoder av": "ok",
        }

    def test_no_decoder_is_a_fault(self, monkeypatch):
        def load(name):
            raise ModuleNotFoundError(f"No module named '{name}'")

        monkeypatch.setattr(environment, "importlib", SimpleNamespace(import_module=load))
        assert environment._decoders()[-1].state == "broken"
        assert "pip install av" in environment._decoders()[-1].detail

    def test_a_plugin_that_verl_is_told_to_leave_out(self, monkeypatch):
        monkeypatch.setattr(environment, "installed", lambda name: None)
        monkeypatch.setenv("VERL_USE_EXTERNAL_PLUGINS", "none")
        finding = environment._entry_points()[-1]
        assert finding.state == "broken"
        assert "VERL_USE_EXTERNAL_PLUGINS=none" in finding.detail

    def test_no_frame_store(self, monkeypatch):
        monkeypatch.delenv("TEMPORAL_PLUGIN_FRAME_STORE", raising=False)
        assert environment._frame_store(None)[0].state == "absent"

    def test_a_frame_store_that_is_not_there(self, tmp_path):
        (finding,) = environment._frame_store(tmp_path / "gone")
        assert finding.state == "broken" and "frames build" in finding.detail

    def test_a_frame_store(self, tmp_path, clock_video):
        from temporal_plugin.video.frame_store import FrameStore
        from temporal_plugin.video.sampling import Sampling

        FrameStore(tmp_path).load(clock_video, Sampling(fps=1.0))
        (finding,) = environment._frame_store(tmp_path)
        assert finding.state == "ok" and "1 entries" in finding.detail


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_all_paths_of_this_environment_agree(run, tmp_path, clock_video, family):
    """The real hosts, each in its process; those that are not installed are absent."""
    pytest.importorskip("transformers")
    from temporal_plugin.demo.tiny_model import build

    build(family, tmp_path, 0, ["the red square moves", "0123456789"])
    sampling = "{min_pixels: 3136, max_pixels: 8192}"
    done = run("--model", tmp_path, "--video", clock_video, "--fps", 1.94, "--sampling", sampling,
               "--clip", "1.5-7", "--json")  # fmt: skip
    content = json.loads(done.stdout)
    states = {path["path"]: path["state"] for path in content["time"]["paths"]}
    assert set(states.values()) <= {"PASS", "absent"}, content["time"]["paths"]
    assert content["time"]["agrees"] and done.exit_code == 0
