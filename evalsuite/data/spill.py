"""A list that moves to a temporary file when it grows, so that a million items cost eight bytes of memory each.

>>> rows = Spill(keep=2)
>>> for number in range(3):
...     rows.append({"n": number})
>>> len(rows), rows[2], rows[:2]
(3, {'n': 2}, [{'n': 0}, {'n': 1}])
"""

import os
import pickle
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

KEEP = 20_000
"""Items that stay in memory."""

BUFFER = 1 << 20


class Spill(Sequence[T], Generic[T]):
    """An append-only sequence. `pack` and `unpack` turn an item into plain values and back (pickled in the file, which
    only this process reads and which goes with it). Items that have been moved to the file are read anew each time."""

    def __init__(
        self,
        keep: int = KEEP,
        pack: Callable[[T], Any] = lambda item: item,
        unpack: Callable[[Any], T] = lambda value: value,
    ) -> None:
        self._keep, self._pack, self._unpack = keep, pack, unpack
        self._near: list[T] = []
        self._ends = array("Q")
        self._file: Any = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def append(self, item: T) -> None:
        if self._file is None and len(self._near) < self._keep:
            self._near.append(item)
            return
        if self._file is None:
            self._file = nameless(buffering=0)
            near, self._near = self._near, []
            for earlier in near:
                self._write(earlier)
        self._write(item)

    def extend(self, items: "Sequence[T] | Iterator[T]") -> None:
        for item in items:
            self.append(item)

    def _write(self, item: T) -> None:
        data = pickle.dumps(self._pack(item), protocol=5)
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self._ends.append((self._ends[-1] if self._ends else 0) + len(data))
        if self._waiting_bytes >= BUFFER:
            self._flush()

    def _flush(self) -> None:
        data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
        while data:
            data = data[self._file.write(data) :]

    def __len__(self) -> int:
        return len(self._near) if self._file is None else len(self._ends)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if self._file is None:
            return self._near[place]
        place = place + len(self) if place < 0 else place
        if not 0 <= place < len(self):
            raise IndexError(place)
        if self._waiting:
            self._flush()
        start = self._ends[place - 1] if place else 0
        return self._unpack(pickle.loads(_read(self._file.fileno(), self._ends[place] - start, start)))

    def __iter__(self) -> Iterator[T]:
        return (self[i] for i in range(len(self))) if self._file is not None else iter(self._near)


def nameless(buffering: int = -1) -> Any:
    """A temporary file that goes with the process, however that ends."""
    return tempfile.TemporaryFile(prefix="evalsuite-", buffering=buffering)


def _read(descriptor: int, size: int, start: int) -> bytes:
    if not hasattr(os, "pread"):  # Windows
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, size)
    return os.pread(descriptor, size, start)
