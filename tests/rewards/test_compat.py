"""The published rewards: equal to their plain regular expressions, quirks and all, and linear."""

import ast
import json
import math
import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_plugin.answers import Truth
from temporal_plugin.rewards import SEEDS, score_like
from temporal_plugin.rewards.compat import blocks, temporal_r1, tvg_r1, video_chat_r1
from temporal_plugin.spans import Span

SPAN = (Span(5, 9),)
SAMPLE = Truth("q", spans=SPAN, duration=30.0)
GROUNDED = Truth(
    "gc", task="grounded_choice", spans=SPAN, duration=30.0, options=("x", "y"), answer="B"
)
ANSWER = r"<answer>(.*?)</answer>"
PAIR = r"(\d+\.?\d*) (to|and) (\d+\.?\d*)"
STEP = r"<timestep>\s*(\d+\.?\d*)\s+to\s+(\d+\.?\d*)\s*</timestep>"
TWO_BLOCKS = r"<think>.*?</think>\s*<answer>.*?</answer>"
THREE_BLOCKS = TWO_BLOCKS + r"\s*<glue>.*?</glue>"
OBJECT = (
    r'<think>.*?</think>\s*<answer>\s*{\s*"start_time"\s*:\s*"([\d.]+)"\s*,'
    r'\s*"end_time"\s*:\s*"([\d.]+)"\s*}\s*</answer>'
)
TIMES = r"<think>.*</think>.*<time>.*</time>.*"
NUMBER = r"\d+(\.\d+)?"
GLUE = rf"^\[(\({NUMBER},\s*{NUMBER}\)(,\s*\({NUMBER},\s*{NUMBER}\))*(,)?|)\]$"


# The plain references: what the published expressions find.
def plain_pair(text):
    found = re.findall(PAIR, text, re.IGNORECASE)
    return (found[-1][0], found[-1][2]) if found else None


def plain_last(text, tag):
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return found[-1] if found else None


def plain_glue(text):
    if not re.match(GLUE, text):
        return None
    try:
        pairs = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return None
    return None if any(s > e for s, e in pairs) else [(float(s), float(e)) for s, e in pairs]


def full(pattern, text):
    return re.fullmatch(pattern, text, re.DOTALL) is not None


TAGS = [f"<{slash}{tag}>" for tag in ("think", "answer", "glue", "time") for slash in ("", "/")]
PARTS = ["5", "12.5", ".", "7", "٥", " to ", " and ", " TO ", "to", " ", "\n", "-", "x", "B", "0"]
PARTS += ["[", "]", "(", ")", ", ", ",", "(5, 9)", "(9, 5)", "[(1, 2), (3.5, 4)]", "\u00a0", "05"]
PARTS += ["<timestep>", "</timestep>", "<TIMESTEP>", "\\boxed{", "}", "{", "[5, 9]", "5 to 9"]
PARTS += ['"start_time"', '"end_time"', '"5"', '"9.0"', ":", '{"start_time": "5", "end_time": "9"}']
texts = st.lists(st.sampled_from(TAGS + PARTS), max_size=14).map("".join)


def random_texts(seed, pieces, most=14, cases=10_000):
    rng = random.Random(seed)
    for _ in range(cases):
        yield "".join(rng.choices(pieces, k=rng.randint(0, most)))


def test_the_last_pair_is_that_of_the_plain_expression():
    found = 0
    for text in random_texts("pair", [*PARTS[:10], "3", "1"], most=12, cases=30_000):
        assert blocks.last_pair(text) == plain_pair(text), text
        found += plain_pair(text) is not None
    assert found > 3000


@pytest.mark.parametrize("tag", ["answer", "think"])
def test_blocks_are_those_of_the_plain_expression(tag):
    for text in random_texts(tag, [f"<{tag}>", f"</{tag}>", "a", "\n"]):
        assert blocks.last_block(text, tag) == plain_last(text, tag), text
        match = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert blocks.first_block(text, tag) == (match[1] if match else None)


def test_formats_are_those_of_the_plain_expressions():
    ends = ["<think>", "</think>", "<answer>", "</answer>"]
    kept = 0
    for text in random_texts("format", [*ends, " ", "a"], most=7, cases=30_000):
        assert blocks.is_chain(text, "think", "answer") == full(TWO_BLOCKS, text), text
        kept += full(TWO_BLOCKS, text)
    for text in random_texts("glue", [*ends, "<glue>", "</glue>"], most=5, cases=10_000):
        text = f"<think>{text}</glue>"
        assert blocks.is_chain(text, "think", "answer", "glue") == full(THREE_BLOCKS, text), text
    for text in random_texts("times", ["<think>", "</think>", "<time>", "</time>", "a"], most=8):
        assert blocks.in_order(text, *tvg_r1._BLOCKS) == full(TIMES, text), text
    assert kept > 20


def test_the_object_format_is_that_of_the_plain_expression():
    pieces = [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        '{"start_time": "5", "end_time": "9"}',
    ]
    pieces += [" ", '{"start_time" :"5.5",\n"end_time":"..."}', '{"start_time": 5, "end_time": 9}']
    kept = 0
    for text in random_texts("object", pieces, most=7, cases=30_000):
        text = f"<think>{text}</answer>"
        assert temporal_r1.format_part(text) == float(full(OBJECT, text)), text
        kept += full(OBJECT, text)
    assert kept > 20


def test_marked_times_are_those_of_the_plain_expression():
    pieces = ["<timestep>", "</timestep>", "5", ".", "12", " ", "\n", "to", "TO", "<TIMESTEP>"]
    for text in random_texts("steps", pieces, most=10, cases=20_000):
        text = f"<timestep>{text}</timestep>"
        plain = re.search(STEP, text, re.IGNORECASE | re.DOTALL)
        assert blocks.has_step(text) == (plain is not None), text


def test_glue_is_what_python_reads():
    pieces = [
        "(",
        ")",
        ",",
        " ",
        "5",
        "9.5",
        "05",
        "0",
        "00",
        "(5, 9)",
        "(1,2)",
        "٥",
        "\n",
        "[",
        "]",
    ]
    pieces += ["(9, 5)", "\u00a0", "007.5", "(0.5, 00)"]
    valid = 0
    for text in random_texts("glue", pieces, most=7, cases=30_000):
        text = f"[{text}]"
        assert video_chat_r1.read_pairs(text) == plain_glue(text), text
        valid += plain_glue(text) is not None
    assert valid > 100
    for text in ("[]", "[]\n", "[(1, 2),]", "[(1, 2), ]", "[(1, 2)]\n", "[(1, 2)]\n\n", "", "["):
        assert video_chat_r1.read_pairs(text) == plain_glue(text), text
    assert video_chat_r1.read_pairs(f"[({'7' * 5000}, {'8' * 5000})]") is None  # Python refuses


# The formulas, written from the papers' definitions.
def plain_iou(s, e, true_s, true_e):
    hull = max(e, true_e) - min(s, true_s)
    return max(0, min(e, true_e) - max(s, true_s)) / hull if hull > 0 else 0.0


def seconds(rng):
    return rng.choice((float(rng.randint(0, 40)), round(rng.uniform(0, 40), 2)))


def cases(seed, count=10_000):
    rng = random.Random(seed)
    for _ in range(count):
        start, end = sorted((seconds(rng), seconds(rng)))
        sample = Truth("q", spans=(Span(start, end),), duration=rng.choice((10.0, 30.0, 55.5)))
        yield rng, sample, (start, end), (seconds(rng), seconds(rng))


@pytest.mark.parametrize("seed", ["timezero", "videochat_r1"])
def test_iou_and_format_of_timezero(seed):
    for rng, sample, true, (s, e) in cases(seed):
        think = rng.choice(("<think>a</think>", "a"))
        text = f"{think}<answer>{s} {rng.choice(('to', 'and'))} {e}</answer>"
        row = score_like(seed, text, sample)
        form = float(think != "a")
        assert row["iou"] == pytest.approx(plain_iou(s, e, *true))
        assert row["score"] == pytest.approx(plain_iou(s, e, *true) + form)


def test_tiou_of_time_r1_has_unclamped_factors():
    lowest = 0.0
    for _, sample, (true_s, true_e), (s, e) in cases("time_r1"):
        row = score_like("time_r1", f"<answer>{s} to {e}</answer>", sample)
        near = (1 - abs(true_s - s) / sample.duration) * (1 - abs(true_e - e) / sample.duration)
        assert row["iou_v2"] == pytest.approx(plain_iou(s, e, true_s, true_e) * near)
        assert row["score"] == row["iou_v2"]
        lowest = min(lowest, row["iou_v2"])
    assert lowest < 0.0


def test_what_time_r1_only_logs():
    text = "<think>no</think><think> However, wait.\n\nBecause <timestep>5 to 9</timestep> </think>"
    row = score_like("time_r1", text, SAMPLE)
    logged = {"timestep_pair": 0.2, "keywords": 0.2, "paragraphs": 0.1, "length": 0.051}
    assert {name: row[name] for name in logged} == pytest.approx(logged)
    assert row["score"] == 0.0
    long = score_like("time_r1", f"<think>{'a' * 900}</think>", SAMPLE)
    assert long["length"] == 0.5
    weights = {"iou": 1.0, "timestep_pair": 1.0}
    assert score_like("time_r1", text, SAMPLE, weights)["score"] == pytest.approx(0.2)


def test_temporal_r1_weighs_both_halves():
    for rng, sample, true, (s, e) in cases("temporal_r1"):
        quote = rng.choice(('"', ""))
        content = f'{{"start_time": {quote}{s}{quote}, "end_time": {quote}{e}{quote}}}'
        row = score_like("temporal_r1", f"<think>a</think><answer>{content}</answer>", sample)
        assert row["iou"] == pytest.approx(plain_iou(s, e, *true))
        assert row["format"] == float(quote == '"')
        assert row["score"] == pytest.approx(0.5 * row["iou"] + 0.5 * row["format"])


def ticks(pairs):
    return {t for s, e in pairs for t in range(s, e)}


def test_videochat_r1_grounded_choice():
    rng = random.Random("gqa")
    for _ in range(10_000):
        pairs = [(rng.randint(0, 20), rng.randint(0, 20)) for _ in range(rng.randint(0, 3))]
        true = [tuple(sorted((rng.randint(0, 20), rng.randint(0, 20)))) for _ in range(2)]
        sample = Truth("q", "grounded_choice", tuple(Span(*p) for p in true), 30.0, ("x", "y"), "B")
        letter = rng.choice(("B", "A", "(B)", "The answer is B", "Because", "none"))
        text = f"<think>a</think><answer>{letter}</answer><glue>{pairs}</glue>"
        row = score_like("videochat_r1", text, sample)
        valid = all(s <= e for s, e in pairs)
        union = ticks(pairs) | ticks(true)
        iou = len(ticks(pairs) & ticks(true)) / len(union) if union else 1.0
        assert row["iou"] == pytest.approx(iou if valid else 0.0)
        assert row["choice"] == float(letter not in ("A", "none"))
        assert row["score"] == pytest.approx(row["iou"] + row["format"] + row["choice"])
        assert row["format"] == float(valid)


@pytest.mark.parametrize("sample", [SAMPLE, GROUNDED])
def test_tvg_r1(sample):
    rng = random.Random(sample.task)
    for _ in range(5_000):
        s, e = seconds(rng), seconds(rng)
        letter = rng.choice(("B", "b", "(B)", "\\text{B}", "A", "BB", ""))
        text = f"<think>a</think> <time>[{s}, {e}]</time> \\boxed{{{letter}}}"
        row = score_like("tvg_r1", text, sample)
        iou = plain_iou(s, e, 5, 9)
        right = float(letter in ("B", "b", "(B)", "\\text{B}"))
        total = 0.7 * right + 0.2 * iou + 0.1 if sample is GROUNDED else 0.9 * iou + 0.1
        assert row["score"] == pytest.approx(total)


@pytest.mark.parametrize(
    ("seed", "text", "iou"),
    [
        ("timezero", "<answer>5 to 9</answer>", 1.0),
        ("timezero", "<answer>1 to 2</answer><answer>5 to 9</answer>", 1.0),
        ("timezero", "<answer>1 to 2 or 5 and 9</answer>", 1.0),
        ("timezero", "<answer>-5 to 9</answer>", 1.0),  # the sign is lost
        ("timezero", "<think><answer>5 to 9</answer></think>", 1.0),
        ("timezero", "<answer>5  to 9</answer>", 0.0),
        ("timezero", "<answer>5s to 9s</answer>", 0.0),
        ("timezero", "<answer>5-9</answer>", 0.0),
        ("timezero", "<answer>10% to 20%</answer>", 0.0),
        ("timezero", "<answer>9 to 5</answer>", 0.0),
        ("timezero", "<answer>00:05 to 00:09</answer>", 0.0),  # read as 5 to 0
        ("timezero", "5 to 9", 0.0),
        ("temporal_r1", '<answer>{"start_time": 5, "end_time": "9"}</answer>', 1.0),
        ("temporal_r1", '<answer>{"end_time": 9, "start_time": 5, "a": 1}</answer>', 1.0),
        ("temporal_r1", '<answer>{}</answer><answer>{"start_time": 5, "end_time": 9}</answer>', 0),
        ("temporal_r1", '<answer>{"start_time": NaN, "end_time": 9}</answer>', 0.0),
        ("temporal_r1", '<answer>{"start_time": 5, "end_time": 1e999}</answer>', 0.0),
        ("temporal_r1", "<answer>[5, 9]</answer>", 0.0),
        ("temporal_r1", "<answer>" + "[" * 100_000 + "</answer>", 0.0),
        ("temporal_r1", '<answer>{"start_time": ' + "9" * 5000 + "}</answer>", 0.0),
        ("tvg_r1", "<time>[5, 9]</time><time>[1, 2]</time>", 1.0),
        ("tvg_r1", '<time> ["5", "9.0"] </time>', 1.0),
        ("tvg_r1", "<time>[5, 9, 12]</time>", 0.0),
        ("tvg_r1", "<time>5 to 9</time>", 0.0),
        ("tvg_r1", "<time>7</time>", 0.0),
    ],
)
def test_quirks(seed, text, iou):
    assert score_like(seed, text, SAMPLE)["iou"] == iou


GOLD = {
    "timezero": "<think>a</think><answer>5.00 to 9.00</answer>",
    "time_r1": "<think>a</think><answer>5.00 to 9.00</answer>",
    "temporal_r1": '<think>a</think><answer>{"start_time": "5.0", "end_time": "9.0"}</answer>',
    "videochat_r1": "<think>a</think><answer>5.00 to 9.00</answer>",
    "tvg_r1": "<think>a</think><time>[5.0, 9.0]</time>",
}
GOLD_CHOICE = {
    "videochat_r1": "<think>a</think><answer>B</answer><glue>[(5.0, 9.0)]</glue>",
    "tvg_r1": "<think>a</think><time>[5.0, 9.0]</time>\\boxed{B}",
}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gold_answer_scores_the_maximum(seed):
    for task, text, sample in (
        ("grounding", GOLD[seed], SAMPLE),
        ("grounded_choice", GOLD_CHOICE.get(seed), GROUNDED),
    ):
        if task in SEEDS[seed].tasks:
            row = score_like(seed, text, sample)
            assert row["score"] == pytest.approx(sum(SEEDS[seed].tasks[task].weights.values()))
            assert row["parse_failure"] == 0.0


@settings(deadline=None, max_examples=300)
@given(st.one_of(texts, st.text(max_size=60)), st.sampled_from(sorted(SEEDS)))
def test_any_text_gives_a_finite_row_of_the_same_keys(text, seed):
    keys = set()
    for sample in (SAMPLE, GROUNDED):
        if sample.task in SEEDS[seed].tasks:
            row = score_like(seed, text, sample)
            assert all(type(v) is float and math.isfinite(v) for v in row.values())
            assert row["score"] <= 3.0 + 1e-9
            keys.add(frozenset(row))
    assert len(keys) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_undefined_is_zero(seed):
    moment = Truth("q", spans=(Span(5, 5),), duration=30.0)
    huge = "9" * 400
    for s, e in (("7", "3"), ("5", "5"), (huge, huge), ("1", huge)):
        pair = json.dumps({"start_time": s, "end_time": e})
        for text in (f"<answer>{s} to {e}</answer>", f"<answer>{pair}</answer>"):
            assert score_like(seed, text + f"<time>[{s}, {e}]</time>", moment)["iou"] == 0.0
    assert score_like(seed, None, SAMPLE)["parse_failure"] == 1.0


@pytest.mark.parametrize(
    ("seed", "sample", "weights", "message"),
    [
        ("time-zero", SAMPLE, None, "compat 'time-zero' is unknown; use one of: timezero, time_r1"),
        ("timezero", GROUNDED, None, "of the task 'grounded_choice'; it knows grounding"),
        ("timezero", Truth("q", duration=9.0), None, "exactly one true span, sample 'q' has 0"),
        ("tvg_r1", Truth("q", spans=(*SPAN, Span(1, 2)), duration=9.0), None, "'q' has 2"),
        ("time_r1", Truth("q", spans=SPAN), None, "sample 'q' has no duration"),
        ("time_r1", Truth("q", spans=SPAN, duration=0.0), None, "lasts 0.0 s, not above 0"),
        ("timezero", SAMPLE, {"tiou": 1.0}, "has no part 'tiou'; its parts are format, iou"),
        ("timezero", SAMPLE, {"iou": math.nan}, "must be finite"),
        ("timezero", SAMPLE, {}, "no weights given for the task 'grounding'"),
        ("tvg_r1", SAMPLE, {"grounded_choice": {"iou": 1.0}}, "for the task 'grounding'"),
    ],
)
def test_what_a_seed_cannot_score_is_our_mistake(seed, sample, weights, message):
    with pytest.raises(ValueError, match=message):
        score_like(seed, "<answer>5 to 9</answer>", sample, weights)


def test_weights_of_a_seed_by_task():
    weights = {"grounding": {"iou": 2.0}, "grounded_choice": {"choice": 3.0}}
    assert score_like("tvg_r1", GOLD["tvg_r1"], SAMPLE, weights)["score"] == 2.0
    assert score_like("tvg_r1", GOLD_CHOICE["tvg_r1"], GROUNDED, weights)["score"] == 3.0


HOSTILE = [*TAGS, "7", "7.", "7 ", " to ", "1 to ", "1 to 2 ", "<think></think>", "</think> ", " "]
HOSTILE += ["<think>a</think><answer>", "<timestep>5 to ", "[(", "(1, 2), ", '{"a":', "\\boxed{"]


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_megabyte_takes_little_time(unit):
    filling = unit * (1_000_000 // len(unit))
    wrapped = [filling, f"<think>{filling}</answer>", f"<answer>{filling}</answer>"]
    wrapped += [f"<think>{filling}</think>", f"<glue>[{filling}]</glue>", f"<time>{filling}</time>"]
    began = time.process_time()
    for text in wrapped:
        for seed in SEEDS:
            score_like(seed, text, SAMPLE)
        for seed in GOLD_CHOICE:
            score_like(seed, text, GROUNDED)
    assert time.process_time() - began < 12.0  # 42 scores; measured: 1.5 at most, on an idle core
