"""What went wrong with a request to a server, as data: whether another try may help, and how long to wait before it."""

import random
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_WAIT = 120.0
"""Seconds. A server that asks for more is given up: the run can be resumed later."""

_TOO_LONG = re.compile(
    r"context[ _](?:length|window)|maximum (?:context|model) |prompt is too long|too many tokens", re.I
)
_CONTENT = re.compile(
    r"content[ _](?:filter|polic|management)|safety|moderation|invalid_prompt|(?:invalid|decode).{0,20}image", re.I
)
_NEVER = ("insufficient_quota", "billing_hard_limit_reached")


class Fault(Exception):
    """A failed request. `transient`: another try may help. `unreachable`: no answer came at all. `reason`: this
    request's own fault (a word of `records.REASONS`), so the others may go on."""

    def __init__(
        self,
        message: str,
        transient: bool = False,
        unreachable: bool = False,
        retry_after: float | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.transient = transient
        self.unreachable = unreachable
        self.retry_after = retry_after
        self.reason = reason


def fault_of(error: Exception) -> Fault | None:
    """The fault behind an exception of the openai client; None where it is none of its own."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    if isinstance(error, openai.APIConnectionError):
        cause = error.__cause__
        detail = f" ({type(cause).__name__}{f': {cause}' if str(cause) else ''})" if cause is not None else ""
        # A slow server is there; only one that takes no connection counts as absent.
        absent = "Connect" in type(cause).__name__
        return Fault(f"{error.message.rstrip('.')}{detail}", transient=True, unreachable=absent)
    if isinstance(error, openai.OpenAIError):
        return Fault(str(error))
    if isinstance(error, ValueError):  # a body that is not JSON: a proxy's error page, or a cut-off answer
        return Fault(f"the answer is not JSON ({error})", transient=True)
    return None


def _of_status(error: Any) -> Fault:
    status, message = int(error.status_code), _message(error)
    text = f"status {status}: {message}"
    if status in (408, 409, 425, 429) or (status >= 500 and status != 501):
        wait = retry_after(error.response.headers)
        hopeless = str(error.code) in _NEVER or (wait or 0) > LONGEST_WAIT
        return Fault(text, transient=not hopeless, retry_after=wait)
    if status in (400, 413, 422):
        if _TOO_LONG.search(f"{error.code} {message}"):
            return Fault(text, reason="too_long")
        if _CONTENT.search(f"{error.code} {message}"):
            return Fault(text, reason="backend_error")
    return Fault(text)


def _message(error: Any) -> str:
    """The server's own words: OpenAI's {"error": {"message"}}, FastAPI's {"detail"}, or the body's text."""
    body = error.body
    for _ in range(2):
        if isinstance(body, dict):
            body = body.get("message") or body.get("error") or body.get("detail") or body
    return str(body if body else error.message)[:400]


def retry_after(headers: Any) -> float | None:
    """Seconds that a server asks to wait: `retry-after-ms`, `retry-after` in seconds or as a date; None without."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        text = headers.get("retry-after")
        if text is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
            return float(text)
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def pause(attempt: int, wanted: float | None) -> float:
    """Seconds before try `attempt` + 2: what the server wants and a little more, else doubling from 0.5 to 60, with
    jitter so that requests that failed together do not return together."""
    if wanted is not None:
        return wanted + random.uniform(0, min(1.0, 0.25 * wanted + 0.05))
    return float(min(60.0, 0.5 * 2**attempt) * random.uniform(0.5, 1.5))
