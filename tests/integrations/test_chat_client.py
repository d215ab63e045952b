"""The client against a real server on a socket: patience, its end, and what is never said."""

import logging
import socket
import time

import pytest

pytest.importorskip("openai")
pytest.importorskip("tenacity")

from openai_server import Fault, completion

from temporal_plugin.integrations.chat_client import (
    ChatClient,
    ChatError,
    ChatSettings,
    PassingError,
    Reply,
    clean,
)

CHAT = [{"role": "user", "content": "hello"}]
HTML = Fault(200, b"<html>busy</html>", headers={"content-type": "text/html"})


def client(server_or_url, **settings):
    url = getattr(server_or_url, "url", server_or_url)
    settings = {"retries": 3, "wait_seconds": 0.01, "timeout_seconds": 5, **settings}
    return ChatClient(ChatSettings("m", url, **settings))


def test_a_reply_is_read_with_its_counts(openai_server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server = openai_server(lambda body, number: "你好 \u2028")
    assert client(server).ask(CHAT, max_tokens=5) == Reply("你好 \u2028", 7, 3)
    assert server.bodies == [{"messages": CHAT, "model": "m", "max_tokens": 5}]
    assert server.keys == ["Bearer sk-secret"]


def test_no_content_is_an_empty_text(openai_server):
    assert client(openai_server(lambda *_: None)).ask(CHAT).text == ""


@pytest.mark.parametrize(
    "fault",
    [
        Fault(500),
        Fault(503),
        Fault(429),
        Fault(429, headers={"content-type": "application/json", "retry-after": "0"}),
        HTML,
        Fault(200, b"{"),
        Fault(200, b"[]"),
        Fault(200, b'{"choices": []}'),
        Fault(200, b'{"choices": [{"message": {"content": 3}}]}'),
        Fault(200, b"\xff\xfe"),
    ],
    ids=str,
)
def test_what_may_pass_is_asked_again(openai_server, fault):
    server = openai_server(lambda body, number: fault if number < 3 else "fine")
    assert client(server).ask(CHAT).text == "fine"
    assert len(server.bodies) == 4
    broken = openai_server(lambda *_: fault)
    with pytest.raises(PassingError):
        client(broken, retries=1).ask(CHAT)
    assert len(broken.bodies) == 2


def test_a_slow_server_is_not_waited_for_longer_than_told(openai_server):
    server = openai_server(lambda *_: Fault(200, completion("late"), delay_seconds=1.5))
    begin = time.monotonic()
    with pytest.raises(PassingError, match="Timeout"):
        client(server, timeout_seconds=0.2, retries=1).ask(CHAT)
    assert time.monotonic() - begin < 1.4
    assert len(server.bodies) == 2


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(PassingError, match="Connection"):
        client(url, retries=1).ask(CHAT)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_not_asked_again(openai_server, status):
    server = openai_server(lambda *_: Fault(status, b'{"error": {"message": "too long"}}'))
    with pytest.raises(ChatError, match="too long") as caught:
        client(server).ask(CHAT)
    assert not isinstance(caught.value, PassingError)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_wrong_settings_are_ours_to_raise(openai_server, status):
    server = openai_server(lambda *_: Fault(status))
    with pytest.raises(ValueError, match=r"refuses every request .* check base_url, model 'm'"):
        client(server).ask(CHAT)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_key_is_never_repeated(openai_server, monkeypatch, caplog, status):
    monkeypatch.setenv("OTHER_KEY", "sk-secret")
    server = openai_server(lambda *_: Fault(status, b'{"error": {"message": "bad sk-secret"}}'))
    caplog.set_level(logging.DEBUG, logger="temporal_plugin")
    with pytest.raises((ChatError, ValueError)) as caught:
        client(server, key_variable="OTHER_KEY", retries=1).ask(CHAT)
    assert server.keys[0] == "Bearer sk-secret"
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("temporal_plugin")]
    assert "sk-secret" not in f"{caught.value} {ours}"
    assert "***" in str(caught.value)


def test_a_reader_may_want_another_reply(openai_server):
    def read(reply):
        if reply.text != "yes":
            raise PassingError("no yes")
        return True

    server = openai_server(lambda body, number: "yes" if number == 2 else "well")
    assert client(server).ask(CHAT, read=read) is True
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": " "}, "model is empty"),
        ({"timeout_seconds": 0}, "above 0"),
        ({"timeout_seconds": float("nan")}, "above 0"),
        ({"retries": -1}, "retries >= 0"),
        ({"wait_seconds": 61}, "wait <= 60"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        ChatSettings(**{"model": "m", **settings})


def test_lone_surrogates_can_be_sent(openai_server):
    server = openai_server(lambda *_: "fine")
    chat = [{"role": "user", "content": clean("a\ud800b")}]
    assert client(server).ask(chat).text == "fine"
    assert server.bodies[0]["messages"][0]["content"] == "a?b"
