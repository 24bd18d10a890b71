"""Tied embeddings: the sparse way gives the dense way's gradients, and only tied ones take it."""

import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from evalsuite.training.objectives.scores import nll, token_logps
from evalsuite.training.trainer import spare_tied

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50}


def gradients(model: LlamaForCausalLM, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    mask = torch.ones_like(ids, dtype=torch.bool)
    for _ in range(2):  # accumulated, as the parts of a batch are
        nll(token_logps(model, ids, mask), mask).backward()
    return {name: p.grad for name, p in model.named_parameters()}


def test_tied_gradients_are_dense_and_the_same() -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True))
    ids = torch.randint(0, 50, (3, 9))
    spared = copy.deepcopy(model)
    assert spare_tied(spared)
    assert spared.get_input_embeddings().sparse
    expected, found = gradients(model, ids), gradients(spared, ids)
    for name, grad in expected.items():
        assert found[name].layout == torch.strided, name
        torch.testing.assert_close(found[name], grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [LlamaForCausalLM, LlamaForSequenceClassification])
def test_others_stay_as_they_are(kind: type) -> None:
    model = kind(LlamaConfig(**SMALL, tie_word_embeddings=False, pad_token_id=0))
    assert not spare_tied(model)
    assert not model.get_input_embeddings().sparse


def test_frozen_embeddings_stay_as_they_are() -> None:
    model = LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True))
    model.get_input_embeddings().weight.requires_grad_(False)
    assert not spare_tied(model)
