"""The server of `leaderboard serve`: files of one folder, on loopback alone, for reading alone.

Only 127.0.0.1 is listened on, and a request counts only where its `Host` is that address or localhost with the port:
another site's page that has its own name resolve here (DNS rebinding) gets nothing, nor may it load our scripts
(Cross-Origin-Resource-Policy). GET and HEAD are all there is. No name leads out of the folder.

A page is sent with one inline script more than the built file has: it listens to `/-/events`, and reloads when the site
has changed. The page's policy is told that script's hash and that the page may listen here; nothing else in it changes.
"""

import base64
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from evalsuite.errors import InputError

HOST = "127.0.0.1"
EVENTS = "/-/events"
LISTENERS = 64
BEAT = 1.0
"""Seconds after which a listener hears that nothing has changed."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".parquet": "application/vnd.apache.parquet",
}
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
SCRIPT = """
"use strict";
(() => {
  const shown = %s;
  let bar = null;
  const tell = (running) => {
    if (!bar) {
      if (!running.length) return;
      bar = document.createElement("div");
      bar.id = "live";
      bar.setAttribute("role", "status");
      Object.assign(bar.style, { position: "fixed", right: "1rem", bottom: "1rem", padding: ".4rem .8rem",
        background: "#1d4ed8", color: "#fff", borderRadius: ".4rem", zIndex: 9, maxWidth: "90vw" });
      document.body.append(bar);
    }
    bar.hidden = !running.length;
    const text = "Running now: " + running.map((r) => `${r.model} (${r.answers} new answers)`).join(", ");
    if (bar.textContent !== text) bar.textContent = text;
  };
  let source = null;
  const listen = () => {
    // Browsers keep few connections to one host: only a page that is seen holds one.
    if (document.hidden) { if (source) source.close(); source = null; return; }
    if (source) return;
    source = new EventSource("%s");
    source.onmessage = (event) => {
      const state = JSON.parse(event.data);
      if (state.site !== shown) location.reload(); else tell(state.running);
    };
  };
  document.addEventListener("visibilitychange", listen);
  listen();
})();
"""
WAITING = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'none'">"""
    "<title>Leaderboard</title></head><body><main><h1>No finished run yet</h1>"
    "<p>This page shows the first one as soon as it is there.</p></main></body></html>"
)


class Live:
    """What is served now: a folder, its mark, and the runs that are going on. Safe for several threads."""

    def __init__(self) -> None:
        self.root: Path | None = None
        self.closed = False
        self._changed = threading.Condition()
        self._mark = secrets.token_hex(8)  # of this server: a page of an earlier one on this port reloads
        self._number = 0
        self._running: list[dict[str, Any]] = []
        self.listeners = threading.Semaphore(LISTENERS)

    def show(self, root: Path) -> None:
        """From now on this folder is served, and every page of another one reloads."""
        with self._changed:
            self.root, self._number = root, self._number + 1
            self._changed.notify_all()

    def running(self, runs: Sequence[dict[str, Any]]) -> None:
        with self._changed:
            if self._running != list(runs):
                self._running = list(runs)
                self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def now(self) -> tuple[Path | None, str]:
        """The folder and its mark, which belong together."""
        with self._changed:
            return self.root, f"{self._mark}-{self._number}"

    def state(self) -> str:
        with self._changed:
            return json.dumps({"site": f"{self._mark}-{self._number}", "running": self._running}, sort_keys=True)

    def wait(self, before: str) -> str:
        """The state as soon as it is another one than `before`, or after a beat."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self.state() != before, BEAT)
            return self.state()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    live: Live


def open_server(live: Live, port: int) -> Server:
    """Raises InputError where the port is taken."""
    try:
        server = Server((HOST, port), Handler)
    except OSError as error:
        raise InputError(f"--port {port}: cannot be listened on ({error.strerror}); 0 takes a free one") from error
    server.live = live
    return server


class Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "evalsuite", ""
    timeout = 30

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _refuse(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"", [("Allow", "GET, HEAD")])

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for what is built."""

    def _answer(self, body: bool) -> None:
        if not self._ours():
            self._send(HTTPStatus.FORBIDDEN, b"this server answers 127.0.0.1 and localhost only\n" if body else b"")
            return
        path = urlsplit(self.path).path
        if path == EVENTS:
            self._events(body)
            return
        root, mark = self.server.live.now()
        if root is None:
            self._page(WAITING, mark, body)
            return
        file = inside(root, unquote(path, errors="replace"))
        try:
            content = file.read_bytes() if file is not None else None
        except OSError:  # swept away after a newer site was shown
            content = None
        if file is None or content is None:
            self._send(HTTPStatus.NOT_FOUND, b"no such page\n" if body else b"")
        elif file.suffix == ".html":
            self._page(content.decode("utf-8", "replace"), mark, body)
        else:
            kind = TYPES.get(file.suffix, "application/octet-stream")
            self._send(HTTPStatus.OK, content if body else b"", [("Content-Type", kind)], len(content))

    def _ours(self) -> bool:
        port = self.server.server_address[1]
        return self.headers.get_all("Host") in ([f"{HOST}:{port}"], [f"localhost:{port}"])

    def _page(self, text: str, mark: str, body: bool) -> None:
        content = with_script(text, mark).encode("utf-8")
        headers = [("Content-Type", TYPES[".html"])]
        self._send(HTTPStatus.OK, content if body else b"", headers, len(content))

    def _send(
        self, status: HTTPStatus, content: bytes, headers: Sequence[tuple[str, str]] = (), size: int | None = None
    ) -> None:
        self.send_response(status)
        self._headers([*headers, ("Content-Length", str(len(content) if size is None else size))])
        self.wfile.write(content)

    def _headers(self, headers: Sequence[tuple[str, str]]) -> None:
        kept = [
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "no-referrer"),
        ]
        for name, value in [*headers, *kept]:
            self.send_header(name, value)
        self.end_headers()

    def _events(self, body: bool) -> None:
        """Server-Sent Events: the state now, and whenever it changes, until the reader or the server goes."""
        live = self.server.live
        if not live.listeners.acquire(blocking=False):
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"", [("Retry-After", "5")])
            return
        try:
            self.send_response(HTTPStatus.OK)
            self._headers([("Content-Type", "text/event-stream; charset=utf-8")])
            told = ""
            while body and not live.closed:
                state = live.wait(told)
                self.wfile.write(f"data: {state}\n\n".encode() if state != told else b": \n\n")
                told = state
        except OSError:  # the reader closed the page
            self.close_connection = True
        finally:
            live.listeners.release()


def inside(root: Path, path: str) -> Path | None:
    """The file of a decoded request path, None where there is none below `root`."""
    parts = [p for p in path.split("/") if p]
    if any(p.startswith(".") or "\\" in p or ":" in p or not p.isprintable() for p in parts):
        return None
    file = root.joinpath(*(parts or ["index.html"]))
    try:
        whole = file.resolve()
        return whole if whole.is_relative_to(root.resolve()) and whole.is_file() else None
    except (OSError, ValueError):
        return None


def with_script(page: str, mark: str) -> str:
    """The page with the script that reloads it, where the page has a policy to name its hash in; else as it is (a
    judge's report card)."""
    found = POLICY.search(page, 0, 4096)
    head = page.find("</head>")
    if found is None or not found.end() <= head:
        return page
    script = SCRIPT % (json.dumps(mark), EVENTS)
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode()
    policy = re.sub(r"(script-src)( &#39;none&#39;| 'none')?", rf"\1 &#39;sha256-{digest}&#39;", found[1], count=1)
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}; connect-src &#39;self&#39;">'
    return page[: found.start()] + meta + page[found.end() : head] + f"<script>{script}</script>" + page[head:]
