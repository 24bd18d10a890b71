"""Where everything that is made of a world lies, and the lock of what is being made there.

`EVALSUITE_CACHE` (or ~/.cache/evalsuite) /microworld/<size>-<seed>-<key>/<checkpoint>; the key covers generator, recipe
and library versions.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from evalsuite.microworld.recipes import cache_key
from evalsuite.models.fingerprint import cache_folder


def root_of(size: str, seed: int) -> Path:
    """Where everything that is made of one world lies."""
    return cache_folder() / "microworld" / f"{size}-{seed}-{cache_key(size, seed)}"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on a file; it ends with the process, whatever happens."""
    try:
        import fcntl
    except ImportError:  # Windows: a second builder would do the same work twice, and the rename decides
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
