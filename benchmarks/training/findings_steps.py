"""The steps of one seed: what is trained, what is measured (`STEPS`); `findings_ledger` keeps their results."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import findings_measure as measure
from findings_ledger import Seed, Step

from evalsuite.microworld import gates
from evalsuite.microworld.shapes import paired
from evalsuite.microworld.supply import Supply, rows_of, supply

BEST = (1, 2, 4, 8, 16, 32, 64)
NOISE = (0.25, 0.4)


# --- steps ---


def gate_step(seed: Seed) -> dict[str, Any]:
    """What base and sft must show before anything that comes of them is compared."""
    figures = gates.measure(seed.checkpoint("base"), seed.checkpoint("sft"), seed.world, 100)
    rows = rows_of(Supply("pairs", seed.plan.size, seed.seed, seed.plan.pairs))
    figures |= gates.measure_features(rows)
    found = gates.gates(figures, seed.plan.size)
    return {"gates": [{"name": g.name, "value": round(g.value, 3), "bound": g.bound, "holds": g.holds} for g in found]}


def policy(make: Callable[[Seed], Path], seed: Seed) -> dict[str, Any]:
    """A policy, made and measured on every axis."""
    folder = make(seed)
    return {"axes": measure.policy(folder, seed.checkpoint("sft"), seed.world, seed.plan.prompts)}


def dpo(loss: str, flip: float, epochs: int, seed: Seed) -> Path:
    smoothing = {"label_smoothing": flip} if loss != "sigmoid" else {}
    changes = {"loss_type": loss, **smoothing, **({"num_train_epochs": epochs} if epochs > 1 else {})}
    return seed.made("dpo", flip=flip, changes=changes)


def imitation(seed: Seed) -> Path:
    """SFT on the liked answers: what imitation makes of the labels that DPO is given."""
    wanted = Supply("completions", seed.plan.size, seed.seed, seed.plan.pairs, chosen=True)
    plain = {"max_steps": -1, "num_train_epochs": 1, "learning_rate": 1e-3}
    return seed.made("sft", model=_address(seed, "sft"), data=str(supply(wanted)), changes=plain)


def ranked(seed: Seed) -> list[dict[str, Any]]:
    return [dict(r) for r in rows_of(Supply("lists", seed.plan.size, seed.seed, seed.plan.lists))]


def listwise(loss: str, seed: Seed) -> Path:
    """Eight lists of four a step, once through."""
    changes = {"loss_type": loss, "per_device_train_batch_size": 8}
    return seed.made("listwise", rows=seed.plan.lists, changes=changes)


def pairwise(seed: Seed) -> Path:
    """DPO on all pairs of the same lists: as many steps, 48 pairs (eight lists') each."""
    data = seed.file("pairs-of-lists", lambda: paired(ranked(seed)))
    return seed.made("dpo", data=data, changes={"per_device_train_batch_size": 48})


def online(method: str, seed: Seed) -> Path:
    """As many rounds for each method; PPO goes through each round's answers twice."""
    steps = {"max_steps": seed.plan.online_steps}
    twice = {"num_iterations": 2, "max_steps": 2 * seed.plan.online_steps}
    changes = twice if method == "ppo" else steps
    return seed.made(method, rows=1500, reward=str(seed.clean_reward), changes=changes)


def reward_models(seed: Seed) -> dict[str, Any]:
    """Accuracy in gold's order on answers to fresh prompts."""
    asked, said = _heldout(seed)
    truth = measure.golds(seed.world, asked, said)
    models = {"clean": seed.clean_reward, "weak": seed.weak_reward,
              **{f"flip {flip}": seed.made("reward", flip=flip) for flip in NOISE}}  # fmt: skip
    return {"accuracy": {n: measure.accuracy(measure.scores(m, asked, said), truth) for n, m in models.items()}}


def best_of_n(seed: Seed) -> dict[str, Any]:
    """Curves of proxy and gold over n, and diversity of four draws of best-of-16 beside four plain draws."""
    from evalsuite.microworld.folders import load

    asked = measure.prompts(seed.world, "iid", seed.plan.prompts)
    said = measure.draws(*load(seed.checkpoint("sft")), asked, seed.plan.draws, seed=2)
    truth = measure.golds(seed.world, asked, said)
    found: dict[str, Any] = {"curves": {}, "distinct2": {"1": measure.distinct2([texts[:4] for texts in said])}}
    for name, proxy in (
        ("clean", measure.scores(seed.clean_reward, asked, said)),
        ("weak", measure.scores(seed.weak_reward, asked, said)),
        ("gold", truth),
    ):
        found["curves"][name] = {
            what: {str(n): [measure.best_of(v, p, n) for v, p in zip(values, proxy, strict=True)] for n in BEST}
            for what, values in (("gold", truth), ("proxy", proxy))
        }
        found["distinct2"][name] = measure.distinct2(measure.best_texts(said, proxy))
    return found


def hacking(seed: Seed) -> dict[str, Any]:
    """REINFORCE against the weak reward without a KL term, measured after every part. Each part starts where the last
    one ended; KL is measured against sft."""
    from evalsuite.microworld.folders import load

    parts, steps = seed.plan.hack
    asked = measure.prompts(seed.world, "iid", seed.plan.prompts)
    base, tok = load(seed.checkpoint("sft"))
    found: dict[str, Any] = {"steps": [], "proxy": [], "gold": [], "kl": [], "words": [], "distinct2": []}
    where = seed.checkpoint("sft")
    for part in range(parts + 1):
        if part:
            changes = {"beta": 0.0, "learning_rate": 3e-4, "lr_scheduler_type": "constant", "max_steps": steps,
                       "seed": 100 * seed.seed + part, "warmup_ratio": 0.0}  # fmt: skip
            where = seed.made("rloo", rows=1500, model=str(where), reward=str(seed.weak_reward), changes=changes)
        model = load(where)[0]
        said = measure.draws(model, tok, asked, 4, seed=3)
        drift = [measure.log_probabilities(m, tok, asked, said) for m in (model, base)]
        found["steps"].append(part * steps)
        found["proxy"].append([measure.mean(v) for v in measure.scores(seed.weak_reward, asked, said)])
        found["gold"].append([measure.mean(v) for v in measure.golds(seed.world, asked, said)])
        found["kl"].append(
            [measure.mean([a - b for a, b in zip(x, y, strict=True)]) for x, y in zip(*drift, strict=True)]
        )
        found["words"].append([measure.mean([len(t.split()) for t in texts]) for texts in said])
        found["distinct2"].append(measure.distinct2(said))
    return found


def fact_tuning(seed: Seed) -> dict[str, Any]:
    """DPO on pairs of the model's own answers ordered by truth; asked about other people than it was trained on."""
    data = seed.file("truth-pairs", lambda: measure.truth_pairs(seed.checkpoint("sft"), seed.world, 8))
    tuned = seed.made("dpo", data=data, changes={"num_train_epochs": 2})
    folders = {"sft": seed.checkpoint("sft"), "tuned": tuned}
    rows = len(Path(data).read_text(encoding="utf-8").splitlines())
    return {"pairs": rows, "facts": {name: measure.fact_figures(path, seed.world) for name, path in folders.items()}}


def weak_to_strong(seed: Seed) -> dict[str, Any]:
    """A weak judge (the first layer of sft) learns from a quarter of the pairs and labels the others; the whole model
    learns from its labels; its ceiling learns the same pairs from gold's. All are measured in gold's order on fresh
    prompts. No person's labels: the ceiling has no noise."""
    asked, said = _heldout(seed)
    truth = measure.golds(seed.world, asked, said)
    rows = [_in_golds_order(row) for row in rows_of(Supply("pairs", seed.plan.size, seed.seed, seed.plan.pairs))]
    first, second = rows[: len(rows) // 4], rows[len(rows) // 4 :]
    weak = seed.made("reward", model=str(_first_layer(seed)), data=seed.file("w2s-teach", lambda: first))
    texts = [[row["chosen"][0]["content"], row["rejected"][0]["content"]] for row in second]
    said_by_weak = measure.scores(weak, [row["prompt"][0]["content"] for row in second], texts)
    labelled = [row if a >= b else _swapped(row) for row, (a, b) in zip(second, said_by_weak, strict=True)]
    strong = seed.made("reward", data=seed.file("w2s-weak-labels", lambda: labelled))
    ceiling = seed.made("reward", data=seed.file("w2s-gold-labels", lambda: second))
    models = {"weak": weak, "strong": strong, "ceiling": ceiling}
    return {
        "labels right": measure.mean([float(a >= b) for a, b in said_by_weak]),
        "accuracy": {n: measure.accuracy(measure.scores(m, asked, said), truth) for n, m in models.items()},
    }


def _in_golds_order(row: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: row[key] for key in ("prompt", "chosen", "rejected")}
    return plain if row["gold"]["chosen"] >= row["gold"]["rejected"] else _swapped(plain)


def _swapped(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def _first_layer(seed: Seed) -> Path:
    """sft cut after its first layer, as a checkpoint of its own."""
    from evalsuite.microworld.folders import load
    from evalsuite.microworld.pretraining import save
    from evalsuite.records import Lineage

    out = seed.folder / "first-layer-of-sft"
    if not (out / "config.json").is_file():
        model, tok = load(seed.checkpoint("sft"))
        model.model.layers = model.model.layers[:1]
        model.config.num_hidden_layers = 1
        if getattr(model.config, "layer_types", None):
            model.config.layer_types = model.config.layer_types[:1]
        save(model, tok, out, Lineage(method="first layer", data="of sft"))
    return out


def _heldout(seed: Seed) -> tuple[list[str], list[list[str]]]:
    from evalsuite.microworld.folders import load

    path = Path(seed.file("heldout", lambda: [{"x": _draw_heldout(seed, load(seed.checkpoint("sft")))}]))
    rows = json.loads(path.read_text(encoding="utf-8"))["x"]
    return [row[0] for row in rows], [row[1] for row in rows]


def _draw_heldout(seed: Seed, loaded: tuple[Any, Any]) -> list[Any]:
    asked = measure.heldout_asks(seed.world, 500)
    return list(zip(asked, measure.draws(*loaded, asked, 2, seed=4), strict=True))


def _address(seed: Seed, name: str) -> str:
    return f"microworld:{seed.plan.size}/{name}@{seed.seed}"


POLICIES: Mapping[str, Callable[[Seed], Path]] = {
    "sft": lambda seed: seed.checkpoint("sft"),
    "imitation": imitation,
    "dpo": partial(dpo, "sigmoid", 0.0, 1),
    **{f"{name} at {flip}": partial(dpo, loss, flip, 1) for flip in NOISE
       for name, loss in (("dpo", "sigmoid"), ("cdpo", "cdpo"), ("robust", "robust"))},
    "dpo at 0.4, 3 epochs": partial(dpo, "sigmoid", 0.4, 3),
    "robust at 0.4, 3 epochs": partial(dpo, "robust", 0.4, 3),
    "lists: lambda": partial(listwise, "lambda"),
    "lists: list_mle": partial(listwise, "list_mle"),
    "lists: pairs": pairwise,
    "rloo": partial(online, "rloo"),
    "ppo": partial(online, "ppo"),
    "expert-iteration": partial(online, "expert-iteration"),
}  # fmt: skip
ONLINE = ("rloo", "ppo", "expert-iteration")
STEPS: Mapping[str, Step] = {
    "gates": gate_step,
    **{name: partial(policy, make) for name, make in POLICIES.items() if name not in ONLINE},
    "reward models": reward_models,
    "best-of-n": best_of_n,
    "fact-tuning": fact_tuning,
    "weak-to-strong": weak_to_strong,
    "rloo": partial(policy, POLICIES["rloo"]),
    "hacking": hacking,
    "ppo": partial(policy, POLICIES["ppo"]),
    "expert-iteration": partial(policy, POLICIES["expert-iteration"]),
}
"""In the order in which they are computed: what other steps need, and what is cheap, comes first."""
