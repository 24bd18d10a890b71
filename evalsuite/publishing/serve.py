"""The leaderboard on this machine alone, kept up to date while runs go on: `evalsuite leaderboard serve`.

    serve(load, store, port=8400, say=print)     # until Ctrl-C

The site is built whole into a temporary folder, and again into another one whenever a run's folder changes; then
readers get the new one, and the page reloads itself (`live`). A build that fails leaves the last good site standing.
Nothing is written into the store, and the temporary folders go when serving ends.
"""

import os
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from evalsuite.errors import EvalsuiteError
from evalsuite.publishing.live import Live, open_server
from evalsuite.publishing.site import build_site
from evalsuite.store import Run

POLL = 1.0
"""Seconds between two looks at the store."""
RECENT = 120.0
"""Seconds after its last answer during which a model's run counts as going on."""
Load = Callable[[], Sequence[Run]]


def serve(
    load: Load,
    store: Path,
    port: int = 0,
    title: str = "Leaderboard",
    cards: Sequence[Path] = (),
    say: Callable[[str], None] = print,
    watched: Sequence[Path] = (),
) -> None:
    """Serves what `load` returns until the process is interrupted (Ctrl-C, SIGTERM). `port` 0 takes a free one;
    `watched` are folders beside the store's that hold runs.

    Raises InputError where the port is taken.
    """
    with _interrupted() as ended, tempfile.TemporaryDirectory(prefix="evalsuite-serve-") as folder:
        live = Live()
        server = open_server(live, port)
        worker = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        worker.start()
        say(f"http://127.0.0.1:{server.server_address[1]}/  (Ctrl-C ends)")
        try:
            _keep_up(live, Path(folder), load, [store / "runs", *watched], store, title, cards, say, ended)
        except KeyboardInterrupt:
            pass
        finally:
            say("stopped")
            live.close()
            server.shutdown()
            worker.join()
            server.server_close()


def _keep_up(
    live: Live,
    folder: Path,
    load: Load,
    roots: Sequence[Path],
    store: Path,
    title: str,
    cards: Sequence[Path],
    say: Callable[[str], None],
    ended: Callable[[], bool],
) -> None:
    """Builds at first and after every change."""
    seen: Any = None
    number = 0
    while not ended():
        found = changed_files(roots)
        if found != seen:
            number += 1
            out, began = folder / f"site-{number}", time.monotonic()
            try:
                runs = load()
                if runs:
                    build_site(runs, out, title, cards=cards)
                    live.show(out)
                    say(f"{len(runs)} runs, built in {time.monotonic() - began:.1f} s")
                seen = found
            except (EvalsuiteError, OSError) as error:
                # A run may be replaced while it is read: the next look finds it whole. What stays wrong is said once.
                seen = found
                if changed_files(roots) == found:
                    say(f"not built: {error}")
            _sweep(folder, live.root)
        live.running(in_progress(store))
        time.sleep(POLL)


def _sweep(folder: Path, kept: Path | None) -> None:
    """Takes away every site but the present one. A reader in the middle of an older one is told to reload anyway."""
    for path in folder.iterdir():
        if path != kept:
            shutil.rmtree(path, ignore_errors=True)


def changed_files(roots: Sequence[Path]) -> list[tuple[str, int, int]]:
    """(path, size, time of change) of every file of every finished run: equal lists mean that nothing changed."""
    return sorted(entry for root in roots for entry in _files(root))


def _files(root: Path) -> Iterator[tuple[str, int, int]]:
    for place, names, files in os.walk(root):
        names[:] = [n for n in names if not n.startswith(".")]
        for name in files:
            path = os.path.join(place, name)
            try:
                stat = os.stat(path)
            except OSError:  # moved away between two system calls
                continue
            if not name.startswith("."):
                yield path, stat.st_size, stat.st_mtime_ns


def in_progress(store: Path, recent: float = RECENT) -> list[dict[str, Any]]:
    """Models that the store's journal got answers of just now: name, how many answers in the last two minutes, seconds
    since the newest. Read only; a store without a journal, or one that is busy, has none to tell."""
    path = store / "responses.sqlite"
    if not path.is_file():
        return []
    query = "SELECT model, COUNT(*), MAX(created) FROM responses WHERE created > ? GROUP BY model ORDER BY model"
    now = time.time()
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=0.2)) as db:
            rows = db.execute(query, (now - recent,)).fetchall()
    except sqlite3.Error:
        return []
    return [{"model": str(m)[:200], "answers": n, "ago": max(0, round(now - newest))} for m, n, newest in rows]


@contextmanager
def _interrupted() -> Iterator[Callable[[], bool]]:
    """SIGTERM ends serving as Ctrl-C does, so that no folder stays behind; gives whether one of them came, for what is
    raised inside a finaliser is lost. Only the main thread may set signals."""
    came = []

    def stop(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
