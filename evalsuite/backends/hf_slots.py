"""Keys and values of texts in the making: one slot for each text, written in place, nothing padded on the left.

A slot holds its text from column 0 on, whatever its neighbours hold. A decode step writes one column of each slot and
attends over views of the slots, so nothing is copied. Slots in use are the first ones: a text that ends hands its slot
to the last text.
"""

from collections.abc import Sequence
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

    def add(self, columns: Sequence[tuple[Any, Any]]) -> None:
        """Opens a slot with keys and values (heads, length, width) of each layer."""
        if not self._layers:
            self._layers = [_Layer(self.count, self.capacity, keys, values) for keys, values in columns]
            self.cache = self._cache_type(layers=self._layers)
        place = len(self.lengths)
        for layer, (keys, values) in zip(self._layers, columns, strict=True):
            length = keys.shape[1]
            layer.keys[place, :, :length] = keys
            layer.values[place, :, :length] = values
        self.lengths.append(columns[0][0].shape[1])

    def drop(self, place: int) -> None:
        """Closes a slot; the last one's text moves into it."""
        last = len(self.lengths) - 1
        if place != last:
            length = self.lengths[last]
            for layer in self._layers:
                layer.keys[place, :, :length] = layer.keys[last, :, :length]
                layer.values[place, :, :length] = layer.values[last, :, :length]
            self.lengths[place] = self.lengths[last]
        self.lengths.pop()

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
        self.keys = keys.new_zeros((count, keys.shape[0], capacity, keys.shape[2]))
        self.values = values.new_zeros((count, values.shape[0], capacity, values.shape[2]))
        self.at(None, 0)

    def at(self, columns: Any, width: int) -> None:
        import torch

        self._columns, self._width = columns, width
        self._rows = torch.arange(0 if columns is None else len(columns), device=self.keys.device)

    def update(self, keys: Any, values: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Writes keys and values (slots, heads, 1, width) of the new tokens; returns all that stands in the slots."""
        count = len(self._rows)
        self.keys[self._rows, :, self._columns] = keys[:, :, 0]
        self.values[self._rows, :, self._columns] = values[:, :, 0]
        return self.keys[:count, :, : self._width], self.values[:count, :, : self._width]

    def get_seq_length(self) -> int:
        return self._width - 1

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._width, 0

    def get_max_length(self) -> int:
        return -1
