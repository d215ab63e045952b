"""EasyR1's reward file, without EasyR1: its contract with the trainer, and verl's very scores."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_plugin import answers, prompts
from temporal_plugin.annotations import export_rows
from temporal_plugin.annotations.gold import gold_answer
from temporal_plugin.annotations.sample import Sample
from temporal_plugin.integrations import easyr1_reward, verl_reward
from temporal_plugin.spans import Span

SAMPLE = Sample(
    id="a/0",
    task="grounding",
    video="a.mp4",
    query="a {door} \u2028 opens",
    spans=(Span(1.0, 3.0), Span(5.0, 6.0)),
    duration=8.0,
)
WEIGHTS = {"iou": 1.0, "tiou": 0.5, "format": 0.2}
PROMPT = prompts.load("think_answer")
ANSWER = export_rows.trainer_row(SAMPLE, export_rows.Target(PROMPT), 0)["answer"]


def row(response, truth=ANSWER):
    return {"response": response, "response_length": len(response), "ground_truth": truth}


def score(response, truth=ANSWER, **settings):
    return easyr1_reward.compute_score([row(response, truth)], **{"weights": WEIGHTS, **settings})[
        0
    ]


def verls(response, contract="think_answer"):
    truth = answers.encode_truth(SAMPLE)
    found = verl_reward.compute_score("", response, truth, {"contract": contract}, weights=WEIGHTS)
    return {"overall" if name == "score" else name: value for name, value in found.items()}


def test_what_easyr1_looks_for_in_the_file():
    path, _, name = easyr1_reward.reference().rpartition(":")
    spec = importlib.util.spec_from_file_location("custom_reward_fn", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["custom_reward_fn"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["custom_reward_fn"]
    assert (module.REWARD_TYPE, module.REWARD_NAME) == ("batch", "temporal_plugin")
    assert getattr(module, name)([row("")], weights=WEIGHTS)[0]["overall"] == 0.0


def test_the_path_is_printed():
    command = [sys.executable, "-m", "temporal_plugin.integrations.easyr1_reward"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == f"{easyr1_reward.reference()}\n"


def test_torch_stays_out_of_reward_workers():
    program = (
        "import sys, temporal_plugin.integrations.easyr1_reward; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_gold_answer_scores_all_there_is():
    response = gold_answer(SAMPLE, PROMPT.contract)
    found = score(response)
    assert found["overall"] == pytest.approx(sum(WEIGHTS.values()))
    assert (found["iou"], found["format"], found["acc"]) == (1.0, 1.0, 1.0)


@given(st.text(max_size=200) | st.sampled_from(["<answer>1 to 3</answer>", "1.0 to 3.5"]))
def test_verls_score_for_any_response(response):
    found = score(response)
    assert found == verls(response)
    assert all(type(value) is float for value in found.values())


def test_the_same_keys_in_all_rows():
    batch = [row(text) for text in ("", "<answer>1 to 3</answer>", "no", "\ud800")]
    keys = [list(found) for found in easyr1_reward.compute_score(batch, weights=WEIGHTS)]
    assert all(found == keys[0] and found[0] == "overall" for found in keys)


def test_the_rows_contract_decides_unless_one_is_set():
    plain = "<answer>1.00 to 3.00 and 5.00 to 6.00</answer>"  # think_answer wants a think block
    assert score(plain)["format"] == 0.0
    assert score(plain, contract="answer")["format"] == 1.0
    assert score(plain, contract="answer") == verls(plain, "answer")
    free = answers.encode_truth(SAMPLE)  # a truth that came without an export
    assert score(plain, free) == verls(plain, "free")


@pytest.mark.parametrize("nulls", [{}, {"answer": None, "note": None}])
def test_a_truth_that_a_reader_of_files_parsed(nulls):
    parsed = {**json.loads(ANSWER), **nulls}
    parsed["spans"] = np.array(parsed["spans"])
    response = "<think>x</think><answer>1 to 3.5</answer>"
    assert score(response, parsed) == score(response)


def test_our_mistakes_raise():
    with pytest.raises(ValueError, match=r"holds \['weight'\]; allowed: \('weights', 'contract'"):
        easyr1_reward.compute_score([row("")], weight=WEIGHTS)
    with pytest.raises(ValueError, match="EasyR1 handed over the keys"):
        easyr1_reward.compute_score([{**row(""), "image": 1}], weights=WEIGHTS)
    for truth in ("[1.0, 2.0]", "1 to 2", '{"spans": []}', None):
        with pytest.raises(ValueError, match="ground truth"):
            score("", truth)


def test_choices():
    sample = Sample(
        id="n/1", task="choice", video="b.mp4", query="why?", options=("(A) hungry", "tired"),
        answer="(B)",
    )  # fmt: skip
    target = export_rows.Target(prompts.load("answer_choice"))
    truth = export_rows.trainer_row(sample, target, 0)["answer"]
    assert json.loads(truth)["contract"] == "answer_choice"
    found = score("<answer>B</answer>", truth, weights={"format": 1.0})
    assert (found["overall"], found["format"]) == (1.0, 1.0)
