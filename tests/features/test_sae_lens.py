"""sae-lens' folders, against sae-lens itself: the same activations where it can say them, and back to the bit."""

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from evalsuite.errors import InputError
from evalsuite.features import sae_lens as ours
from evalsuite.features.sae import Sae, Settings, decode, encode

COMMON = {"d_in": 12, "d_sae": 20, "dtype": "float32", "device": "cpu"}


@pytest.fixture(scope="module")
def theirs() -> Any:
    return pytest.importorskip("sae_lens.saes", reason="sae-lens is not installed (pip install evalsuite[sae])")


@pytest.fixture(scope="module")
def x() -> Any:
    return torch.randn((300, 12), generator=torch.Generator().manual_seed(5))


def made() -> Sae:
    encoder, decoder = torch.randn((2, 8, 12), generator=torch.Generator().manual_seed(0))
    return Sae(encoder, decoder / decoder.norm(dim=1, keepdim=True), 1.7, Settings(width=8, active=2, seed=3))


def test_pairs_are_the_same_activations_and_reconstructions(theirs: Any, x: Any, tmp_path: Path) -> None:
    sae = made()
    loaded = theirs.SAE.load_from_disk(str(ours.save(sae, tmp_path)))
    assert type(loaded).__name__ == "JumpReLUSAE"
    z = loaded.encode(x)
    assert torch.allclose(z[:, :8] - z[:, 8:], encode(sae, x), atol=1e-5)
    assert torch.allclose(loaded.decode(z), decode(sae, encode(sae, x)), atol=1e-5)
    assert (z >= 0).all()  # what it cannot say: a sign
    assert not (z[:, :8] * z[:, 8:]).any()


def test_abstopk_has_our_directions_and_signs_and_its_own_choice(theirs: Any, x: Any, tmp_path: Path) -> None:
    sae = made()
    loaded = theirs.SAE.load_from_disk(str(ours.save(sae, tmp_path, "abstopk")))
    z, p = loaded.encode(x), x @ sae.encoder.T
    assert ((z != 0).sum(1) == 2).all()
    assert torch.allclose(z[z != 0], p[z != 0], atol=1e-5)
    assert (z < 0).any()


@pytest.mark.parametrize("form", ["pairs", "abstopk"])
def test_back_to_the_bit(tmp_path: Path, form: ours.Form) -> None:
    sae = made()
    found = ours.load(ours.save(sae, tmp_path, form))
    assert torch.equal(found.encoder, sae.encoder)
    assert torch.equal(found.decoder, sae.decoder)
    assert (found.theta, found.settings) == (sae.theta, sae.settings)
    rows = numpy.random.default_rng(0).standard_normal((50, 12)).astype(numpy.float32)
    assert numpy.array_equal(found.read(rows), sae.read(rows))


def saved(theirs: Any, architecture: str, folder: Path, **more: Any) -> Any:
    """An SAE of theirs with drawn weights, saved by its own method."""
    config = {**COMMON, "architecture": architecture, **more}
    sae = theirs.SAE.from_dict(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    sae.save_model(str(folder))
    return sae


@pytest.mark.parametrize(
    ("architecture", "more"),
    [
        ("standard", {}),
        ("standard", {"apply_b_dec_to_input": False}),
        ("standard", {"normalize_activations": "layer_norm"}),
        ("jumprelu", {}),
        ("gated", {}),
        ("topk", {"k": 3}),
        ("topk", {"k": 3, "rescale_acts_by_decoder_norm": True}),
        ("abstopk", {"k": 3}),
    ],
)
def test_reads_what_they_save(theirs: Any, x: Any, tmp_path: Path, architecture: str, more: dict[str, Any]) -> None:
    sae = saved(theirs, architecture, tmp_path, **more)
    found = ours.read(tmp_path)
    assert (found.width, found.dimensions) == (20, 12)
    assert torch.allclose(found.encode(x), sae.encode(x), atol=1e-4)


def test_reads_a_training_checkpoint(theirs: Any, x: Any, tmp_path: Path) -> None:
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig

    sae = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=2, **COMMON))
    sae.topk_threshold.fill_(0.03)
    sae.save_model(str(tmp_path / "training"))
    sae.save_inference_model(str(tmp_path / "inference"))
    inference = theirs.SAE.load_from_disk(str(tmp_path / "inference"))
    for folder in ("training", "inference"):
        assert torch.allclose(ours.read(tmp_path / folder).encode(x), inference.encode(x), atol=1e-5)


def test_folders_that_cannot_be_read_get_one_line(theirs: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no sae-lens folder"):
        ours.read(tmp_path)
    saved(theirs, "standard", tmp_path)
    with pytest.raises(InputError, match="was not written by evalsuite"):
        ours.load(tmp_path)
    config = json.loads((tmp_path / "cfg.json").read_text())
    for change, message in (
        ({"architecture": "transcoder"}, "architecture 'transcoder'"),
        ({"normalize_activations": "expected_average_only_in"}, "needs its scale"),
        ({"reshape_activations": "hook_z"}, "attention heads"),
        ({"architecture": "gated"}, "has no b_gate"),
    ):
        (tmp_path / "cfg.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(InputError, match=message):
            ours.read(tmp_path)
    (tmp_path / "cfg.json").write_text("{")
    with pytest.raises(InputError, match="is no JSON"):
        ours.read(tmp_path)
