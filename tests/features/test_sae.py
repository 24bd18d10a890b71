"""The SAE as data: exactly odd, the same whoever stands beside a row, and honest about what it does not explain."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evalsuite.errors import InputError
from evalsuite.features.embed import Differences
from evalsuite.features.sae import Sae, Settings, decode, encode, load, quality, save


def made(width: int = 8, dimensions: int = 12, seed: int = 0, theta: float = 0.4) -> Sae:
    generator = torch.Generator().manual_seed(seed)
    encoder, decoder = torch.randn((2, width, dimensions), generator=generator)
    return Sae(encoder, decoder / decoder.norm(dim=1, keepdim=True), theta, Settings(width=width))


finite_rows = arrays(
    numpy.float32,
    st.tuples(st.integers(1, 40), st.just(12)),
    elements=st.floats(-1e3, 1e3, width=32),
)


@settings(max_examples=60)
@given(finite_rows, st.integers(0, 5))
def test_swapping_the_texts_negates_every_feature_exactly(x: Any, seed: int) -> None:
    sae = made(seed=seed)
    assert numpy.abs(sae.read(x) + sae.read(-x)).max() == 0
    zero = numpy.zeros_like(x)
    a, b = x, x[::-1].copy()
    assert numpy.abs(sae.read(Differences(a, b)) + sae.read(Differences(b, a))).max() == 0
    assert not sae.read(zero).any()


@settings(max_examples=20)
@given(finite_rows)
def test_a_row_reads_the_same_alone_and_among_others(x: Any) -> None:
    sae = made()
    together = sae.read(x)
    assert numpy.array_equal(together[:1], sae.read(x[:1]))


def test_reading_keeps_what_is_above_the_threshold_with_its_sign() -> None:
    sae = made()
    x = torch.randn((2500, 12), generator=torch.Generator().manual_seed(1))
    p = (x @ sae.encoder.T).numpy()
    z = sae.read(x.numpy())
    assert z.dtype == numpy.float32
    assert z.shape == (2500, 8)
    clear = numpy.abs(numpy.abs(p) - sae.theta) > 1e-5
    assert numpy.allclose(z[clear], numpy.where(numpy.abs(p) > sae.theta, p, 0)[clear], atol=1e-5)
    assert (z < 0).any()
    assert (z > 0).any()
    assert sae.names == [f"sae/{j}" for j in range(8)]


def test_quality_is_what_reconstructions_say() -> None:
    sae = made()
    x = torch.randn((1500, 12), generator=torch.Generator().manual_seed(2))
    z = encode(sae, x)
    found = quality(sae, x.numpy())
    expected = [float(((x - z[:, :m] @ sae.decoder[:m]) ** 2).sum() / (x**2).sum()) for m in sae.settings.widths]
    assert found.prefixes == pytest.approx(expected, rel=1e-4)
    assert float(((x - decode(sae, z)) ** 2).sum() / (x**2).sum()) == pytest.approx(found.unexplained, rel=1e-4)
    assert found.loss == pytest.approx(sum(expected) / 2, rel=1e-4)
    assert found.active == pytest.approx(float((z != 0).sum(1).float().mean()))
    assert found.dead == 0
    silent = replace(sae, theta=1e9)
    assert quality(silent, x.numpy()).dead == 8
    assert quality(silent, x.numpy()).unexplained == pytest.approx(1)


def test_saved_and_loaded_to_the_bit(tmp_path: Path) -> None:
    sae = replace(made(theta=0.1 + 0.2), settings=Settings(width=8, active=2, prefixes=(2, 4, 8), seed=7))
    found = load(save(sae, tmp_path / "out").parent)
    assert torch.equal(found.encoder, sae.encoder)
    assert torch.equal(found.decoder, sae.decoder)
    assert found.theta == sae.theta
    assert found.settings == sae.settings


def test_bad_rows_and_files_get_one_line(tmp_path: Path) -> None:
    sae = made()
    x = numpy.zeros((2000, 12), numpy.float32)
    x[1500, 3] = numpy.nan
    with pytest.raises(InputError, match=r"row 1500 .* NaN or infinity"):
        sae.read(x)
    with pytest.raises(InputError, match=r"shape \(5, 7\): \(n, 12\)"):
        sae.read(numpy.zeros((5, 7)))
    with pytest.raises(InputError, match="cannot be read as an SAE"):
        load(tmp_path)
    (tmp_path / "sae.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read as an SAE"):
        load(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [{"active": 0}, {"active": 40}, {"prefixes": (8, 16)}, {"prefixes": (32, 8)}, {"batch": 0}, {"held_out": 1.0}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="SAE settings"):
        Settings(**wrong)


def test_the_published_defaults() -> None:
    found = Settings()
    assert (found.width, found.active, found.widths, found.auxiliary) == (32, 4, (8, 32), 8)
    assert found.rate(1536) == pytest.approx(5e-4)
    assert found.rate(384) == pytest.approx(1e-3)
