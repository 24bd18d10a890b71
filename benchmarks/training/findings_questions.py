"""From results of steps to answers: each question is a list of claims, each claim a difference with its interval.

A claim that cannot be judged because a step is missing says so. `claim` reads "what the literature found"; the answer
is "yes" where the difference lies above 0, "no" where it lies below, "not separated" where its interval holds 0.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from findings_ledger import Seed
from findings_measure import AXES, mean, over
from findings_steps import BEST, NOISE, POLICIES

from evalsuite.statistics import mean_interval

OUT = tuple(axis for axis in AXES if axis != "iid")
Values = Sequence[Sequence[float]]  # seeds × prompts
Claim = dict[str, Any]
Missing = KeyError


def judged(claim: str, values: Callable[[], Values]) -> Claim:
    """A claim with the mean of paired differences, which is positive where the claim is right."""
    try:
        found = values()
    except Missing as error:
        return {"claim": claim, "answer": "not measured", "value": None, "why": f"no result of {error.args[0]}"}
    interval = figure(found)
    low, high = interval["low"], interval["high"]
    answer = "not separated" if low is None or low <= 0 <= high else "yes" if low > 0 else "no"
    return {"claim": claim, "answer": answer, **interval}


def figure(values: Values) -> Claim:
    """Mean with its interval: over seeds' means, or over the prompts of a single seed."""
    flat = values[0] if len(values) == 1 else [mean(v) for v in values]
    found = mean_interval(flat)
    rounded = {name: None if (v := getattr(found, name)) is None else round(v, 4) for name in ("value", "low", "high")}
    return {**rounded, "n": found.n}


def told(claim: str, values: Callable[[], Values]) -> Claim:
    """A figure that answers nothing by itself."""
    found = judged(claim, values)
    return found if "why" in found else {**found, "answer": "figure"}


def of(seeds: Sequence[Seed], policy: str, name: str, axes: Sequence[str] = ("iid",)) -> Values:
    return [over(_result(seed, policy)["axes"], name, axes) for seed in seeds]


def _result(seed: Seed, step: str) -> Mapping[str, Any]:
    found = seed.results.get(step, {})
    if not found or "missing" in found:
        raise Missing(step)
    return found


def minus(a: Values, b: Values) -> Values:
    return [[x - y for x, y in zip(p, q, strict=True)] for p, q in zip(a, b, strict=True)]


def less(values: Values) -> Values:
    return [[-v for v in row] for row in values]


# --- questions ---


def generalises(seeds: Sequence[Seed]) -> list[Claim]:
    """Kirk et al. 2024 (arXiv 2310.06452). Imitation is SFT on the liked answers of the same labels."""
    claims = []
    for name in ("dpo", "rloo", "ppo", "expert-iteration"):
        gain = partial(_gain, seeds, name)
        claims += [
            judged(f"{name}: gold above sft, in distribution", partial(gain, ("iid",))),
            judged(f"{name}: gold above sft, out of distribution", partial(gain, OUT)),
            judged(f"{name}: gold above imitation, out of distribution", partial(gain, OUT, "imitation")),
            judged(f"{name}: constraints met above sft, out of distribution", partial(gain, OUT, "sft", "constraint")),
            judged(f"{name}: less diverse per prompt than sft (distinct-2)", partial(_loss, seeds, name, "distinct2")),
            judged(f"{name}: lower entropy than sft (nats an answer)", partial(_loss, seeds, name, "entropy")),
        ]  # fmt: skip
    return claims


def _gain(
    seeds: Sequence[Seed], policy: str, axes: Sequence[str], below: str = "sft", name: str = "gold"
) -> Values:  # fmt: skip
    return minus(of(seeds, policy, name, axes), of(seeds, below, name, axes))


def _loss(seeds: Sequence[Seed], policy: str, name: str) -> Values:
    """How much less of a figure a policy has than sft, in distribution."""
    return minus(of(seeds, "sft", name), of(seeds, policy, name))


def overoptimises(seeds: Sequence[Seed]) -> list[Claim]:
    """Gao et al. 2023 (arXiv 2210.10760)."""

    def path(name: str, a: int, b: int) -> Values:
        rows = [_result(seed, "hacking")[name] for seed in seeds]
        return minus([row[b] for row in rows], [row[a] for row in rows])

    def peak(seed: Seed) -> int:
        golds = [mean(v) for v in _result(seed, "hacking")["gold"]]
        return golds.index(max(golds))

    def fall() -> Values:
        rows = [(_result(seed, "hacking")["gold"], peak(seed)) for seed in seeds]
        return minus([golds[top] for golds, top in rows], [golds[-1] for golds, _ in rows])

    def curve(what: str, reward: str, low: int, high: int) -> Values:
        rows = [_result(seed, "best-of-n")["curves"][reward][what] for seed in seeds]
        return minus([r[str(high)] for r in rows], [r[str(low)] for r in rows])

    return [
        judged("weak reward, no KL term: proxy rises from first to last", lambda: path("proxy", 0, -1)),
        judged("weak reward, no KL term: gold falls from first to last", lambda: less(path("gold", 0, -1))),
        judged("weak reward, no KL term: gold falls from its peak (of the means, so never below 0)", fall),
        told("KL at the end (nats an answer)", lambda: [_result(s, "hacking")["kl"][-1] for s in seeds]),
        judged("weak reward, best-of-n: proxy still rises from 16 to 64", lambda: curve("proxy", "weak", 16, 64)),
        judged("weak reward, best-of-n: gold falls from 16 to 64", lambda: less(curve("gold", "weak", 16, 64))),
        judged("clean reward, best-of-n: gold rises from 16 to 64", lambda: curve("gold", "clean", 16, 64)),
    ]


def best_of_n(seeds: Sequence[Seed]) -> list[Claim]:
    """Dubois et al. 2023 (AlpacaFarm, arXiv 2305.14387); diversity: Kirk et al. 2024."""

    def best(n: int, reward: str = "clean") -> Values:
        return [_result(seed, "best-of-n")["curves"][reward]["gold"][str(n)] for seed in seeds]

    def diversity(name: str) -> Values:
        return [_result(seed, "best-of-n")["distinct2"][name] for seed in seeds]

    return [
        *[told(f"gold of best-of-{n} by the reward model (at most {math.log(n) - (n - 1) / n:.2f} nats)",
               partial(best, n)) for n in BEST],
        judged("best-of-16 above one draw", lambda: minus(best(16), best(1))),
        judged("best-of-16 above dpo", lambda: minus(best(16), of(seeds, "dpo", "gold"))),
        judged("best-of-16 above rloo", lambda: minus(best(16), of(seeds, "rloo", "gold"))),
        judged("best-of-16 less diverse than plain draws (distinct-2)",
               lambda: minus(diversity("1"), diversity("clean"))),
        judged("best-of-16 more diverse than rloo (distinct-2)",
               lambda: minus(diversity("clean"), of(seeds, "rloo", "distinct2"))),
    ]  # fmt: skip


def fact_tuning(seeds: Sequence[Seed]) -> list[Claim]:
    """Tian et al. 2023 (arXiv 2311.08401)."""

    def facts(name: str) -> Values:
        rows = [_result(seed, "fact-tuning")["facts"] for seed in seeds]
        return minus([r["tuned"][name] for r in rows], [r["sft"][name] for r in rows])

    return [
        judged("fewer made-up facts", lambda: less(facts("wrong"))),
        judged("more right facts (fewer would be a price)", lambda: facts("right")),
        judged("declines more often", lambda: facts("declined")),
        told("made-up before", lambda: [_result(s, "fact-tuning")["facts"]["sft"]["wrong"] for s in seeds]),
        told("right before", lambda: [_result(s, "fact-tuning")["facts"]["sft"]["right"] for s in seeds]),
    ]


def noise(seeds: Sequence[Seed]) -> list[Claim]:
    """Chowdhury et al. 2024 (robust DPO, arXiv 2403.00409)."""
    claims = []
    for flip in NOISE:
        plain = f"dpo at {flip}"
        claims.append(told(f"{plain}: gold above sft", partial(_gain, seeds, plain, ("iid",))))
        for loss in ("robust", "cdpo"):
            aware = f"{loss} at {flip}"
            claims.append(judged(f"{aware}: gold above plain DPO", partial(_gain, seeds, aware, ("iid",), plain)))
    long = "dpo at 0.4, 3 epochs"
    return [
        *claims,
        judged("robust at 0.4, 3 epochs: gold above plain DPO",
               partial(_gain, seeds, "robust at 0.4, 3 epochs", ("iid",), long)),
        judged("plain DPO at 0.4 loses gold by three epochs instead of one",
               partial(_gain, seeds, "dpo at 0.4", ("iid",), long)),
    ]  # fmt: skip


def lists(seeds: Sequence[Seed]) -> list[Claim]:
    """Liu et al. 2024 (LiPO, arXiv 2402.01878). The same lists, once as lists and once as all their pairs."""
    return [
        judged(f"{loss}: gold above all pairs of the same lists, {where}",
               partial(_gain, seeds, f"lists: {loss}", axes, "lists: pairs"))
        for loss in ("lambda", "list_mle") for where, axes in (("in distribution", ("iid",)), ("out of it", OUT))
    ]  # fmt: skip


def weak_to_strong(seeds: Sequence[Seed]) -> list[Claim]:
    """Burns et al. 2023 (arXiv 2312.09390)."""

    def accuracy(name: str) -> Values:
        return [_result(seed, "weak-to-strong")["accuracy"][name] for seed in seeds]

    def recovered() -> Values:
        """(w2s - weak) / (ceiling - weak) of the means over all seeds: a ratio of small numbers has no mean."""
        weak, strong, top = (mean([mean(v) for v in accuracy(n)]) for n in ("weak", "strong", "ceiling"))
        if top - weak < 0.02:
            raise Missing("a gap that could be recovered")
        return [[(strong - weak) / (top - weak)]]

    return [
        told("share of the student's labels that are right",
             lambda: [[_result(seed, "weak-to-strong")["labels right"]] for seed in seeds]),
        *[told(f"accuracy in gold's order: {name}", partial(accuracy, name)) for name in ("weak", "strong", "ceiling")],
        judged("there is a gap: ceiling above weak", lambda: minus(accuracy("ceiling"), accuracy("weak"))),
        judged("the student is above its teacher", lambda: minus(accuracy("strong"), accuracy("weak"))),
        told("share of the gap that is recovered", recovered),
    ]  # fmt: skip


QUESTIONS: Mapping[str, Callable[[Sequence[Seed]], list[Claim]]] = {
    "Does RLHF generalise better out of distribution than SFT, and lower diversity within a prompt?": generalises,
    "Does the proxy reward keep rising while gold turns over?": overoptimises,
    "Is best-of-n a strong baseline, and what does it do to diversity?": best_of_n,
    "Does fact-tuning lower hallucination without fewer right facts?": fact_tuning,
    "Does noise-aware DPO beat plain DPO at 25-40% label noise?": noise,
    "Is list-wise at least pairwise with ranked lists?": lists,
    "Does weak-to-strong recover part of the gap?": weak_to_strong,
}


def gated(seeds: Sequence[Seed]) -> list[dict[str, Any]]:
    """What must hold before differences mean anything, of each seed: the checkpoints' own gates, then that the reward
    model is better than chance, that DPO moves the policy but not far, that choosing among draws pays."""
    found = []
    for seed in seeds:
        rows: list[dict[str, Any]] = list(seed.results.get("gates", {}).get("gates", []))
        for name, bound, low, high, value in (
            ("reward accuracy, gold's order", ">= 0.65", 0.65, 1.0, partial(_accuracy, seed)),
            ("dpo, gold gained", ">= 0.8", 0.8, math.inf, partial(_dpo, seed, "gold")),
            ("dpo, KL in nats", "< 3", 0.0, 3.0, partial(_dpo, seed, "kl")),
            ("best-of-16 above one draw", "> 0", 0.0, math.inf, partial(_best_of_16, seed)),
        ):
            try:
                rows.append({"name": name, "value": round(x := value(), 3), "bound": bound, "holds": low <= x <= high})
            except Missing:
                continue
        found += [{"seed": seed.seed, **row} for row in rows]
    return found


def _accuracy(seed: Seed) -> float:
    return mean(_result(seed, "reward models")["accuracy"]["clean"])


def _dpo(seed: Seed, name: str) -> float:
    after, before = (mean(of([seed], policy, name)[0]) for policy in ("dpo", "sft"))
    return after - before


def _best_of_16(seed: Seed) -> float:
    curve = _result(seed, "best-of-n")["curves"]["clean"]["gold"]
    return mean(curve["16"]) - mean(curve["1"])


def table(seeds: Sequence[Seed]) -> dict[str, dict[str, Any]]:
    """Every policy's figures, in and out of distribution; reward models' accuracies."""
    names = ("gold", "constraint", "facts", "words", "distinct2", "kl", "entropy")
    found: dict[str, dict[str, Any]] = {}
    for policy in POLICIES:
        try:
            found[policy] = {
                f"{name}, {where}": figure(of(seeds, policy, name, axes))
                for name in names
                for where, axes in (("in", ("iid",)), ("out", OUT))
            }
        except Missing:
            continue
    try:
        rows = [_result(seed, "reward models")["accuracy"] for seed in seeds]
        found["reward models"] = {name: figure([row[name] for row in rows]) for name in rows[0]}
    except Missing:
        pass
    return found
