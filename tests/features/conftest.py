"""Differences with known directions: 4 of 32 active in each row, signed."""

from typing import Any

import numpy
import pytest


def planted(rows: int, dimensions: int = 48, seed: int = 0, noise: float = 0.02) -> tuple[Any, Any]:
    """(differences float32 (rows, dimensions), directions (32, dimensions) of length 1)."""
    rng = numpy.random.default_rng(seed)
    directions = rng.standard_normal((32, dimensions))
    directions /= numpy.linalg.norm(directions, axis=1, keepdims=True)
    z = numpy.zeros((rows, 32))
    active = numpy.argsort(rng.random((rows, 32)), axis=1)[:, :4]
    size = rng.choice([-1.0, 1.0], (rows, 4)) * rng.uniform(0.5, 1.5, (rows, 4))
    numpy.put_along_axis(z, active, size, axis=1)
    x = z @ directions + noise * rng.standard_normal((rows, dimensions))
    return x.astype(numpy.float32), directions.astype(numpy.float32)


@pytest.fixture(scope="session")
def data() -> tuple[Any, Any]:
    return planted(6000, 128)
