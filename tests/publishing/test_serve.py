"""`leaderboard serve` as a real process on loopback: what it answers and refuses, that it keeps up and cleans up."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection

import pytest

from evalsuite.publishing import build_site
from evalsuite.publishing.live import inside, with_script
from evalsuite.publishing.serve import _interrupted, changed_files, in_progress
from evalsuite.records import Completion
from evalsuite.store import Responses

SCORES = {"facts": {"acc": [1.0, 0.0, 1.0, 1.0]}}


@pytest.fixture
def serving(tmp_path):
    """Starts the verb on a store, gives (process, port); ends what a test left running."""
    started = []

    def start(store, *words):
        temporary = tmp_path / "temporary"
        temporary.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "evalsuite", "leaderboard", "serve", *words, "--port", "0"]
        process = subprocess.Popen(
            [*command, "--store", str(store)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        started.append(process)
        return process, int(re.search(r"127\.0\.0\.1:(\d+)/", process.stderr.readline())[1])

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stderr.close()


def ask(port, path="/", method="GET", host=None):
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body.decode("utf-8", "replace"), dict(answer.getheaders())


def events(port):
    """The states that the server tells, as they come."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(f"GET /-/events HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        with line.makefile(encoding="utf-8") as lines:
            for text in lines:
                if text.startswith("data: "):
                    yield json.loads(text.removeprefix("data: "))


def test_it_serves_the_site_keeps_up_and_leaves_nothing_behind(make_run, tmp_path, serving):
    first = make_run("one", SCORES)
    process, port = serving(tmp_path / "store")
    states = events(port)
    before = next(s for s in states if not s["site"].endswith("-0"))
    status, index, headers = ask(port)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert before["site"] in index
    built = build_site([first], tmp_path / "site")
    plain = built.read_text(encoding="utf-8")
    assert "EventSource" in index
    assert "EventSource" not in plain
    assert not any(
        "EventSource" in p.read_text("utf-8") for p in built.parent.rglob("*.*") if p.suffix in (".html", ".js")
    )
    assert ask(port, "/data/board.js")[1] == (built.parent / "data" / "board.js").read_text(encoding="utf-8")
    make_run("two", SCORES)
    after = next(s for s in states if s["site"] != before["site"])
    assert after["site"] in ask(port)[1]
    assert "two" in ask(port, "/data/board.js")[1]
    states.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert list((tmp_path / "temporary").iterdir()) == []


def test_it_refuses_what_it_must(make_run, tmp_path, serving):
    make_run("one", SCORES)
    (tmp_path / "store" / "secret.txt").write_text("secret")
    process, port = serving(tmp_path / "store", "one")
    states = events(port)
    next(s for s in states if not s["site"].endswith("-0"))
    states.close()
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}"):
        assert ask(port, host=host)[0] == 403
        assert ask(port, "/-/events", host=host)[0] == 403
    assert ask(port, host=f"localhost:{port}")[0] == 200
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask(port, method=method)[0] == 405
    up = ["/../x", "/%2e%2e/%2e%2e/etc/passwd", "/data/..%2f..%2fx", "/..%5cx", "//etc/passwd", "/data", "/%00", "/.x"]
    assert [ask(port, path)[0] for path in up] == [404] * len(up)
    status, body, headers = ask(port, "/data/board.js", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 0
    with pytest.raises((ConnectionError, TimeoutError)):  # a server on every address would answer here too
        socket.create_connection(("127.0.0.2", port), timeout=2)
    process.terminate()
    assert process.wait(timeout=60) == 0


def test_an_empty_store_waits_and_an_unknown_run_ends(tmp_path, serving, make_run):
    _, port = serving(tmp_path / "store")
    status, page, _ = ask(port)
    assert (status, "No finished run yet" in page, "EventSource" in page) == (200, True, True)
    states = events(port)
    next(states)
    make_run("one", SCORES)
    assert next(s for s in states if not s["site"].endswith("-0"))
    states.close()
    words = [sys.executable, "-m", "evalsuite", "leaderboard", "serve", "nobody", "--store", str(tmp_path / "store")]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "unknown run 'nobody'" in ended.stderr


def test_a_damaged_run_leaves_the_last_good_site_standing(make_run, tmp_path, serving):
    make_run("one", SCORES)
    process, port = serving(tmp_path / "store")
    while "built" not in process.stderr.readline():
        pass
    mark = re.search(r"const shown = (\S+);", ask(port)[1])[1]
    odd = tmp_path / "store" / "runs" / "odd"
    odd.mkdir()
    (odd / "manifest.json").write_text("{")
    assert "not built" in process.stderr.readline()
    assert mark in ask(port)[1]


def test_runs_that_are_going_on_are_told_by_the_journal(tmp_path):
    assert in_progress(tmp_path) == []
    responses = Responses(tmp_path)
    responses.put("sft", {"a": Completion(text="x"), "b": Completion(text="y")})
    [found] = in_progress(tmp_path)
    assert (found["model"], found["answers"]) == ("sft", 2)
    time.sleep(0.02)
    assert in_progress(tmp_path, recent=0.01) == []
    responses.close()


def test_half_written_runs_are_not_seen(tmp_path):
    (tmp_path / ".one.part").mkdir()
    (tmp_path / ".one.part" / "manifest.json").write_text("{}")
    assert changed_files([tmp_path]) == []
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "manifest.json").write_text("{}")
    assert len(changed_files([tmp_path, tmp_path / "nothing"])) == 1


def test_links_out_of_the_folder_lead_nowhere(tmp_path):
    root = tmp_path / "site"
    root.mkdir()
    (tmp_path / "secret.html").write_text("secret")
    (root / "out.html").symlink_to(tmp_path / "secret.html")
    (root / "index.html").write_text("x")
    assert inside(root, "/out.html") is None
    assert inside(root, "/") == (root / "index.html").resolve()


def test_a_page_without_a_policy_of_ours_is_sent_as_it_is():
    card = "<html><head></head><body>a card</body></html>"
    assert with_script(card, "m") == card


def test_an_interrupt_that_is_swallowed_is_remembered():
    before = signal.getsignal(signal.SIGTERM)
    with _interrupted() as ended:
        assert not ended()
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        assert ended()
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_page_reloads_itself_in_a_browser(make_run, tmp_path, serving, browser):
    make_run("one", SCORES)
    process, port = serving(tmp_path / "store")
    while "built" not in process.stderr.readline():
        pass
    page, faults = browser.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    page.goto(f"http://127.0.0.1:{port}/#q=one")
    page.wait_for_selector("a:text-is('one')")
    responses = Responses(tmp_path / "store")
    responses.put("sft-in-training", {"a": Completion(text="x")})
    responses.close()
    page.wait_for_selector("#live:has-text('sft-in-training')")
    # Once or twice: a look at the store may fall between two files of the run, and a second reload ends the first.
    with page.expect_event("load", timeout=60_000):
        make_run("two", SCORES)
    assert page.url.endswith("#q=one")
    page.evaluate("location.hash = ''")
    page.wait_for_selector("a:text-is('two')", timeout=60_000)
    page.close()
    assert faults == []
