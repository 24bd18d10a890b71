"""Keys and values of texts in the making: one slot for each text, written in place, nothing padded on the left.

A slot holds its text from column 0 on, whatever its neighbours hold; what stands behind it is nobody's and unseen. A
decode step writes one column of each slot and attends over views of the slots, so nothing is copied. Slots in use are
the first ones: texts that end hand their slots to the last ones.
"""

from collections.abc import Collection, Sequence
from typing import Any


class Slots:
    """`count` slots of `capacity` columns. `lengths` are the columns in use, slot by slot. `cache` is what a forward of
    one token for each slot takes as its `past_key_values`."""

    def __init__(self, count: int, capacity: int) -> None:
        from transformers import Cache
        from transformers.cache_utils import CacheLayerMixin

        CacheLayerMixin.register(_Layer)  # several architectures ask whether a layer is one of attention
        self.count = count
        self.capacity = capacity
        self.lengths: list[int] = []
        self._layers: list[_Layer] = []
        self._cache_type = Cache
        self.cache: Any = None

    def add(self, columns: Sequence[tuple[Any, Any]], which: Sequence[int], lengths: Sequence[int]) -> None:
        """Opens a slot for each of `which` texts out of keys and values (texts, heads, columns, width) of each layer;
        `lengths` are their columns in use."""
        import torch

        if not self._layers:
            self._layers = [_Layer(self.count, self.capacity, keys, values) for keys, values in columns]
            self.cache = self._cache_type(layers=self._layers)
        places, width = slice(len(self.lengths), len(self.lengths) + len(which)), max(lengths)
        in_a_row = list(which) == list(range(which[0], which[0] + len(which)))
        for layer, (keys, values) in zip(self._layers, columns, strict=True):
            # A slice is copied once, an index twice.
            index = slice(which[0], which[-1] + 1) if in_a_row else torch.tensor(which, device=keys.device)
            layer.keys[places, :, :width] = keys[index, :, :width]
            layer.values[places, :, :width] = values[index, :, :width]
        self.lengths += lengths

    def drop(self, finished: Collection[int]) -> list[int]:
        """Closes slots; texts from the last slots move into theirs. Returns for each slot that stays in use the one
        that its text was in."""
        import torch

        kept = len(self.lengths) - len(finished)
        order = list(range(kept))
        moved = [place for place in range(kept, len(self.lengths)) if place not in finished]
        holes = [place for place in order if place in finished]
        if holes:
            width = max(self.lengths[place] for place in moved)
            for layer in self._layers:
                to, source = torch.tensor([holes, moved], device=layer.keys.device)
                layer.keys[to, :, :width] = layer.keys[source, :, :width]
                layer.values[to, :, :width] = layer.values[source, :, :width]
        for hole, source_place in zip(holes, moved, strict=True):
            order[hole] = source_place
        self.lengths = [self.lengths[place] for place in order]
        return order

    def step(self) -> Any:
        """Gets ready for one more token in every slot and says what each one sees, (slots, 1, 1, columns), as booleans:
        its text and the new token. Positions of the new tokens are the lengths before this call."""
        import torch

        at = torch.tensor(self.lengths)
        width = max(self.lengths) + 1
        for layer in self._layers:
            layer.at(at.to(layer.keys.device), width)
        self.lengths = [length + 1 for length in self.lengths]
        return (torch.arange(width) <= at[:, None])[:, None, None]


class _Layer:
    """One layer's slots, in the shape that transformers asks of a cache's layer."""

    is_compileable = False
    is_sliding = False
    is_initialized = True

    def __init__(self, count: int, capacity: int, keys: Any, values: Any) -> None:
        self.keys = keys.new_zeros((count, keys.shape[1], capacity, keys.shape[3]))
        self.values = values.new_zeros((count, values.shape[1], capacity, values.shape[3]))
        self.at(None, 0)

    def at(self, columns: Any, width: int) -> None:
        import torch

        self._columns, self._width = columns, width
        self._rows = torch.arange(0 if columns is None else len(columns), device=self.keys.device)

    def update(self, keys: Any, values: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Writes keys and values (slots, heads, 1, width) of the new tokens; returns all that stands in the slots."""
        count = len(self._rows)
        # Under autocast a prefill of several chunks has widened them.
        self.keys[self._rows, :, self._columns] = keys[:, :, 0].to(self.keys.dtype)
        self.values[self._rows, :, self._columns] = values[:, :, 0].to(self.values.dtype)
        return self.keys[:count, :, : self._width], self.values[:count, :, : self._width]

    def get_seq_length(self) -> int:
        return self._width - 1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._width, 0

    def get_max_length(self) -> int:
        return -1
