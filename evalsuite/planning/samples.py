"""A task's samples: in memory while few, in a temporary file when many; hashed and checked on the way.

>>> samples = SampleList()
>>> samples.append(Sample("one", ()))
>>> len(samples), samples[0].id, samples.doubled()
(1, 'one', None)
"""

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Any

from evalsuite.data import ListHash, Spill
from evalsuite.data.images import keyed
from evalsuite.data.spill import KEEP
from evalsuite.records import Message, Request, Sample

_text = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def sample_text(sample: Sample) -> str:
    """A sample as canonical JSON. Raises TypeError or ValueError where it is no plain JSON (a set, nan, ...)."""
    return _text(
        {
            "id": sample.id,
            "messages": keyed(sample.messages),
            "target": sample.target,
            "metadata": dict(sample.metadata),
        }
    )


class SampleList(Spill[Sample]):
    """Samples in the order of the data. `hash` is the content hash of all of them."""

    def __init__(self) -> None:
        super().__init__(pack=_packed, unpack=_unpacked)
        self.hash = ListHash()
        self._ids = array("q")

    def append(self, item: Sample) -> None:
        """Raises TypeError or ValueError where the sample is no plain JSON."""
        text = sample_text(item)
        text.encode()  # half a surrogate pair can be stored nowhere
        self.hash.add(text)
        self._ids.append(hash(item.id))
        super().append(item)

    def doubled(self) -> str | None:
        """An id that two samples have, or None. Found by eight bytes of hash for each sample, told by the ids."""
        if len(self) <= KEEP and len(set(self._ids)) == len(self):
            return None
        import numpy as np

        hashes = np.frombuffer(self._ids, dtype=np.int64)
        self._ids = array("q")  # asked once
        ordered = np.sort(hashes)
        twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
        if not twice:
            return None
        held = Counter(self[int(i)].id for i in np.flatnonzero(np.isin(hashes, list(twice))))
        return next((name for name, count in held.items() if count > 1), None)


def _packed(sample: Sample) -> tuple[Any, ...]:
    return sample.id, sample.messages, sample.target, sample.metadata


def _unpacked(values: tuple[Any, ...]) -> Sample:
    return Sample(*values)


def last_user(messages: Sequence[Message]) -> str:
    """The text of the last user turn; images are left out."""
    content = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content)


def asked_text(sample: Sample, requests: Sequence[Request]) -> str:
    """What a sample's first request asks: the user's last words in it."""
    return last_user(requests[0].messages if requests else sample.messages)


class Told:
    """Which sample ids mean different prompts in two tasks: a file that names ids alone does not say which of them it
    answers. Sixteen bytes for each sample."""

    def __init__(self) -> None:
        self._ids, self._texts = array("q"), array("q")

    def add(self, sample: str, text: str) -> None:
        self._ids.append(hash(sample))
        self._texts.append(hash(text))

    def doubtful(self) -> frozenset[int]:
        """Hashes (`hash`) of those ids."""
        import numpy as np

        ids, texts = np.frombuffer(self._ids, np.int64), np.frombuffer(self._texts, np.int64)
        order = np.lexsort((texts, ids))
        ids, texts = ids[order], texts[order]
        return frozenset(ids[1:][(ids[1:] == ids[:-1]) & (texts[1:] != texts[:-1])].tolist())
