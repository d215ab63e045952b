"""A client of any server that speaks OpenAI's chat completions: patient, bounded, discreet."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from openai import (
    APIConnectionError,
    APIResponseValidationError,
    APIStatusError,
    AuthenticationError,
    NotFoundError,
    OpenAI,
    OpenAIError,
    PermissionDeniedError,
)
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

logger = logging.getLogger(__name__)

#: what a server that asks for no key is sent; the official client refuses to send none
NO_KEY = "none"
#: the settings are wrong, not the request: no other request can go well
MISCONFIGURED = (AuthenticationError, PermissionDeniedError, NotFoundError)
#: refused now, perhaps not later; all above 499 too
RETRIED_STATUS = frozenset({408, 409, 425, 429})
MOST_WAIT_SECONDS = 60.0

Result = TypeVar("Result")


class ChatError(Exception):
    """A request that got no usable reply; the message says why and holds no key."""


class PassingError(ChatError):
    """The same request may go well later: time-out, broken connection, 429, 5xx, bad reply."""


@dataclass(frozen=True)
class Reply:
    """A model's text and the tokens that the server counted (0 where it does not say)."""

    text: str
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class ChatSettings:
    """How a server is asked.

    Attributes:
        model: name of the model there.
        base_url: address up to and including `/v1`; None takes OPENAI_BASE_URL or OpenAI's own.
        key_variable: environment variable that holds the key. A key is no setting, since settings
            are written into results.
        timeout_seconds: longest wait for one reply.
        retries: further attempts after a failure that may pass.
        wait_seconds: before the first of them; it doubles each time, up to a minute. A server's
            Retry-After goes before.

    Raises:
        ValueError: an empty name, or a number out of range.
    """

    model: str
    base_url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    timeout_seconds: float = 120.0
    retries: int = 5
    wait_seconds: float = 1.0

    def __post_init__(self) -> None:
        if not str(self.model or "").strip():
            raise ValueError("model is empty; give the model's name on the server")
        if not 0 < self.timeout_seconds < float("inf"):
            raise ValueError(f"timeout is {self.timeout_seconds!r} seconds; it must be above 0")
        if self.retries < 0 or not 0 <= self.wait_seconds <= MOST_WAIT_SECONDS:
            raise ValueError(
                f"retries is {self.retries!r} and the wait {self.wait_seconds!r} seconds; "
                f"needed: retries >= 0, 0 <= wait <= {MOST_WAIT_SECONDS:g}"
            )


class ChatClient:
    """Asks one model on one server; safe from any thread."""

    def __init__(self, settings: ChatSettings) -> None:
        self.settings = settings
        self._key = os.environ.get(settings.key_variable) or NO_KEY
        self._client = OpenAI(
            api_key=self._key,
            base_url=settings.base_url or None,
            timeout=settings.timeout_seconds,
            max_retries=0,  # ours are counted and logged
        )

    def ask(
        self,
        messages: list[dict[str, Any]],
        *,
        read: Callable[[Reply], Result] = lambda reply: reply,
        **options: Any,
    ) -> Result:
        """What `read` makes of the reply to a chat.

        Args:
            messages: as the protocol has them.
            read: may raise PassingError for a reply that is no answer; it is then asked again.
            options: further fields of the request, such as max_tokens.

        Raises:
            PassingError: the retries are used up.
            ChatError: the server refuses this request (400, 413, 422, ...).
            ValueError: the server refuses the key or does not know the model or the address.
        """
        attempts = Retrying(
            stop=stop_after_attempt(1 + self.settings.retries),
            retry=retry_if_exception_type(PassingError),
            wait=self._wait,
            before_sleep=lambda state: logger.info("asked again after: %s", _error(state)),
            reraise=True,
        )
        return attempts(lambda: read(self._ask_once(messages, options)))

    def _ask_once(self, messages: list[dict[str, Any]], options: dict[str, Any]) -> Reply:
        try:
            found = self._client.chat.completions.create(
                model=self.settings.model, messages=messages, **options
            )
        except MISCONFIGURED as error:
            raise ValueError(
                f"the server refuses every request ({self._said(error)}); check base_url, model "
                f"{self.settings.model!r} and the key in {self.settings.key_variable}"
            ) from None
        except APIStatusError as error:
            passing = error.status_code in RETRIED_STATUS or error.status_code >= 500
            kind = PassingError if passing else ChatError
            raise kind(self._said(error)) from error
        except (APIConnectionError, APIResponseValidationError) as error:  # time-outs among them
            raise PassingError(self._said(error)) from error
        except OpenAIError as error:
            raise ChatError(self._said(error)) from error
        except ValueError as error:  # not JSON
            raise PassingError(f"the reply is no JSON ({type(error).__name__})") from error
        return _reply(found)

    def _wait(self, state: RetryCallState) -> float:
        """Seconds before the next attempt, with jitter so that many threads do not come at once."""
        doubled = self.settings.wait_seconds * 2 ** (state.attempt_number - 1)
        asked = _retry_after(state.outcome.exception() if state.outcome else None)
        wait = doubled * random.uniform(0.5, 1.0) if asked is None else asked
        return min(wait, MOST_WAIT_SECONDS)

    def _said(self, error: Exception) -> str:
        """The error in short, without the key should the server repeat it."""
        text = " ".join(str(error).split())
        if self._key != NO_KEY:
            text = text.replace(self._key, "***")
        return f"{type(error).__name__}: {text[:300]}"


def clean(text: str) -> str:
    """The text as valid Unicode: lone surrogates, which no request can carry, become "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _reply(found: Any) -> Reply:
    """The first choice's text.

    Raises:
        PassingError: the reply has another form.
    """
    try:
        text = found.choices[0].message.content
    except (AttributeError, IndexError, TypeError) as error:
        raise PassingError("the reply is no chat completion") from error
    if not isinstance(text, str | None):
        raise PassingError(f"the reply's content is a {type(text).__name__}, not a text")
    counts = [getattr(found.usage, name, 0) for name in ("prompt_tokens", "completion_tokens")]
    tokens = [count if isinstance(count, int) else 0 for count in counts]
    return Reply(text or "", *tokens)


def _retry_after(error: BaseException | None) -> float | None:
    """Seconds that the server asks to wait, None where it does not say."""
    response = getattr(getattr(error, "__cause__", None), "response", None)
    value = response.headers.get("retry-after", "") if response is not None else ""
    return float(value) if value.isascii() and value.isdigit() else None


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
