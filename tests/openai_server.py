"""A local server that speaks OpenAI's chat completions, and misbehaves as told."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """A reply that is no answer."""

    status: int = 500
    body: bytes = b'{"error": {"message": "out of order"}}'
    delay_seconds: float = 0.0
    headers: dict = field(default_factory=lambda: {"content-type": "application/json"})


class FakeServer(ThreadingHTTPServer):
    """Answers every chat by `reply(body, number)`: a text or a `Fault`; remembers all requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, reply: Callable[[dict, int], object]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply = reply
        self.bodies: list[dict] = []
        self.keys: list[str] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address) -> None:
        """A client that has hung up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            number = len(self.server.bodies)
            self.server.bodies.append(body)
            self.server.keys.append(self.headers.get("authorization", ""))
        found = self.server.reply(body, number)
        if not isinstance(found, Fault):
            found = Fault(200, completion(found))
        time.sleep(found.delay_seconds)
        self.send_response(found.status)
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(found.body)))
        self.end_headers()
        self.wfile.write(found.body)

    def log_message(self, *_) -> None:
        """Quiet."""


def completion(text: str | None) -> bytes:
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "fake",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }
    ).encode()


@contextmanager
def serving(reply: Callable[[dict, int], object]):
    """A running server that answers by `reply`."""
    server = FakeServer(reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
