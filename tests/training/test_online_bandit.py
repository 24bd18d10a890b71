"""Online methods on a bandit, through their own rollouts and losses: where they end is known in closed form."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from evalsuite.errors import InputError
from evalsuite.records import user
from evalsuite.training import batching, methods, online
from evalsuite.training.contract import Item, Row, Tokenised
from evalsuite.training.objectives import targets
from evalsuite.training.online import Context, Judged
from evalsuite.training.online_combining import Combined
from evalsuite.training.online_values import with_values
from evalsuite.training.rollouts import Answer, Drawing

ARMS, BETA = 5, 0.5
ROW = Row("0", (user("pull"),))


def world() -> tuple[Tensor, Tensor]:
    """Log-probabilities of the reference, rewards."""
    generator = torch.Generator().manual_seed(3)
    rho, reward = torch.randn(2, ARMS, generator=generator)
    return rho.log_softmax(-1), reward


class Trunk(nn.Module):
    def forward(self, input_ids: Tensor, **_: Any) -> Any:
        return SimpleNamespace(last_hidden_state=torch.ones(*input_ids.shape, 1))


class Bandit(nn.Module):
    """A causal model whose next token is an arm, whatever came before."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self.base_model, self.table = Trunk(), nn.Embedding(ARMS, 1).requires_grad_(False)
        self.z = nn.Parameter(z.clone())
        self.config = SimpleNamespace()

    def get_input_embeddings(self) -> nn.Module:
        return self.table

    def forward(self, input_ids: Tensor, attention_mask: Any = None, use_cache: bool = False) -> Any:
        self.base_model(input_ids)
        return SimpleNamespace(logits=self.z.expand(*input_ids.shape, ARMS))


@dataclass
class Puller:
    """The bandit as a policy that answers with one token."""

    bandit: Bandit
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def answers(self, rows: Sequence[Row], seeds: Sequence[int], drawing: Drawing) -> list[Answer]:
        logps = (self.bandit.z.detach() / drawing.temperature).log_softmax(-1)
        # Systematic draws: each arm as often as it should be, give or take one; so few suffice.
        ticks = (torch.arange(len(rows)) + torch.rand(1, generator=self.generator)) / len(rows)
        arms = torch.searchsorted(logps.exp().cumsum(0), ticks).clamp(max=ARMS - 1)
        drawn = arms[torch.randperm(len(rows), generator=self.generator)].tolist()
        return [Answer((0,), (arm,), (float(logps[arm]),), str(arm), True) for arm in drawn]


def trained(
    name: str, temperature: float = 1.0, rounds: int = 120, each: int = 64, judged: Any = None, **knobs: Any
) -> Tensor:
    """The mean policy over the last quarter of a training, rewarded by the world's own reward or by `judged`."""
    rho, reward = world()
    judged = judged or (lambda _, texts: [float(reward[int(t)]) for t in texts])
    method = methods.find(name)
    config = method.Config(num_generations=each, temperature=temperature, max_completion_length=1, **knobs)
    bandit = Bandit(torch.randn(ARMS, generator=torch.Generator().manual_seed(5)))
    module = method.build(bandit, config) if hasattr(method, "build") else bandit
    frozen, puller = Bandit(rho * temperature), Puller(bandit)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    mean = torch.zeros(ARMS)
    for number in range(rounds):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * temperature * (1 - number / rounds) + 0.002
        context = Context(judged, None, module, frozen, 0, 0, number)
        batch = batching.collate(method.rollout(puller, [ROW], config, context), 0)
        for _ in range(config.num_iterations):
            value, _ = method.loss(method.forward(module, batch, config), batch, config)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        if number >= rounds * 3 // 4:
            mean += (bandit.z.detach() / temperature).softmax(-1)
    return mean / (rounds - rounds * 3 // 4)


CASES = [
    ("rloo", {"beta": BETA}),
    ("rloo", {"beta": BETA, "normalize": True}),
    ("rloo", {"beta": BETA, "advantage": "reinforce++"}),
    ("grpo", {"beta": BETA, "loss_type": "dr_grpo"}),
    ("grpo", {"beta": BETA, "loss_type": "dapo", "scale_rewards": False, "num_iterations": 2}),
    ("ppo", {"beta": BETA, "whiten": False, "num_iterations": 2}),
    ("ppo", {"beta": BETA, "kl": "loss", "whiten": False, "num_iterations": 1}),
    ("ppo", {"beta": BETA, "critic": "own", "whiten": True, "num_iterations": 1}),
    ("rloo", {"beta": BETA, "temperature": 1.7}),
]


@pytest.mark.parametrize(("name", "knobs"), CASES)
def test_it_ends_at_the_tilted_reference(name, knobs) -> None:
    """π* = ρ exp(r/β)/Z; with a temperature, of the tempered policy that draws."""
    rho, reward = world()
    wanted = (rho + reward / BETA).softmax(-1)
    start = torch.randn(ARMS, generator=torch.Generator().manual_seed(5)).softmax(-1)
    apart = (trained(name, **knobs) - wanted).abs().sum() / 2
    assert apart < 0.02, apart
    assert (start - wanted).abs().sum() / 2 > 0.2


@pytest.mark.parametrize(("name", "how"), [("rloo", "lsc"), ("rloo", "sum"), ("grpo", "lsc"), ("ppo", "lsc")])
def test_several_rewards_end_where_their_combination_says(name, how) -> None:
    """Under LSC at ρ Π_k σ(r_k - ref_k)^(w_k/β) / Z: all of them are good. As a sum at ρ exp(Σ w_k r_k / β) / Z."""
    rho, first = world()
    second, weights, at = -first.flip(0), torch.tensor([1.0, 0.7]), torch.tensor([0.2, -0.4])
    parts = {
        label: (weight, lambda _, texts, r=r: [float(r[int(t)]) for t in texts])
        for label, weight, r in (("a", 1.0, first), ("b", 0.7, second))
    }
    judged = Combined(parts, how, references={ROW.place: (0.2, -0.4)})
    shaped = torch.stack([first, second])
    shaped = (shaped - at[:, None]).sigmoid().log() if how == "lsc" else shaped
    wanted = (rho + (weights[:, None] * shaped).sum(0) / BETA).softmax(-1)
    more = {"grpo": {"loss_type": "dr_grpo"}, "ppo": {"whiten": False, "num_iterations": 1}}.get(name, {})
    found = trained(name, judged=judged, beta=BETA, **more)
    assert (found - wanted).abs().sum() / 2 < 0.02


def test_the_reference_of_lsc_is_a_quantile_of_the_starting_policys_rewards() -> None:
    """A bandit's rewards are known: r_ref of many draws is the distribution's own quantile, for each reward its own."""
    rho, first = world()
    parts = {
        "a": (1.0, lambda _, texts: [float(first[int(t)]) for t in texts]),
        "b": (1.0, lambda _, texts: [-float(first[int(t)]) for t in texts]),
    }
    order = first.argsort()
    for q in (0.5, 0.85):
        judged = Combined(parts, "lsc", q)
        config = methods.find("rloo").Config(reference_samples=999, max_completion_length=1)
        judged.begin(Puller(Bandit(rho)), [ROW], config, 0, 0, 1)
        upto = rho.exp()[order].cumsum(0)
        high = first[order[int((upto < q).sum())]]
        low = first[order[int((upto < 1 - q).sum())]]
        assert judged.references == {ROW.place: pytest.approx((float(high), -float(low)), abs=1e-6)}


def test_the_wrong_estimator_ends_elsewhere() -> None:
    """k3 as a plain loss has the gradient of KL(ρ‖π): with β = 0.5 that is another policy."""
    rho, reward = world()
    wanted = (rho + reward / BETA).softmax(-1)
    found = trained("grpo", beta=BETA, loss_type="dr_grpo", kl="k3")
    assert (found - wanted).abs().sum() / 2 > 0.04


def test_expert_iteration_learns_from_the_best_of_n() -> None:
    rho, reward = world()
    method, n, prompts = methods.find("expert-iteration"), 4, 1500
    config = method.Config(num_generations=n, reference="none", max_completion_length=1)
    bandit = Bandit(rho)
    context = Context(lambda _, texts: [float(reward[int(t)]) for t in texts], None, bandit, None, 0, 0, 0)
    items = method.rollout(Puller(bandit), [ROW] * prompts, config, context)
    counts = torch.bincount(torch.tensor([item.sequences[0].ids[-1] for item in items]), minlength=ARMS)
    wanted = targets.best_of_n(rho, reward, n)
    assert (counts / prompts - wanted).abs().sum() / 2 < 0.03
    assert context.figures["reward_best"] == pytest.approx(float(wanted @ reward), abs=0.05)


def test_online_dpo_pairs_the_best_with_the_worst_and_ties_count_nowhere() -> None:
    method = methods.find("online-dpo")
    config = method.Config(num_generations=3, reference="round", max_completion_length=1)
    bandit = Bandit(world()[0])
    context = Context(lambda _, texts: [float(int(t) >= 2) for t in texts], None, bandit, None, 0, 0, 0)
    items = method.rollout(Puller(bandit), [ROW] * 40, config, context)
    good, bad = ([item.sequences[k].ids[-1] >= 2 for item in items] for k in (0, 1))
    ties = [item.columns["counts"] == 0 for item in items]
    assert 0 < sum(ties) < 40
    assert all(tie == (g == b) and (tie or (g and not b)) for tie, g, b in zip(ties, good, bad, strict=True))
    batch = batching.collate(items, 0)
    assert method.weight(batch) == 40 - sum(ties)
    logps = method.forward(bandit, batch, config)
    kept = batching.collate([item for item, tie in zip(items, ties, strict=True) if not tie], 0)
    whole, only = (
        method.loss(logps, batch, config)[0],
        method.loss(method.forward(bandit, kept, config), kept, config)[0],
    )
    assert whole.item() == pytest.approx(only.item(), rel=1e-6)
    none = batching.collate([item for item, tie in zip(items, ties, strict=True) if tie], 0)
    assert method.loss(method.forward(bandit, none, config), none, config)[0].item() == 0


def test_a_rebel_round_ends_at_the_policy_that_drew_tilted_by_the_reward() -> None:
    """π_t exp(r/β) / Z, exactly: the regression on pairs of draws has no other minimum."""
    rho, reward = world()
    method = methods.find("online-dpo")
    config = method.Config(num_generations=2, reference="round", loss_type="rebel", beta=1.5, max_completion_length=1)
    bandit = Bandit(rho)
    context = Context(lambda _, texts: [float(reward[int(t)]) for t in texts], None, bandit, None, 0, 0, 0)
    batch = batching.collate(method.rollout(Puller(bandit), [ROW] * 60, config, context), 0)
    optimizer = torch.optim.LBFGS(bandit.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value, _ = method.loss(method.forward(bandit, batch, config), batch, config)
        value.backward()
        return value

    optimizer.step(closure)
    assert torch.allclose(bandit.z.detach().softmax(-1), (rho + reward / 1.5).softmax(-1), atol=1e-3)
    with pytest.raises(InputError, match="set reference=round"):
        method.Config(loss_type="rebel")


def judged(length: int, reward: float, behaviour: float = -1.0, ref: float = -1.5) -> Judged:
    mask = (False, False, *([True] * length))
    of = lambda value: tuple(value * m for m in mask)  # noqa: E731
    sequence = Tokenised(tuple(range(length + 2)), mask, ref=of(ref), given={"behaviour": of(behaviour)})
    return Judged(sequence, reward, None, "", True)


def test_the_reward_is_on_the_last_token_and_kl_on_every_one() -> None:
    batch = online.table([judged(3, 2.0), judged(1, 5.0)], 0)
    found = online.token_rewards(batch, torch.tensor([2.0, 5.0], dtype=torch.float64), beta=0.1)
    assert found.tolist() == [pytest.approx([0, 0, -0.05, -0.05, 1.95]), pytest.approx([0, 0, 4.95, 0, 0])]


def test_without_values_and_discount_the_advantage_is_one_for_all_tokens() -> None:
    """Where the reward is all there is: it stands on the last token and reaches every one before it."""
    ppo = methods.find("ppo")
    batch = online.table([judged(3, 2.0), judged(1, 5.0)], 0)
    paid = online.token_rewards(batch, torch.tensor([2.0, 5.0]), 0.0)
    config = ppo.Config(lam=1.0, whiten=False)
    better, returns = ppo.advantages(paid, torch.zeros_like(paid), batch.mask, config)
    assert better.tolist() == [[0, 0, 2, 2, 2], [0, 0, 5, 0, 0]]
    assert torch.equal(better, returns)


def test_averages_do_not_depend_on_how_a_round_is_cut() -> None:
    answers = [judged(n, float(n)) for n in (1, 2, 3, 6)]
    per_token = lambda batch: torch.ones(batch.mask.shape) * batch.mask  # noqa: E731
    for by, wanted in (("answer", 1.0), ("token", 1.0), ("constant", 3 / 8)):
        over = online.denominators(answers, by, 8)
        items = [Item((a.sequence,), columns={"denominator": d}) for a, d in zip(answers, over, strict=True)]
        whole = online.averaged(per_token(batch := batching.collate(items, 0)), batch)
        parts = [online.averaged(per_token(b := batching.collate([item], 0)), b) for item in items]
        assert whole.item() == pytest.approx(wanted), by
        assert sum(parts).item() / 4 == pytest.approx(wanted), by


def test_the_penalty_falls_on_answers_without_an_end_and_a_missing_reward_moves_nothing() -> None:
    method = methods.find("rloo")
    config = method.Config(num_generations=3, missing_eos_penalty=2.0, reference="none", max_completion_length=1)

    class Cut(Puller):
        def answers(self, rows: Sequence[Row], seeds: Sequence[int], drawing: Drawing) -> list[Answer]:
            return [Answer((0,), (1,), (-1.0,), str(i), i != 1) for i in range(len(rows))]

    bandit = Bandit(world()[0])
    context = Context(lambda _, texts: [1.0, 1.0, None], None, bandit, None, 0, 0, 0)
    (group,) = online.judge(Cut(bandit), [ROW], config, context)
    assert [a.reward for a in group] == [1.0, -1.0, 0.0]
    assert context.figures["ended"] == pytest.approx(2 / 3)


def test_values_stand_before_the_token_they_judge_and_the_policy_alone_is_saved(tmp_path) -> None:
    module = with_values(Bandit(world()[0]))
    nn.init.constant_(module.critic.weight, 2.0)
    ids, mask = torch.tensor([[0, 1, 2, 0]]), torch.tensor([[False, False, True, True]])
    logps, values = module(ids, mask)
    assert values.tolist() == [[0, 0, 2, 2]]
    assert logps[0, 2].item() == pytest.approx(world()[0][2].item())
    saved: dict[str, Any] = {}
    module.policy.save_pretrained = lambda folder, **more: saved.update(more["state_dict"])
    module.save_pretrained(tmp_path, state_dict=module.state_dict())
    assert set(saved) == {"z", "table.weight"}
