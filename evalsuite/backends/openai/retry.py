"""What went wrong with a call to a server, as data: whether another try may help, and how long to wait before it."""

import json
import random
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal

LONGEST_WAIT = 120.0
"""Seconds. A server that asks for more is given up: the run can be resumed later."""

Fate = Literal["ok", "rejected", "timeout", "broken"]
"""What became of one call: answered; turned away for now (429, 503, no connection); never answered; failed."""

_TOO_LONG = re.compile(
    r"context[ _](?:length|window)|maximum (?:context|model) |prompt is too long|too many tokens", re.I
)
_CONTENT = re.compile(
    r"content[ _](?:filter|polic|management)|safety|moderation|invalid_prompt|(?:invalid|decode).{0,20}image", re.I
)
_NEVER = ("insufficient_quota", "billing_hard_limit_reached")
_REJECTED = (429, 503, 529)
_SLOW = (408, 504)


class Fault(Exception):
    """A failed call. `transient`: another try may help. `unreachable`: no answer came at all. `reason`: this
    request's own fault (a word of `records.REASONS`), so the others may go on. `charged`: the server may have done the
    work, and bill it, although no answer came."""

    def __init__(
        self,
        message: str,
        transient: bool = False,
        fate: Fate = "broken",
        retry_after: float | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.transient = transient
        self.fate: Fate = fate
        self.retry_after = retry_after
        self.reason = reason
        self.unreachable = False
        self.charged = fate == "timeout"


def fault_of_status(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """The fault behind an answer whose status is not 200."""
    told = _told(body)
    message, code = _message(told)[:400] or "no message", _code(told)
    text = f"status {status}: {message}"
    if status in (408, 409, 425, 429) or (status >= 500 and status != 501):
        wait = retry_after(headers)
        fate: Fate = "rejected" if status in _REJECTED else "timeout" if status in _SLOW else "broken"
        hopeless = code in _NEVER or (wait or 0) > LONGEST_WAIT
        return Fault(text, transient=not hopeless, fate=fate, retry_after=wait)
    if status in (400, 413, 422):
        if _TOO_LONG.search(f"{code} {message}"):
            return Fault(text, reason="too_long")
        if _CONTENT.search(f"{code} {message}"):
            return Fault(text, reason="backend_error")
    return Fault(text)


def fault_of_error(error: Exception, timeout: float) -> Fault | None:
    """The fault behind an exception of the HTTP client; None where it is none of its own."""
    import aiohttp

    named = f"{type(error).__name__}{f': {error}' if str(error) else ''}"
    if isinstance(error, TimeoutError):
        return Fault(f"no answer within {timeout:g} s", transient=True, fate="timeout")
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.InvalidURL):
        return Fault(f"Connection error ({named})")
    if isinstance(error, aiohttp.ClientConnectorError):
        fault = Fault(f"Connection error ({named})", transient=True, fate="rejected")
        fault.unreachable = True
        return fault
    if isinstance(error, aiohttp.ClientError | OSError):
        fault = Fault(f"the connection broke off ({named})", transient=True)
        fault.charged = isinstance(error, aiohttp.ClientPayloadError)
        return fault
    if isinstance(error, ValueError):  # a body that is not JSON: a proxy's error page, or a cut-off answer
        return Fault(f"the answer is not JSON ({error})", transient=True)
    return None


def _told(body: bytes) -> Any:
    """The body as JSON, or as text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def _message(told: Any) -> str:
    """The server's own words: OpenAI's {"error": {"message"}}, FastAPI's {"detail"}, or the body's text."""
    for _ in range(2):
        if isinstance(told, dict):
            told = told.get("message") or told.get("error") or told.get("detail") or told
    return str(told)


def _code(told: Any) -> str:
    inner = told.get("error", told) if isinstance(told, dict) else None
    return str(inner.get("code")) if isinstance(inner, dict) else ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: `retry-after-ms`, `retry-after` in seconds or as a date; None without.
    The mapping must not mind upper and lower case."""
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


def pause(attempt: int, fault: Fault) -> float:
    """Seconds before try `attempt` + 2, with jitter, so that calls that failed together do not return together.

    What the server wants and a little more; else 0.5 s, doubling, after a rejection; and after an accident of one call
    (an error of the server's, a cut answer, a time-out) nothing at first, then 0.3 s, tripling. At most 60 s.
    """
    if fault.retry_after is not None:
        return fault.retry_after + random.uniform(0, min(1.0, 0.25 * fault.retry_after + 0.05))
    accident = 0.1 * 3.0**attempt if attempt else 0.0
    base = 0.5 * 2.0**attempt if fault.fate == "rejected" else accident
    return min(60.0, base) * random.uniform(0.5, 1.5)
