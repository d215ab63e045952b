"""What each kind of task needs, and how it scores: the truth is the maximum of every metric."""

from dataclasses import replace

import pytest

from temporal_plugin import metrics, prompts
from temporal_plugin.annotations import Sample
from temporal_plugin.annotations.gold import gold_answer
from temporal_plugin.answers import parse, render
from temporal_plugin.integrations import lmms_eval_captions as captions
from temporal_plugin.integrations.lmms_eval_failures import RequestFailed
from temporal_plugin.integrations.lmms_eval_kinds import KINDS, letter_of
from temporal_plugin.prompts import Prompt
from temporal_plugin.spans import Span

TRUTH = (Span(1.0, 2.0), Span(4.0, 7.5))
PROMPTS = {
    "grounding": ("answer", "think_answer"),
    "moment": ("answer_moments", "think_answer_moments"),
    "choice": ("answer_choice", "think_answer_choice"),
    "grounded_choice": ("answer_glue", "think_answer_glue"),
    "search": ("answer_keyframes", "think_answer_keyframes"),
    "caption": ("answer_text", "think_answer_text"),
}
#: judges no answer, see hosts/test_lmms_eval_masks.py
OF_CURATION = {"reflection"}
BOTH = [(kind, prompt) for kind, names in PROMPTS.items() for prompt in names]


@pytest.fixture
def sample(clock_video):
    return Sample(
        id="a/1",
        task="grounded_choice",
        video=str(clock_video),
        query="why?",
        spans=TRUTH,
        duration=8.0,
        options=("red", "green", "blue"),
        answer="C",
        extra={"keyframe_seconds": [1.5, 6.0]},
    )


class FakeJudge:
    def __init__(self, verdict):
        self.value = verdict

    def verdict(self, question, truth, answer):
        return self.value if self.value is None else truth == answer


@pytest.fixture(autouse=True)
def judge(monkeypatch):
    fake = FakeJudge(True)
    monkeypatch.setattr(captions, "judge", lambda: fake)
    return fake


def for_kind(kind, sample):
    """The sample without what a kind does not ask for."""
    if KINDS[kind].asks_choice:
        return sample
    return replace(sample, task="open", options=())


def gold(kind, sample, contract):
    if kind == "search":
        moments = [Span(second, second) for second in (1.5, 6.0)]
        return render(contract, spans=moments, choice="C", reasoning="so")
    return gold_answer(sample, contract)


def score(kind, sample, text, contract="free"):
    options = sample.options or None
    answer = parse(text, options=options, duration_seconds=sample.duration, contract=contract)
    return KINDS[kind].score(answer, sample)


def test_every_kind_is_tested():
    assert set(PROMPTS) | OF_CURATION == set(KINDS)


@pytest.mark.parametrize(("kind", "prompt"), BOTH)
def test_the_truth_scores_the_maximum(kind, prompt, sample):
    sample, contract = for_kind(kind, sample), prompts.load(prompt).contract
    scores = score(kind, sample, gold(kind, sample, contract), contract)
    assert set(scores) == set(KINDS[kind].keys)
    for key, value in scores.items():
        best = 0.0 if key in metrics.LOWER_IS_BETTER else 1.0
        assert value == pytest.approx(best), key


@pytest.mark.parametrize(("kind", "prompt"), BOTH)
@pytest.mark.parametrize("text", ["", "I like trains", "x" * 100_000, "我不知道"])
def test_no_answer_scores_nothing_and_has_every_key(kind, prompt, text, sample):
    sample, contract = for_kind(kind, sample), prompts.load(prompt).contract
    scores = score(kind, sample, text, contract)
    assert set(scores) == set(KINDS[kind].keys)
    assert all(scores[key] == 0 for key in KINDS[kind].merits)
    assert scores["parse_failure"] == (0.0 if kind == "caption" and text else 1.0)


def test_half_of_an_answer_is_scored(sample):
    found = score("search", sample, "<answer>A</answer><glue>[(1, 2)]</glue>", "answer_glue")
    assert (found["accuracy"], found["temporal_precision"]) == (0.0, 1.0)
    assert found["visual_recall"] < 1.0
    found = score("search", sample, "<answer>C</answer>", "answer_glue")
    assert (found["accuracy"], found["temporal_f1"], found["visual_precision"]) == (1.0, 0.0, 0.0)


def test_a_video_that_broke_since_is_a_failed_request(sample):
    with pytest.raises(RequestFailed, match="cannot be compared"):
        score("search", replace(sample, video="/none.mp4"), "<answer>C</answer>")


def test_a_judge_that_is_silent_is_a_failed_request(sample, judge):
    judge.value = None
    with pytest.raises(RequestFailed, match="judge did not answer"):
        score("caption", for_kind("caption", sample), "<answer>C</answer>", "answer_text")


@pytest.mark.parametrize(
    ("answer", "letter"), [("C", "C"), ("(B)", "B"), ("green", "B"), ("pink", None), (None, None)]
)
def test_the_letter_of_the_true_option(sample, answer, letter):
    assert letter_of(replace(sample, answer=answer)) == letter


def test_what_a_sample_lacks(sample):
    assert all(KINDS[kind].lacks(sample) is None for kind in PROMPTS)
    assert KINDS["reflection"].lacks(sample) == "its task is grounded_choice, needed: grounding"
    assert KINDS["reflection"].lacks(replace(sample, task="grounding", options=())) is None
    wrong = replace(sample, answer="pink", spans=(), extra={})
    lacks = {kind: KINDS[kind].lacks(wrong) for kind in KINDS}
    assert lacks["grounding"] == lacks["moment"] == "no true span"
    assert "'pink'" in lacks["choice"]
    assert "keyframe_seconds" in KINDS["search"].lacks(replace(sample, extra={}))
    assert KINDS["caption"].lacks(replace(sample, answer=None)) == "no true answer"


def test_which_prompts_cannot_ask():
    plain = Prompt("p", None, "{query}", contract="free")
    options = Prompt("p", "{options}", "{query}", contract="free")
    assert "{options}" in KINDS["choice"].misfit(plain)
    assert "there are none" in KINDS["grounding"].misfit(options)
    assert "asks for no words" in KINDS["caption"].misfit(plain)
    assert "asks for no list" in KINDS["reflection"].misfit(plain)
    assert KINDS["choice"].misfit(options) is None
    assert KINDS["grounding"].misfit(plain) is None


def test_failures_are_no_merits():
    for kind in KINDS.values():
        assert not set(kind.merits) & set(metrics.LOWER_IS_BETTER)
        assert {"parse_failure", "refusal"} <= set(kind.keys)
        assert kind.details in kind.merits
