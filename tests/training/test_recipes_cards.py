"""The methods' cards: the page's table is made of them, and their claims of what becomes what are true."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from evalsuite.records import user
from evalsuite.training import batching, cards, methods, online
from evalsuite.training.contract import Batch, Item, Row, Tokenised
from evalsuite.training.objectives import rewards
from evalsuite.training.objectives.targets import best_of_n
from evalsuite.training.online import Judged
from evalsuite.training.run import configured

PAGE = Path(__file__).parents[2] / "docs" / "training.md"
CLAIMS = [(name, *pair) for name, card in methods.cards().items() for pair in card["reduces_to"]]


def test_the_page_has_the_table_that_the_cards_give() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert cards.spliced(page) == page, "make it anew: python -m evalsuite.training.cards docs/training.md"
    assert cards.table().count("\n") == len(methods.names()) + 1


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        cards.spliced("no marks here")


def test_a_claim_is_read() -> None:
    found = cards.claim("dpo", "loss_type=robust, label_smoothing=0", "sigmoid")
    assert found == cards.Claim("dpo", {"loss_type": "robust", "label_smoothing": "0"}, "dpo", {"loss_type": "sigmoid"})
    assert cards.claim("listwise", "two answers, loss_type=softmax", "dpo sigmoid").other == "dpo"
    assert cards.claim("merge", "coefficient=0", "the first checkpoint") is None


@pytest.mark.parametrize(("method", "setting", "becomes"), CLAIMS)
def test_a_claim_is_true(method, setting, becomes) -> None:
    """Losses and gradients agree on random pairs where both sides are knobs; else a check of its own says so."""
    claim = cards.claim(method, setting, becomes)
    if claim is None:
        CHECKS[method, becomes]()
        return
    batch, x = pairs()
    found = [value_and_gradient(name, knobs, batch, x) for name, knobs in
             ((claim.method, claim.knobs), (claim.other, claim.others_knobs))]  # fmt: skip
    for mine, theirs in zip(*found, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-6, atol=1e-8)
    assert found[0][1].abs().sum() > 0


def pairs() -> tuple[Batch, torch.Tensor]:
    """Three pairs of unequal lengths with every column that a loss reads (margins are 0), and random log-probabilities
    of the policy; the reference's stand in the batch."""
    torch.manual_seed(3)
    columns = {"margin": 0.0, "gap": 1.5, "weight": 2.0, "p": 1.0}
    made = [
        Item(tuple(Tokenised(tuple(range(3, 3 + n)), tuple(i >= 2 for i in range(n))) for n in both), (1, 0), columns)
        for both in ((5, 7), (4, 4), (6, 3))
    ]
    batch = batching.collate(made, 0)
    x, ref = (-torch.rand(batch.ids.shape, dtype=torch.float64) * batch.mask for _ in "ab")
    return Batch(**{**vars(batch), "ref": ref}), x


def value_and_gradient(name, knobs, batch, x) -> tuple[torch.Tensor, torch.Tensor]:
    method = methods.find(name)
    config, _ = configured(method, knobs, name)
    x = x.clone().requires_grad_()
    value, _ = method.loss(x, batch, config)
    value.backward()
    return value.detach(), x.grad


def rewards_are_bradley_terry() -> None:
    batch, _ = pairs()
    scores = torch.randn(6, 1, dtype=torch.float64)
    reward = methods.find("reward")
    value, _ = reward.loss(scores, batch, reward.Config(flip_rate=0.0, center=0.0))
    assert value.item() == pytest.approx(rewards.bradley_terry((scores[:3] - scores[3:])[:, 0]).item(), rel=1e-12)
    noisy, _ = reward.loss(scores, batch, reward.Config(flip_rate=0.1))
    assert noisy.item() != pytest.approx(value.item(), rel=1e-3)


def hindsight_without_words_is_sft() -> None:
    def encode(messages, answer) -> Tokenised:
        ids = tuple(map(ord, messages[-1]["content"] + answer))
        return Tokenised(ids, tuple(i >= len(ids) - len(answer) for i in range(len(ids))))

    hindsight, sft = methods.find("chain-of-hindsight"), methods.find("sft")
    row = Row("1", (user("ask"),), ("yes", "no"), (1.0, 0.0))
    mine = hindsight.items(row, encode, hindsight.Config(good="", bad=""))
    theirs = [i for a in row.answers for i in sft.items(Row("1", row.messages, (a,)), encode, sft.Config())]
    assert mine == theirs
    assert hindsight.items(row, encode, hindsight.Config()) != theirs


def without_confidence_is_cross_entropy() -> None:
    weak = methods.find("weak-to-strong")
    logit, label = torch.randn(6, 1, dtype=torch.float64), torch.rand(6, 1, dtype=torch.float64)
    made = Batch(*[torch.zeros(6, 1)] * 2, None, None, label, torch.ones(6, 1).bool(), {"gold": -torch.ones(6)})
    value, _ = weak.loss(logit, made, weak.Config(alpha=0.0))
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logit, label)
    assert value.item() == pytest.approx(wanted.item(), rel=1e-12)
    assert weak.loss(logit, made, weak.Config(alpha=0.5))[0].item() != pytest.approx(wanted.item(), rel=1e-3)


def merging_ends_are_exact() -> None:
    merge = methods.find("merge")
    a, b = ({"w": torch.randn(3, 3).bfloat16()} for _ in "ab")
    for c, end in ((0.0, a), (1.0, b)):
        assert torch.equal(merge.merged(a, b, merge.Config(coefficient=c))["w"], end["w"])
    assert not torch.equal(merge.merged(a, b, merge.Config(coefficient=0.5))["w"], a["w"])


def best_of_one_is_the_model() -> None:
    p = torch.rand(5, dtype=torch.float64).log_softmax(-1)
    reward = torch.tensor([1.0, 1.0, 0.0, 2.0, 0.5])
    assert torch.allclose(best_of_n(p, reward, 1), p.exp(), rtol=1e-12)
    assert not torch.allclose(best_of_n(p, reward, 2), p.exp())


def own_draws_have_no_gradient() -> None:
    """The expectation over what the policy itself draws, by enumeration."""
    z = torch.randn(6, dtype=torch.float64, requires_grad=True)
    p = z.log_softmax(-1)
    (p.exp().detach() * p).sum().backward()
    assert z.grad.abs().max() < 1e-15


def dr_grpo_is_rloo_scaled() -> None:
    grpo, rloo = methods.find("grpo"), methods.find("rloo")
    r = torch.randn(3, 5, dtype=torch.float64)
    mine = grpo.advantages(r, grpo.Config(loss_type="dr_grpo"))
    assert torch.allclose(mine, 4 / 5 * rloo.advantages(r, rloo.Config()), rtol=1e-12)


def dapo_is_dr_grpo_scaled() -> None:
    """The same advantages; a round's answers are all divided by one number, another than Dr. GRPO's."""
    grpo = methods.find("grpo")
    r = torch.randn(3, 5, dtype=torch.float64)
    one, other = (grpo.Config(loss_type=kind, scale_rewards=False) for kind in ("dapo", "dr_grpo"))
    assert torch.equal(grpo.advantages(r, one), grpo.advantages(r, other))
    answers = [Judged(Tokenised((1,) * n, (True,) * n), 0.0, None, "", True) for n in (2, 7, 3)]
    assert set(online.denominators(answers, grpo.DIVIDED["dapo"], 8)) == {4.0}
    assert set(online.denominators(answers, grpo.DIVIDED["dr_grpo"], 8)) == {8.0}


def own_pairs_are_dpo(method: str) -> None:
    batch, x = pairs()
    batch = replace(batch, columns={**batch.columns, "counts": torch.ones(3)})
    mine, theirs = (value_and_gradient(name, {"beta": "0.3"}, batch, x) for name in (method, "dpo"))
    assert all(torch.allclose(m, t, rtol=1e-12) for m, t in zip(mine, theirs, strict=True))


def two_draws_are_rebel() -> None:
    """(β (h - h') - (r - r'))², whichever of the two is called the better one."""
    batch, x = pairs()
    gap = torch.tensor([1.5, 0.3, 2.0], dtype=torch.float64)
    batch = replace(batch, columns={"gap": gap, "counts": torch.ones(3)})
    mine, _ = value_and_gradient("online-dpo", {"loss_type": "rebel", "beta": "0.3", "reference": "round"}, batch, x)
    h = ((x - batch.ref) * batch.mask).sum(-1)
    assert mine.item() == pytest.approx((0.3 * (h[:3] - h[3:]) - gap).square().mean().item(), rel=1e-12)


def ppo_is_reinforce() -> None:
    """Without critic and clip the gradient is that of -Σ_t log π · (rewards to go), a mean over answers."""
    ppo = methods.find("ppo")
    config = ppo.Config(num_iterations=1, vf_coef=0.0, lam=1.0, whiten=False)
    batch, x = pairs()
    logps = x.clone().requires_grad_()
    paid, zero = torch.randn(x.shape, dtype=torch.float64) * batch.mask, torch.zeros_like(x)
    better, returns = ppo.advantages(paid, zero, batch.mask, config)
    given = {"behaviour": x, "values": zero, "advantage": better, "returns": returns}
    batch = replace(batch, given=given, columns={"denominator": torch.ones(len(x))}, labels=torch.zeros(len(x), 1))
    ppo.loss((logps, zero), batch, config)[0].backward()
    to_go = paid.flip(-1).cumsum(-1).flip(-1) * batch.mask
    assert torch.allclose(logps.grad, -to_go / len(x), atol=1e-12)


def rloo_is_reinforce() -> None:
    rloo = methods.find("rloo")
    batch, x = pairs()
    logps = x.clone().requires_grad_()
    advantage = torch.randn(len(x), 1, dtype=torch.float64).expand(x.shape)
    lengths = batch.mask.sum(-1).double()
    given = {"behaviour": x, "advantage": advantage}
    batch = replace(batch, given=given, columns={"denominator": lengths}, labels=torch.zeros(len(x), 1))
    rloo.loss(logps, batch, rloo.Config())[0].backward()
    assert torch.allclose(logps.grad, -advantage * batch.mask / len(x), atol=1e-12)


CHECKS = {
    ("chain-of-hindsight", "sft on both answers"): hindsight_without_words_is_sft,
    ("reward", "Bradley–Terry"): rewards_are_bradley_terry,
    ("merge", "the first checkpoint"): merging_ends_are_exact,
    ("merge", "the second checkpoint"): merging_ends_are_exact,
    ("best-of-n", "the model itself"): best_of_one_is_the_model,
    ("expert-iteration", "sft on the policy's own draws: no gradient on average"): own_draws_have_no_gradient,
    ("grpo", "RLOO times (G - 1) / G, on its first pass"): dr_grpo_is_rloo_scaled,
    ("grpo", "dr_grpo up to a constant of each round"): dapo_is_dr_grpo_scaled,
    ("online-dpo", "dpo on these pairs"): partial(own_pairs_are_dpo, "online-dpo"),
    ("online-dpo", "REBEL (arXiv 2404.16767), whose η is 1/β"): two_draws_are_rebel,
    ("fact-tune", "dpo on these pairs"): partial(own_pairs_are_dpo, "fact-tune"),
    ("weak-to-strong", "cross-entropy to the weak labels"): without_confidence_is_cross_entropy,
    ("ppo", "REINFORCE without a baseline (V stays 0)"): ppo_is_reinforce,
    ("rloo", "REINFORCE with that baseline: all ratios are 1"): rloo_is_reinforce,
}
