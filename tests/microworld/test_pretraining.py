"""The loop: identical weights for identical seeds, no leak through padding, schedules, decay, and what is saved."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from evalsuite.microworld import tokenizer
from evalsuite.microworld.batches import Example, PairBatch, TokenBatch, pad, token_batches
from evalsuite.microworld.encoding import documents
from evalsuite.microworld.folders import new_model
from evalsuite.microworld.pretraining import (
    Settings,
    _groups,
    fit,
    language_model_step,
    reward_step,
    save,
    scale,
    weights_fingerprint,
)
from evalsuite.microworld.recipes import recipe
from evalsuite.microworld.text import base_document
from evalsuite.microworld.world import build
from evalsuite.records import Lineage
from evalsuite.training.machine import thread_count

WORLD, NANO = build("nano"), recipe("nano")


@pytest.fixture(scope="module")
def tok() -> Any:
    return tokenizer.train(WORLD, NANO.vocabulary)


def trained(tok: Any, steps: int, threads: int) -> dict[str, torch.Tensor]:
    rng = random.Random("loop")

    def draw(n: int) -> list[Example]:
        return documents(tok, [base_document(WORLD, rng) for _ in range(n)])

    model = new_model(NANO, tok, seed=5)
    batches = token_batches(draw, rng, batch_tokens=1024, pool=512, pad_id=tok.pad_token_id)
    losses = fit(model, batches, language_model_step, Settings(steps, NANO.base_rate, threads=threads))
    assert len(losses) == steps
    assert losses[-1] < losses[0]
    return model.state_dict()


def test_the_same_seed_gives_identical_weights(tok: Any) -> None:
    torch.manual_seed(123)  # the caller's own seed plays no part
    first = trained(tok, 20, threads=1)
    torch.manual_seed(321)
    second = trained(tok, 20, threads=1)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_leaves_the_callers_threads_and_draws_alone(tok: Any) -> None:
    before = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    new_model(NANO, tok, seed=0)
    with thread_count(2):
        assert torch.get_num_threads() == 2
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == before


def test_padding_changes_no_loss(tok: Any) -> None:
    """Right padding without a mask: each row's loss equals that of the row alone."""
    model = new_model(NANO, tok, seed=0)
    rng = random.Random(0)
    rows = sorted(documents(tok, [base_document(WORLD, rng) for _ in range(6)]), key=lambda e: len(e.ids))
    assert len(rows[0].ids) < len(rows[-1].ids)

    def loss(chosen: list[Example]) -> tuple[float, int]:
        mask = pad([[*map(int, r.mask)] for r in chosen], 0).bool()
        batch = TokenBatch(pad([r.ids for r in chosen], tok.pad_token_id), mask)
        return language_model_step(model, batch).item(), int(mask[:, 1:].sum())

    together, total = loss(rows)
    alone = [loss([r]) for r in rows]
    assert together == pytest.approx(sum(x * n for x, n in alone) / total, abs=1e-5)


def test_a_reward_is_read_at_the_last_real_token(tok: Any) -> None:
    from transformers import LlamaForSequenceClassification

    config = new_model(NANO, tok, seed=0).config
    config.num_labels = 1
    torch.manual_seed(0)
    model = LlamaForSequenceClassification(config).eval()
    rows = [tok.encode("Clara keeps a cat.<|end|>"), tok.encode("Clara keeps a cat. She plays the horn.<|end|>")]
    batch = pad(rows, tok.pad_token_id)
    with torch.no_grad():
        together = model(input_ids=batch).logits[:, 0]
        alone = [model(input_ids=torch.tensor([row])).logits[0, 0] for row in rows]
        assert torch.allclose(together, torch.stack(alone), atol=1e-5)
        loss = reward_step(model, PairBatch(batch, batch != tok.pad_token_id))
    assert loss.item() == pytest.approx(-torch.nn.functional.logsigmoid(alone[0] - alone[1]).item(), abs=1e-5)


def test_rates_rise_and_fall_to_nothing() -> None:
    cosine = Settings(steps=100, rate=1.0)
    rates = [scale(i, cosine) for i in range(100)]
    assert rates[:5] == sorted(rates[:5])
    assert rates[5] == pytest.approx(1.0)
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] < 0.01
    linear = Settings(steps=110, rate=1.0, warmup=10, schedule="linear")
    assert scale(60, linear) == pytest.approx(0.5)


def test_decay_spares_embeddings_and_norms(tok: Any) -> None:
    model = new_model(NANO, tok, seed=0)
    decayed, plain = _groups(model, Settings(1, 1.0))
    assert decayed["weight_decay"] == 0.1
    assert plain["weight_decay"] == 0
    names = {id(p): n for n, p in model.named_parameters()}
    assert all("proj" in names[id(p)] for p in decayed["params"])
    assert {"norm" in names[id(p)] or "embed" in names[id(p)] for p in plain["params"]} == {True}


def test_a_saved_folder_loads_without_our_code_and_tells_its_lineage(tok: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = new_model(NANO, tok, seed=0)
    save(model, tok, tmp_path / "base", Lineage(method="pretraining", data="documents"), {"measured": {"n": 1}})
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    assert torch.equal(again.lm_head.weight, model.lm_head.weight)
    assert again.generation_config.eos_token_id == tok.eos_token_id
    assert AutoTokenizer.from_pretrained(tmp_path / "base").padding_side == "left"
    lineage = json.loads((tmp_path / "base" / "lineage.json").read_text())
    assert lineage == {"data": "documents", "method": "pretraining", "parent": None, "parent_name": None}
    assert json.loads((tmp_path / "base" / "measured.json").read_text()) == {"n": 1}
    from evalsuite.models import resolve

    assert weights_fingerprint(tmp_path / "base") == resolve(str(tmp_path / "base")).fingerprint
