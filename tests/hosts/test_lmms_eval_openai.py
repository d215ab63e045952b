"""`temporal_openai` against a local server: what it is shown, and what its faults cost."""

import base64
import io
import json
from itertools import pairwise

import pytest

pytest.importorskip("lmms_eval")

from asking import GREEDY, ask
from openai_server import Fault, completion
from PIL import Image

from temporal_plugin.annotations import Sample
from temporal_plugin.integrations import lmms_eval_docs as docs
from temporal_plugin.integrations import lmms_eval_failures as failures
from temporal_plugin.integrations.lmms_eval_openai import TemporalOpenAI, _options
from temporal_plugin.spans import Span
from temporal_plugin.video import decode, source
from temporal_plugin.video.decode import load_frames
from temporal_plugin.video.timing import text_timestamps

pytestmark = pytest.mark.slow  # importing the host takes longer than all the fast tests
GOLD = "<answer>1.0 to 2.0</answer>"


@pytest.fixture(autouse=True)
def no_failures(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    failures.clear()
    yield
    failures.clear()


def document(video, number=0, clip=None):
    seconds = 6.0 if clip is None else clip.end_seconds - clip.start_seconds
    sample = Sample(
        id=f"q{number}", task="grounding", video=str(video), query=f"question {number}",
        spans=(Span(1, 2),), duration=seconds, clip=clip,
    )  # fmt: skip
    return docs.to_doc(sample, video.name, "answer")


@pytest.fixture
def documents(data_root):
    videos = [data_root / f"demo/videos/V{number}.mp4" for number in (0, 1, 0, 2, 1)]
    return [document(video, number) for number, video in enumerate(videos)]


@pytest.fixture
def build(sampling_settings):
    def make(server, **settings):
        settings = {"retries": 3, "retry_wait": 0.01, "timeout": 5, **sampling_settings, **settings}
        return TemporalOpenAI("m", base_url=server.url, **settings)

    return make


def shown(body):
    """Number of the question that a request is about."""
    text = json.dumps(body["messages"])
    return int(text.partition("question ")[2][0])


def scores(documents, answers):
    rows = [docs.process_results(doc, [text]) for doc, text in zip(documents, answers, strict=True)]
    return {
        name: [row[name]["score"] for row in rows]
        for name in ("miou", "parse_failure", "request_failure")
    }


def test_a_gold_answer_scores_the_maximum(openai_server, build, documents):
    answers = ask(build(openai_server(lambda *_: GOLD)), documents)
    found = scores(documents, answers)
    assert found == {"miou": [1.0] * 5, "parse_failure": [0.0] * 5, "request_failure": [0.0] * 5}


def test_each_answer_goes_to_its_question(openai_server, build, documents):
    server = openai_server(lambda body, _: f"answer {shown(body)}")
    assert ask(build(server, concurrency=4), documents) == [f"answer {i}" for i in range(5)]
    assert set(server.keys) == {"Bearer sk-secret"}


@pytest.mark.parametrize("clip", [None, Span(1.0, 5.0)])
def test_every_frame_comes_after_its_time(openai_server, build, data_root, clip):
    server = openai_server(lambda *_: GOLD)
    model = build(server)
    doc = document(data_root / "demo/videos/V0.mp4", clip=clip)
    ask(model, [doc])
    (body,) = server.bodies
    frames = load_frames(docs.to_sample(doc).video, model.sampling, clip=clip)
    assert frames.pts_seconds[0] < 1.0, "times count from the clip's start"
    (message,) = (message for message in body["messages"] if message["role"] == "user")
    parts = message["content"]
    times = [before["text"] for before, part in pairwise(parts) if part["type"] == "image_url"]
    assert times == text_timestamps(frames.pts_seconds)
    pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert len(pictures) == len(frames)
    first = Image.open(io.BytesIO(base64.b64decode(pictures[0].partition(",")[2])))
    assert (first.format, first.size) == ("JPEG", frames.pixels.shape[:1:-1])
    asked = docs.load_prompt("answer").messages(docs.to_sample(doc))[-1]["content"]
    words = [part["text"] for part in asked if part["type"] == "text"]
    assert [p["text"] for p in parts if p["type"] == "text" and p["text"] not in times] == words
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("m", 8, 0.0)


def test_a_video_is_decoded_once(openai_server, build, documents, monkeypatch):
    decoded = []

    def count(path, *args, **kwargs):
        decoded.append(path)
        return load_frames(path, *args, **kwargs)

    monkeypatch.setattr(source, "_open", lambda _: source.MemorySource().load)
    monkeypatch.setattr(decode, "load_frames", count)
    ask(build(openai_server(lambda *_: GOLD)), documents)
    assert sorted(decoded) == sorted({docs.to_sample(doc).video for doc in documents})


def test_500_half_of_the_time_costs_nothing(openai_server, build, documents):
    server = openai_server(lambda body, n: Fault(500) if n % 2 == 0 else f"answer {shown(body)}")
    assert ask(build(server, retries=9), documents) == [f"answer {i}" for i in range(5)]
    assert not any(failures.request_reason(doc) for doc in documents)


def test_used_up_retries_cost_their_own_question(openai_server, build, documents):
    server = openai_server(lambda body, _: Fault(500) if shown(body) in (1, 3) else GOLD)
    answers = ask(build(server, retries=2), documents)
    assert answers == [GOLD, "", GOLD, "", GOLD]
    assert len(server.bodies) == 3 + 2 * 3
    found = scores(documents, answers)
    assert found["miou"] == [1.0, 0.0, 1.0, 0.0, 1.0]
    assert found["request_failure"] == [0.0, 1.0, 0.0, 1.0, 0.0]
    assert found["parse_failure"] == [0.0] * 5, "no answer is no malformed answer"
    details = docs.process_results(documents[1], [""])["miou"]
    assert details["problem"].startswith("request failed: q1: InternalServerError")


def test_a_server_that_times_out(openai_server, build, documents):
    slow = Fault(200, completion(GOLD), delay_seconds=1.0)
    server = openai_server(lambda body, _: slow if shown(body) == 2 else GOLD)
    answers = ask(build(server, timeout=0.4, retries=1), documents)
    assert answers == [GOLD, GOLD, "", GOLD, GOLD]
    assert scores(documents, answers)["request_failure"] == [0, 0, 1, 0, 0]


def test_a_refused_request_costs_its_own_question(openai_server, build, documents):
    server = openai_server(lambda body, _: Fault(400) if shown(body) == 0 else GOLD)
    assert ask(build(server), documents) == ["", *[GOLD] * 4]
    assert len(server.bodies) == 5


def test_wrong_settings_stop_the_run(openai_server, build, documents):
    with pytest.raises(ValueError, match="check base_url, model 'm' and the key in OPENAI_API_KEY"):
        ask(build(openai_server(lambda *_: Fault(401))), documents)


@pytest.mark.parametrize(
    "response",
    [None, "", " \n", "x" * 100_000, "(" * 100_000, "1 to " * 20_000, "事件发生在第一秒到第二秒",
     "<answer>nan to nan</answer>", "<answer>1.0 to nan</answer>", "<answer>inf to 2</answer>",
     "<answer>-1e999 to 1e999</answer>", "<answer>" * 12_000, "\x00\u2028\ufffd"],
)  # fmt: skip
def test_a_hostile_response_scores_zero_and_is_counted(openai_server, build, data_root, response):
    doc = document(data_root / "demo/videos/V0.mp4")
    answers = ask(build(openai_server(lambda *_: response)), [doc])
    assert answers == [response or ""]
    found = scores([doc], answers)
    assert found == {"miou": [0.0], "parse_failure": [1.0], "request_failure": [0.0]}
    json.dumps(docs.process_results(doc, answers), allow_nan=False)


def test_a_broken_video_costs_its_own_questions(openai_server, build, documents, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\x00" * 4096)
    bad = [document(broken, 8), document(tmp_path / "missing.mp4", 9)]
    answers = ask(build(openai_server(lambda *_: GOLD)), [*bad, *documents])
    assert answers == ["", "", *[GOLD] * 5]
    assert scores([*bad, *documents], answers)["request_failure"] == [1, 1, 0, 0, 0, 0, 0]


def test_a_killed_run_asks_only_what_is_missing(openai_server, build, documents, tmp_path):
    server = openai_server(lambda body, n: f"answer {shown(body)}" if n < 3 else Fault(401))
    settings = {"resume": str(tmp_path / "answers"), "concurrency": 1}
    with pytest.raises(ValueError, match="refuses every request"):
        ask(build(server, **settings), documents)
    server.reply = lambda body, _: f"answer {shown(body)}"
    asked = len(server.bodies)
    assert ask(build(server, **settings), documents) == [f"answer {i}" for i in range(5)]
    assert len(server.bodies) - asked == 5 - 3
    other = build(server, **settings, jpeg_quality=50)
    assert ask(other, documents) == [f"answer {i}" for i in range(5)]
    assert len(server.bodies) - asked == 2 + 5, "other pictures are another question"


def test_generation_settings():
    assert _options(GREEDY) == {"max_tokens": 8, "temperature": 0.0}
    sampled = {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 5, "until": ["", *"abcde"]}
    assert _options(sampled) == {
        "max_tokens": 5,
        "temperature": 0.7,
        "top_p": 0.9,
        "stop": ["a", "b", "c", "d"],
    }
    assert _options({"temperature": 0.7, "do_sample": False})["temperature"] == 0.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"api_key": "sk-secret"}, "put the key into the environment"),
        ({"jpeg_quality": 0}, "allowed: 1 to 95"),
        ({"concurrency": 0}, "1 or more"),
        ({"timeout": -1}, "above 0"),
        ({"max_pixel": 9}, "max_pixel"),
    ],
)
def test_wrong_arguments(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        TemporalOpenAI("m", base_url="http://127.0.0.1:9/v1", **settings)
    assert "sk-secret" not in str(caught.value)


def test_the_arguments_of_a_command(openai_server, documents):
    server = openai_server(lambda *_: GOLD)
    arguments = f"model=m,base_url={server.url},fps=1,max_frames=8,timeout=5,retries=0"
    model = TemporalOpenAI.create_from_arg_string(
        arguments, {"batch_size": 1, "device": "cpu", "max_batch_size": None}
    )
    assert ask(model, documents[:1]) == [GOLD]


def test_a_picture_and_bare_text(openai_server, build):
    server = openai_server(lambda *_: "red")
    picture = {"type": "image", "url": Image.new("RGB", (90, 50), "red")}
    text = {"type": "text", "text": "which colour?"}

    def to_messages(doc):
        return [{"role": "user", "content": doc["content"]}]

    chats = [{"content": [picture, text]}, {"content": [text]}]
    assert ask(build(server, concurrency=1), chats, to_messages=to_messages) == ["red", "red"]
    seen = sorted((body["messages"][0]["content"] for body in server.bodies), key=len)
    assert [part["type"] for part in seen[0]] == ["image_url", "text"]
    assert seen[1] == "which colour?"
