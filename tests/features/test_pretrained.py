"""Pretrained SAEs over a residual stream: read from a tiny Llama, checked against plain transformers and sae-lens."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from evalsuite.errors import InputError, ModelError
from evalsuite.features import pretrained
from evalsuite.features.pretrained import residual_features
from evalsuite.features.sae_lens import read
from evalsuite.models import ModelOptions, resolve
from evalsuite.preferences.contract import Pair
from evalsuite.records import user
from evalsuite.running.engine import Engine

PAIRS = [
    Pair("1", (user("Question one"),), "The quick brown fox", "eight legs", 1.0),
    Pair("2", (user("Question two"),), "eight legs", 'He said "no"\n<b>x</b>', 0.5),
    Pair("3", (user("Question three"),), "", "Paris " * 400, None),
]
HOOKS = {"blocks.0.hook_resid_pre": 0, "blocks.1.hook_resid_pre": 1, "blocks.0.hook_resid_post": 1, "model.layers.0": 1}


def sae_folder(folder: Path, hook: str = "blocks.1.hook_resid_pre", **more: Any) -> Path:
    """A JumpReLU SAE of 48 features over 32 dimensions, saved by sae-lens."""
    pytest.importorskip("sae_lens", reason="sae-lens is not installed (pip install evalsuite[sae])")
    from sae_lens.saes.sae import SAE, SAEMetadata

    sae = SAE.from_dict({"architecture": "jumprelu", "d_in": 32, "d_sae": 48, "dtype": "float32", "device": "cpu"})
    sae.cfg.metadata = SAEMetadata(hook_name=hook, model_name="tiny", **more)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        sae.threshold.abs_()
    sae.save_model(str(folder))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sae_folder(tmp_path_factory.mktemp("sae"))


def engine(tiny: Path, store: Path, **args: str) -> Engine:
    return Engine(resolve(str(tiny), ModelOptions(args=args)), store)


def plain(tiny: Path, sae: Path, pair: Pair, text: str, depth: int) -> Any:
    """The average by transformers and sae-lens alone; `depth` counts the layers before the hook, -1: after the last."""
    from sae_lens.saes.sae import SAE
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens, model = AutoTokenizer.from_pretrained(tiny), AutoModelForCausalLM.from_pretrained(tiny)
    head = f"<|user|>\n{pair.messages[0]['content']}<|end|>\n<|assistant|>\n"
    ids = [tokens(part, add_special_tokens=False)["input_ids"] for part in (head, text, "<|end|>\n")]
    start = 1  # <s>
    whole = torch.tensor([[tokens.bos_token_id, *ids[0], *ids[1], *ids[2]]])
    with torch.no_grad():
        states = model.model(whole, output_hidden_states=True).hidden_states[depth][0]
        first = start + len(ids[0])
        return SAE.load_from_disk(str(sae)).encode(states[first : first + len(ids[1])]).mean(0).numpy()


@pytest.mark.parametrize(("hook", "depth"), HOOKS.items())
def test_averages_over_the_answers_tokens(tiny: Path, tmp_path: Path, hook: str, depth: int) -> None:
    sae = sae_folder(tmp_path / "sae", hook)
    asked = engine(tiny, tmp_path / "store")
    source, found = residual_features(asked, sae, PAIRS[:2], tmp_path / "out")
    asked.close()
    assert source.width == 48
    assert source.names[:2] == [f"{hook}/0", f"{hook}/1"]
    assert found.notes == ("the SAE was trained on tiny",)
    assert found.a is not None
    assert found.b is not None
    for place, pair in enumerate(PAIRS[:2]):
        assert numpy.allclose(found.a[place], plain(tiny, sae, pair, pair.a, depth), atol=1e-4)
        assert numpy.allclose(found.b[place], plain(tiny, sae, pair, pair.b, depth), atol=1e-4)
    assert (found.a[0:2] > 0).any()


def test_swapping_the_answers_negates_every_feature_exactly(tiny: Path, folder: Path, tmp_path: Path) -> None:
    asked = engine(tiny, tmp_path / "store", batch_size="3")
    source, found = residual_features(asked, folder, PAIRS, tmp_path / "out", keep=10)
    turned = [replace(p, a=p.b, b=p.a) for p in PAIRS]
    other, opposite = residual_features(asked, folder, turned, tmp_path / "turned", keep=10)
    asked.close()
    assert other.names == source.names
    z = source.read(found.differences)
    assert z.shape == (3, 10)
    assert z.dtype == numpy.float32
    assert z.any()
    assert numpy.abs(z + other.read(opposite.differences)).max() == 0
    assert found.a is not None
    assert not found.a[2].any()  # an answer without a token
    assert found.notes[1:] == (
        "1 answers were cut where the window ends",
        "1 answers have no token: nothing is active in them",
    )


def test_the_features_that_move_most_are_kept(
    tiny: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "AT_ONCE", 2)
    monkeypatch.setattr(pretrained, "TOKENS", 5)
    asked = engine(tiny, tmp_path / "store")
    everything, whole = residual_features(asked, folder, PAIRS, tmp_path / "all")
    few, some = residual_features(asked, folder, PAIRS, tmp_path / "few", keep=5)
    asked.close()
    moved = numpy.abs(whole.differences[0:3]).sum(0) * read(folder).tensors["W_dec"].norm(dim=-1).numpy()
    expected = sorted(numpy.argsort(-moved)[:5])
    assert few.names == [everything.names[j] for j in expected]
    assert numpy.array_equal(some.differences[0:3], whole.differences[0:3][:, expected])


def test_after_the_last_layer_there_is_no_final_norm(tiny: Path, tmp_path: Path) -> None:
    """hidden_states[-1] of transformers carries the final norm, which no SAE of the residual stream has seen."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    sae = sae_folder(tmp_path / "sae", "blocks.1.hook_resid_post")
    asked = engine(tiny, tmp_path / "store")
    _, found = residual_features(asked, sae, PAIRS[:1], tmp_path / "out")
    asked.close()
    model, tokens = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    seen: list[Any] = []
    model.model.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    head = tokens("<s><|user|>\nQuestion one<|end|>\n<|assistant|>\n", add_special_tokens=False)["input_ids"]
    body = tokens("The quick brown fox", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        model(torch.tensor([[*head, *body]]))
    expected = read(sae).encode(seen[0][0, len(head) :]).mean(0).numpy()
    assert found.a is not None
    assert numpy.allclose(found.a[0], expected, atol=1e-4)


def test_a_centred_stream(tiny: Path, tmp_path: Path) -> None:
    centred = sae_folder(tmp_path / "c", model_from_pretrained_kwargs={"center_writing_weights": True})
    asked = engine(tiny, tmp_path / "store")
    _, found = residual_features(asked, centred, PAIRS[:1], tmp_path / "one")
    _, other = residual_features(asked, sae_folder(tmp_path / "p"), PAIRS[:1], tmp_path / "two")
    asked.close()
    assert found.a is not None
    assert other.a is not None
    assert not numpy.allclose(found.a[0], other.a[0], atol=1e-3)


def test_what_does_not_fit_gets_one_line(tiny: Path, folder: Path, tmp_path: Path) -> None:
    asked = engine(tiny, tmp_path / "store")

    def refused(sae: Path, pairs: list[Pair] = PAIRS) -> str:
        with pytest.raises(InputError) as caught:
            residual_features(asked, sae, pairs, tmp_path / "out")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "no pairs" in refused(folder, [])
    config = json.loads((folder / "cfg.json").read_text())
    for hook, message in (
        ("blocks.7.hook_resid_pre", "layers 0 to 1"),
        ("blocks.0.hook_mlp_out", "hook_resid_post is wanted"),
        (None, "hook_resid_post is wanted"),
    ):
        wrong = tmp_path / "wrong"
        wrong.mkdir(exist_ok=True)
        (wrong / "sae_weights.safetensors").write_bytes((folder / "sae_weights.safetensors").read_bytes())
        (wrong / "cfg.json").write_text(json.dumps({**config, "metadata": {"hook_name": hook}}))
        assert message in refused(wrong)
    from evalsuite.features.sae import Sae
    from evalsuite.features.sae_lens import save

    save(Sae(torch.eye(4), torch.eye(4), 0.1), wrong)
    written = json.loads((wrong / "cfg.json").read_text())
    written["metadata"]["hook_name"] = "blocks.0.hook_resid_pre"
    (wrong / "cfg.json").write_text(json.dumps(written))
    assert "the SAE reads 4 dimensions" in refused(wrong)
    asked.close()
    server = Engine(resolve("openai:x@http://127.0.0.1:9/v1"), tmp_path / "store")
    with pytest.raises(ModelError, match="local causal model"):
        residual_features(server, folder, PAIRS, tmp_path / "out")
