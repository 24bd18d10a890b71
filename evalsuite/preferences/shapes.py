"""The shapes in which the field stores pairs, each known by its fields and read into `Pair`s.

    shape = recognise(row)                 # None where no shape fits
    for pair in shape.read([row]): ...

A reader gives pairs as the file has them: `a` is the file's first or chosen answer. `placed` says that the file's order
is the one in which the answers were shown or stored; where it is not (chosen, rejected) loading.py gives every pair an
order that depends on its texts alone. A value that both answers have stands in the metadata as {"a": ..., "b": ...} and
turns with them. What a row says beyond the fields of `Pair` is kept in the metadata.
"""

from collections.abc import Callable, Sequence

from evalsuite.errors import InputError
from evalsuite.preferences import shapes_labelled, shapes_ranked, shapes_several
from evalsuite.preferences.shapes_parts import Found, Row, Shape


def _unpaired(what: str) -> Callable[[Sequence[Row]], Found]:
    def refuse(rows: Sequence[Row]) -> Found:
        raise InputError(f"{what}: one answer and a label are no pair; a preference needs two answers to one prompt")

    return refuse


def _textless(rows: Sequence[Row]) -> Found:
    raise InputError("verdicts without the answers' texts are no pairs; evalsuite rank and judge audit read them")


def shapes() -> tuple[Shape, ...]:
    """All shapes, the more particular before the more general."""
    return (
        *shapes_several.SHAPES,
        *shapes_ranked.SHAPES,
        *shapes_labelled.SHAPES,
        Shape("KTO (unpaired)", ("label",), _unpaired("KTO rows"), check=_answered("messages", "completion")),
        Shape("BeaverTails (unpaired)", ("prompt", "response", "is_safe"), _unpaired("BeaverTails rows")),
        Shape("verdicts", ("model_a", "model_b", "winner"), _textless),
        Shape("verdicts", ("model_1", "model_2", "score"), _textless),
        Shape("verdicts", ("index", "len_output_1", "len_output_2", "preference"), _textless),
    )


def _answered(*names: str) -> Callable[[Row], bool]:
    return lambda row: any(n in row for n in names)


def recognise(row: Row) -> Shape | None:
    """The shape of a row, the first that fits."""
    return next((shape for shape in shapes() if shape.fits(row)), None)


def names() -> str:
    """Every shape of pairs by name, for an error; the simplest with its fields."""
    found = [s.name for s in shapes() if "unpaired" not in s.name and s.name not in ("verdicts", "ours")]
    return f"{', '.join(found)}, ours (id, messages, a, b, preference); the simplest has prompt, chosen, rejected"
