"""One server of OpenAI's protocol over HTTP: where it is, whose key it gets, and one POST of JSON.

aiohttp, not the `openai` client: a call costs 0.2 ms of CPU instead of 1.5 to 2.5 (benchmarks/engine/server.py), and
that is what bounds how busy one core can keep a server.
"""

import ipaddress
import json
import os
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from evalsuite.backends.openai.retry import Fault, fault_of_error, fault_of_status
from evalsuite.errors import ModelError
from evalsuite.models import Model

KEEP_ALIVE = 4.0
"""Seconds for which an idle connection is used again: servers close theirs after 5 (uvicorn) or more."""


def base_url(url: str) -> str:
    """The address that endpoints are appended to: `/v1` is added where the URL has no path."""
    url = url.rstrip("/").removesuffix("/chat/completions")
    return url if urlsplit(url).path.strip("/") else f"{url}/v1"


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_ready(model: Model) -> None:
    """Raises ModelError where the server needs a key and the environment has none. Asks the server nothing."""
    _key(model)


def _key(model: Model) -> str:
    key = os.environ.get(model.options.key_env, "").strip()
    if key:
        return key
    if is_loopback(model.url or ""):
        return "none"  # servers on this machine seldom want a key; some insist on a header
    raise ModelError(
        f"{model.address}: the environment variable {model.options.key_env} is not set; put the server's key into it, "
        "or name another variable with --key-env"
    )


class Http:
    """A server's connections. Lives in one event loop; the session opens at the first call."""

    def __init__(self, model: Model, timeout: float) -> None:
        self._model = model
        self._timeout = timeout
        self._url = base_url(model.url or "")
        self._session: Any = None

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to one POST, tried once and given `timeout` seconds in all. Raises Fault."""
        session = self._session or self._open()
        try:
            # ensure_ascii: half a surrogate pair in a model's own words stays sendable.
            async with session.post(f"{self._url}/{path}", data=json.dumps(body).encode()) as reply:
                data = await reply.read()
                if reply.status != 200:
                    raise fault_of_status(reply.status, reply.headers, data)
            answer = json.loads(data)
        except Exception as error:
            fault = error if isinstance(error, Fault) else fault_of_error(error, self._timeout)
            if fault is None:
                raise
            fault.message = self.clean(fault.message)
            fault.args = (fault.message,)
            raise fault from None  # the client's exception may hold the request and with it the key
        if not isinstance(answer, dict) or not (answer.get("choices") or answer.get("data")):
            raise Fault(f"nothing in the answer: {self.clean(str(answer))[:200]}", transient=True)
        return answer

    def clean(self, message: str) -> str:
        """One line without the key, which some servers repeat in their messages."""
        line = " ".join(message.split())
        key = os.environ.get(self._model.options.key_env, "").strip()
        return (line.replace(key, "[key]") if key else line)[:500]

    async def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _open(self) -> Any:
        import aiohttp

        headers = {"Authorization": f"Bearer {_key(self._model)}", "Content-Type": "application/json"}
        for variable, header in (("OPENAI_ORG_ID", "OpenAI-Organization"), ("OPENAI_PROJECT_ID", "OpenAI-Project")):
            if os.environ.get(variable):
                headers[header] = os.environ[variable]
        self._session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self._timeout, ceil_threshold=float("inf")),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=_proxy(self._url),
        )
        return self._session


def _proxy(url: str) -> str | None:
    """The environment's proxy for a URL. None may stand between this machine and itself. aiohttp could read them, but
    would read ~/.netrc as well, whose password replaces the key."""
    where = urlsplit(url)
    if is_loopback(url) or proxy_bypass(where.hostname or ""):
        return None
    return getproxies().get(where.scheme)
