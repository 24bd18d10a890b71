"""Tied embeddings: gradients added in place are autograd's, and only tied ones take this way."""

import copy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

from evalsuite.training.objectives.scores import nll, token_logps
from evalsuite.training.tied import spare_tied

SMALL = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 50}


def gradients(model: LlamaForCausalLM, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    mask = torch.ones_like(ids, dtype=torch.bool)
    for _ in range(2):  # accumulated, as the parts of a batch are
        nll(token_logps(model, ids, mask), mask).backward()
    return {name: p.grad for name, p in model.named_parameters()}


@pytest.mark.parametrize("pad", [None, 7])
@pytest.mark.parametrize("trainings", [1, 2])
def test_tied_gradients_are_the_same(pad: int | None, trainings: int) -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True, pad_token_id=pad))
    ids = torch.randint(0, 50, (3, 9))
    ids[:, :2] = 7
    spared = copy.deepcopy(model)
    for _ in range(trainings):
        assert spare_tied(spared)
    expected, found = gradients(model, ids), gradients(spared, ids)
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [LlamaForCausalLM, LlamaForSequenceClassification])
def test_others_stay_as_they_are(kind: type) -> None:
    model = kind(LlamaConfig(**SMALL, tie_word_embeddings=False, pad_token_id=0))
    assert not spare_tied(model)


def test_scaled_embeddings_stay_as_they_are() -> None:
    class Scaled(torch.nn.Embedding):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return 3 * super().forward(ids)

    model = LlamaForCausalLM(LlamaConfig(**SMALL))
    model.set_input_embeddings(Scaled(50, 16))
    model.get_output_embeddings().weight = model.get_input_embeddings().weight
    assert not spare_tied(model)


def test_frozen_embeddings_stay_as_they_are() -> None:
    model = LlamaForCausalLM(LlamaConfig(**SMALL, tie_word_embeddings=True))
    model.get_input_embeddings().weight.requires_grad_(False)
    assert not spare_tied(model)
