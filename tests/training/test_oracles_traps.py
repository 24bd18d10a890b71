"""Faults that well-known trainers had or have, each as a test that fails where ours has it."""

import math
from itertools import pairwise, product
from pathlib import Path

import pytest
import torch
from tabular import each, fit, ordered, tilted, world
from torch import Tensor

from evalsuite.errors import InputError
from evalsuite.training import batching, methods
from evalsuite.training.contract import Item, Tokenised
from evalsuite.training.objectives import pairs, policy, singles, transfer
from evalsuite.training.objectives.links import link
from evalsuite.training.objectives.scores import Seq, score

D64, BETA = torch.float64, 0.6


def two_policies() -> tuple[Tensor, Tensor]:
    z = torch.randn(6, dtype=D64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    return z, world()[0]


def grad(value: Tensor, z: Tensor) -> Tensor:
    return torch.autograd.grad(value, z, retain_graph=True)[0]


def test_k3_as_a_loss_pulls_the_other_way_round() -> None:
    z, rho = two_policies()
    logp = z.log_softmax(-1)
    drawn = logp.exp().detach()
    reverse = grad((logp.exp() * (logp - rho)).sum(), z)
    forward = grad(-(rho.exp() * logp).sum(), z)
    assert torch.allclose(grad((drawn * policy.kl(logp, rho, "k3")).sum(), z), forward, atol=1e-15)
    assert torch.allclose(grad((drawn * policy.kl(logp, rho, "k2")).sum(), z), reverse, atol=1e-15)
    assert torch.allclose(grad((drawn * policy.kl_loss(logp, rho)).sum(), z), reverse, atol=1e-15)
    assert torch.allclose(grad((drawn * policy.kl(logp, rho, "k1")).sum(), z), torch.zeros(6, dtype=D64), atol=1e-15)
    assert not torch.allclose(forward, reverse, atol=0.05)


def test_the_corrected_kl_is_right_off_policy_too() -> None:
    z, rho = two_policies()
    logp, old = z.log_softmax(-1), world(seed=8)[0]
    value = (old.exp() * policy.kl_loss(logp, rho, old)).sum()
    exact = (logp.exp() * (logp - rho)).sum()
    assert value.item() == pytest.approx(exact.item(), abs=1e-15)
    assert torch.allclose(grad(value, z), grad(exact, z), atol=1e-15)


def test_kl_estimates_are_not_clamped() -> None:
    """k1 may be negative on a token; clamped at 0 it would be biased, and the optimum of RL another one."""
    z, rho = two_policies()
    logp, reward = z.detach().log_softmax(-1), world()[1]
    exact = (logp.exp() * (logp - rho)).sum()
    for kind in ("k1", "k3"):
        assert (logp.exp() * policy.kl(logp, rho, kind)).sum().item() == pytest.approx(exact.item(), abs=1e-15)
    assert (policy.kl(logp, rho, "k1") < 0).any()
    assert (policy.kl(logp, rho, "k3") >= 0).all()
    clamped = fit(lambda p: -(p.exp() * (reward - BETA * (p - rho).clamp(min=0))).sum(), 6)
    assert not torch.allclose(clamped, tilted(rho, reward, BETA), atol=0.05)


def test_one_name_one_norm() -> None:
    """Sum, mean and weighted mean have different optima; every loss type of DPO's family takes its own."""
    logp, ref = torch.randn(2, 4, 6, generator=torch.Generator().manual_seed(0)).unbind()
    mask = torch.arange(6) < torch.tensor([6, 5, 2, 3])[:, None]
    weight = 1 + torch.arange(6.0).expand(4, 6) % 2
    item = Item((Tokenised((1, 2), (False, True)),) * 2)
    plain = batching.collate([item, item], 0)
    batch = type(plain)(**{**vars(plain), "ids": mask.long(), "mask": mask, "ref": ref * mask, "weight": weight})
    dpo = methods.find("dpo")

    def value(kind: str, weighted: bool = False) -> float:
        used = batch if weighted else type(plain)(**{**vars(batch), "weight": None})
        return dpo.loss(logp * mask, used, dpo.Config(loss_type=kind, beta=0.5))[0].item()

    def wanted(norm, loss, weight: Tensor | None = None) -> float:
        h_w, h_l = score(Seq(logp * mask, ref * mask, mask, weight), norm).split(2)
        return loss(h_w, h_l, 0.5).item()

    assert value("sigmoid") == pytest.approx(wanted("sum", pairs.dpo))
    assert value("sigmoid_norm") == pytest.approx(wanted("mean", pairs.dpo))
    assert value("segments", True) == pytest.approx(wanted("weighted_mean", pairs.dpo, weight))
    assert value("ipo") == pytest.approx(wanted("mean", pairs.ipo))
    assert value("ipo_sum") == pytest.approx(wanted("sum", pairs.ipo))
    found = [value("sigmoid"), value("sigmoid_norm"), value("segments", True), value("ipo"), value("ipo_sum")]
    assert len({round(x, 4) for x in found}) == 5


def test_constants_of_a_link_cancel_in_pairs_only() -> None:
    """So a link other than the identity is no choice for losses of single answers, or of normalised lengths."""
    h_w, h_l = torch.randn(2, 5, dtype=D64, generator=torch.Generator().manual_seed(0)).unbind()
    shifted = [link(h, "js") + 0.7 for h in (h_w, h_l)]
    assert pairs.dpo(*shifted, 0.5).item() == pytest.approx(pairs.f_dpo(h_w, h_l, 0.5, "js").item(), abs=1e-15)
    good = torch.tensor([True] * 5)
    before, after = (singles.kto(h, good, torch.zeros(1), 0.5).item() for h in (shifted[0] - 0.7, shifted[0]))
    assert abs(before - after) > 0.01
    lengths = torch.tensor([1.0, 2, 3, 4, 5], dtype=D64)
    apart = pairs.dpo(shifted[0] / lengths, shifted[1], 0.5) - pairs.dpo(
        (shifted[0] - 0.7) / lengths, shifted[1] - 0.7, 0.5
    )
    assert abs(apart.item()) > 0.01


@pytest.mark.parametrize("knobs", [
    {"loss_type": "ipo", "divergence": "js"}, {"loss_type": "sigmoid_norm", "divergence": "forward_kl"},
    {"loss_type": "sigmoid", "label_smoothing": 0.1}, {"loss_type": "robust", "label_smoothing": 0.5},
])  # fmt: skip
def test_knobs_that_a_loss_would_drop_in_silence_are_refused(knobs) -> None:
    with pytest.raises(InputError):
        methods.find("dpo").Config(**knobs)


def test_label_smoothing_goes_to_the_other_label() -> None:
    """ε is the probability of the *wrong* label; a release had the two swapped, with a default that hid it."""
    z = torch.tensor([3.0], dtype=D64)
    zero = torch.zeros(1, dtype=D64)
    clean, half, most = (pairs.cdpo(z, zero, 1.0, eps).item() for eps in (0.0, 0.2, 0.9))
    assert clean == pytest.approx(math.log1p(math.exp(-3)))
    assert clean < half < most
    assert half == pytest.approx(0.8 * clean + 0.2 * (3 + clean))


def test_the_weak_to_strong_warm_up_has_no_jump() -> None:
    alphas = [transfer.warmed(0.75, step, 40) for step in range(60)]
    assert alphas[0] == 0
    assert max(b - a for a, b in pairwise(alphas)) == pytest.approx(0.75 / 40)
    assert alphas[40:] == [0.75] * 20
    assert transfer.warmed(0.75, 0, 0) == 0.75


# -- positions --------------------------------------------------------------------------------------------------------


def test_the_score_is_on_the_end_mark_also_where_padding_is_the_same_token() -> None:
    eos = pad = 2
    ids = torch.tensor([[5, 6, 7, eos, pad, pad], [5, 6, 7, 8, 9, 9]])  # ended; truncated
    mask = torch.tensor([[False, False, True, True, False, False], [False, False, True, True, True, True]])
    placed = policy.place(torch.tensor([1.5, -2.0]), mask)
    assert placed.tolist() == [[0, 0, 0, 1.5, 0, 0], [0, 0, 0, 0, 0, -2.0]]
    assert ids[0, int(placed[0].argmax())] == eos


def test_kl_and_scores_count_nowhere_outside_the_completion() -> None:
    """Padding carries any numbers: nothing of them reaches advantages, values or losses."""
    made = torch.Generator().manual_seed(0)
    mask = torch.tensor([[False, True, True, False], [False, True, True, True]])
    clean = [torch.randn(2, 4, dtype=D64, generator=made) for _ in range(4)]
    dirty = [x.masked_fill(~mask, 1e6) for x in clean]

    def through(logp: Tensor, old: Tensor, values: Tensor, rewards: Tensor) -> list[Tensor]:
        advantage, returns = policy.gae(rewards - 0.1 * policy.kl(logp, old, "k1"), values, mask, 0.9, 0.9)
        white = policy.reinforce_plus_plus_advantage(returns, mask)
        loss = policy.reduce(policy.surrogate(logp, old, advantage, mask), mask)
        return [advantage, returns, white, loss, policy.value_loss(values, values - 0.1, returns, mask)]

    for a, b in zip(through(*clean), through(*dirty), strict=True):
        assert torch.allclose(a, b, atol=1e-12)


def test_whitening_is_over_completion_tokens() -> None:
    returns = torch.tensor([[1.0, 3.0, 0.0, 0.0], [5.0, 0.0, 0.0, 0.0]], dtype=D64)
    mask = torch.tensor([[True, True, False, False], [True, False, False, False]])
    white = policy.reinforce_plus_plus_advantage(returns, mask)
    assert white[mask].mean().abs() < 1e-12
    assert white[mask].std(correction=0).item() == pytest.approx(1.0)
    assert not white[~mask].any()


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_log_probabilities_are_summed_in_float32() -> None:
    """200 tokens of bfloat16: added up in bfloat16, the contrast of two answers is noise."""
    made = torch.Generator().manual_seed(0)
    logp, ref = (
        (-3 * torch.rand(2, 200, generator=made)).bfloat16(),
        (-3 * torch.rand(2, 200, generator=made)).bfloat16(),
    )
    mask = torch.ones(2, 200, dtype=torch.bool)
    h = score(Seq(logp, ref, mask))
    exact = (logp.double() - ref.double()).sum(-1)
    assert h.dtype == torch.float32
    assert torch.allclose(h.double(), exact, atol=1e-4)
    naive = logp.cumsum(-1)[:, -1] - ref.cumsum(-1)[:, -1]
    assert (naive.double() - exact).abs().max() > 0.5


def test_draws_of_another_distribution_need_the_log_probabilities_they_were_drawn_with() -> None:
    """Answers come at a temperature (or from another engine). With the behaviour's log-probabilities the gradient is
    that of the objective; with recomputed ones every ratio is 1, and it is another one."""
    z, _ = two_policies()
    reward, logp = world()[1], z.log_softmax(-1)
    behaviour = (z.detach() / 0.5).log_softmax(-1)
    exact = grad((logp.exp() * reward).sum(), z)
    one, never = torch.ones(6, 1), (1.0, math.inf)

    def found(old: Tensor) -> Tensor:
        each = policy.surrogate(logp[:, None], old[:, None], reward[:, None], one, never)
        return -grad((behaviour.exp() * each[:, 0]).sum(), z)

    assert torch.allclose(found(behaviour), exact, atol=1e-14)
    assert not torch.allclose(found(logp.detach()), exact, atol=0.02)


def test_dividing_by_the_groups_spread_is_another_gradient() -> None:
    """Prompts on which answers differ little are weighted up: two prompts with the same geometry and rewards of other
    size get the same step. The bias is recorded here, not denied."""
    z, _ = two_policies()
    logp = z.log_softmax(-1)
    reward = world()[1]
    groups = torch.tensor(list(product(range(6), repeat=2)))
    chance = logp.detach()[groups].sum(-1).exp()

    def gradient(reward: Tensor, scale: bool) -> Tensor:
        advantage = policy.grpo_advantage(reward[groups], scale)
        each = policy.surrogate(logp[groups], logp.detach()[groups], advantage, torch.ones(36, 2))
        return -grad((chance * each.mean(-1)).sum(), z)

    exact = grad((logp.exp() * reward).sum(), z)
    assert torch.allclose(2 * gradient(reward, False), exact, atol=1e-14)
    scaled = gradient(reward, True)
    assert torch.nn.functional.cosine_similarity(scaled, exact, 0) < 0.999
    assert torch.allclose(scaled, gradient(10 * reward, True), rtol=1e-2)


def test_ktos_partners_are_fixed_before_anything_is_shuffled() -> None:
    """KL is estimated on prompts with other prompts' answers. Who is whose partner must not hang on the order of the
    batches: each answer carries its partner along."""
    kto = methods.find("kto")
    rows = [Tokenised((7, 10 + i, 50 + i, 2), (False, False, True, True)) for i in range(6)]
    items = kto.arrange([Item((row,), (float(i % 2),)) for i, row in enumerate(rows)])
    for i, item in enumerate(items):
        assert item.sequences[0] == rows[i]
        assert list(item.sequences[1].ids) == [7, 10 + i, 50 + (i + 1) % 6, 2]
        assert list(item.sequences[1].mask) == list(rows[i].mask)
    order = [3, 0, 5, 1]
    batch = batching.collate([items[i] for i in order], 0)
    own, partner = batch.ranks(batch.ids)
    assert own[:, 2].tolist() == [50 + i for i in order]
    assert partner[:, 2].tolist() == [50 + (i + 1) % 6 for i in order]
    assert batch.ids.shape == (8, 4)


def test_dpo_and_rl_agree_only_at_the_same_reference() -> None:
    """Rounds that each start from the last policy as reference end elsewhere than one with the first as reference."""
    rho, reward = world()
    win, lose = ordered(6)
    p = (reward[win] - reward[lose]).sigmoid()

    def fitted(ref: Tensor) -> Tensor:
        return fit(lambda logp: (p * each(pairs.dpo, (logp - ref)[win], (logp - ref)[lose])).mean() * 10, 6)

    first = fitted(rho)
    assert torch.allclose(fitted(first), tilted(rho, 2 * reward, 0.1), atol=1e-3)


# -- reward models: the same place is read in training and in use -----------------------------------------------------


def test_a_reward_model_is_trained_on_what_it_is_asked_about(tiny: Path) -> None:
    """The conversation to its last token, as the backend reads it: not up to the end mark in one place and behind it in
    the other."""
    from evalsuite.models import renderer, resolve
    from evalsuite.records import assistant, user
    from evalsuite.training.encoding import Encoder

    made, turns = renderer(resolve(str(tiny))), (user("What is one?"),)
    found = Encoder(made, 512, whole=True)(turns, "one it is")
    assert tuple(found.ids) == made.conversation_ids((*turns, assistant("one it is")))
    assert found.mask[-1]
    learned = Encoder(made, 512)(turns, "one it is")
    assert learned.ids == found.ids[: len(learned.ids)]
    assert len(learned.ids) < len(found.ids)
    assert learned.ids[-1] in made.tokens.special_ids


@pytest.mark.parametrize("padding", ["its own", "the end mark", "a word"])
def test_a_reward_is_read_at_the_last_token_whatever_pads(tiny: Path, padding) -> None:
    """Classifiers of transformers read the last token that is not the pad token: with padding that is the end mark too,
    the one before."""
    from evalsuite.models import resolve
    from evalsuite.training.contract import Settings
    from evalsuite.training.loading import load
    from evalsuite.training.trainer import forward

    net, reward = load(resolve(str(tiny)), "reward", Settings(dtype="float32")).eval(), methods.find("reward")
    rows = [(5, 9, 12, 13, 1), (5, 9, 14, 1), (5, 9, 17, 18, 19, 20, 1), (5, 9, 4, 1)]
    pad = {"its own": 2, "the end mark": 1, "a word": 9}[padding]
    net.config.pad_token_id = pad
    made = [Tokenised(row, (False, False, *[True] * (len(row) - 2))) for row in rows]
    items = [Item(tuple(made[:2])), Item(tuple(made[2:]))]
    with torch.no_grad():
        found = forward(reward, net, batching.collate(items, pad), reward.Config())[:, 0]
        wanted = [
            net.score(net.model(torch.tensor([row])).last_hidden_state[0, -1]).item()
            for row in (rows[0], rows[2], rows[1], rows[3])
        ]
    assert found.tolist() == pytest.approx(wanted, abs=1e-5)
    assert net.config.pad_token_id == pad


def test_corrections_weigh_gamma_where_the_answers_differ() -> None:
    """DDPO's weights come from the two answers themselves, and reach the loss."""
    dpo = methods.find("dpo")
    one = Tokenised((1, 2, 3, 4, 5, 6), (False, False, True, True, True, True))
    other = Tokenised((1, 2, 3, 9, 9, 5, 6), (False, False, *[True] * 5))
    assert dpo.corrected(one, other, 5.0).weight == (1, 1, 1, 5, 1, 1)
    assert dpo.corrected(other, one, 5.0).weight == (1, 1, 1, 5, 5, 1, 1)
    assert dpo.corrected(one, one, 5.0).weight == (1,) * 6
