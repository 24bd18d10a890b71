"""Does the audit see biases that are known to be there? Planted position bias, length bias and noise, 50 draws.

    python benchmarks/judging/audit_calibration.py                # a minute; exit status 1 where coverage is below 90%
    python benchmarks/judging/audit_calibration.py --draws 500    # how far from 95% it really is

Pairs of the microworld's written answers, whose true (gold) rewards are known, are judged by the judge `reward` with
biases drawn anew for each draw; simulated people with tastes of their own vote on the same pairs. The audit gets the
verdicts and the votes, nothing else; its three 95% intervals are held against what was planted. Beside it: the same
on pairs whose better answers are longer ("confounded"), so that length is only told from quality by the votes; what
the length estimate does with the gold difference as its control (the best there is), with one vote for each pair, and
with none; and the estimators for verdicts in words, on letters drawn with the planted probability.

Writes results/judging_audit_calibration.json.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import process_time
from typing import Any

from evalsuite.judging import Annotation, Answer, Case, pair
from evalsuite.judging.audit.audit import audit
from evalsuite.judging.biases import length_bias, position_bias
from evalsuite.judging.planted import Planted, planted_rows
from evalsuite.microworld.annotators import constraints_of, crowd, prefers_first
from evalsuite.microworld.features import features
from evalsuite.microworld.items import items
from evalsuite.microworld.world import world_named
from evalsuite.records import user
from evalsuite.statistics import Interval, wilson

RESULTS = Path(__file__).parent.parent / "results" / "judging_audit_calibration.json"
WORLD, POOL, PEOPLE = "nano", 700, 20
SUBSETS = ("style", "constraint", "facts")
CONFOUNDED = "pairs/constraint"  # an answer that keeps every condition is longer, too
REQUIRED = {"position", "length", "noise"}


@dataclass(frozen=True)
class Pair:
    """Two written answers, in no order: their gold rewards, and for each person the chance to prefer the first."""

    case: Case
    gold: tuple[float, float]
    chances: tuple[float, ...]


@dataclass(frozen=True)
class Draw:
    """What was planted in one draw, and the pairs that were judged."""

    planted: Planted
    pairs: Sequence[Pair]
    seed: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=400, help="judged in each draw")
    parser.add_argument("--votes", type=int, default=3, help="people who vote on each pair")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    started = process_time()
    pool = make_pool()
    found: dict[str, list[dict[str, Any]]] = {}
    for number in range(args.draws):
        draw = make_draw(pool, args.pairs, f"{args.seed}:{number}")
        hard = make_draw([p for p in pool if p.case.task == CONFOUNDED], args.pairs, f"{args.seed}:{number}")
        made = {**estimates(draw, args.votes), **confounded(hard, args.votes)}
        for name, (truth, interval) in made.items():
            found.setdefault(name, []).append({"planted": truth, **asdict(interval)})
    covered = {name: coverage(rows) for name, rows in found.items()}
    show(covered, args)
    settings = {k: v for k, v in vars(args).items() if k != "out"} | {
        "world": WORLD,
        "pool": len(pool),
        "people": PEOPLE,
    }
    written = {"settings": settings, "cpu_s": round(process_time() - started, 1), "coverage": covered, "draws": found}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return 0 if all(covered[f"audit: {name}"]["share"] >= 0.9 for name in REQUIRED) else 1


def make_pool() -> list[Pair]:
    """Pairs that differ in style, in a constraint, or in a fact, the better one on either side."""
    world, people, rng = world_named(WORLD), crowd(0, people=PEOPLE), random.Random("calibration")
    entities = {e.name: e for e in world.people}
    pool = []
    for subset in SUBSETS:
        for row in items("pairs", subset, world, POOL):
            sides = [("chosen", row["gold"][0]), ("rejected", row["gold"][1])]
            rng.shuffle(sides)
            read = [features(row[side], entities[row["entity"]], constraints_of(row), world) for side, _ in sides]
            a, b = (Answer(row[side], model) for (side, _), model in zip(sides, ("one", "two"), strict=True))
            chances = [prefers_first(read[0], read[1], person.weights) for person in people]
            case = pair(row["id"], (user(row["prompt"]),), a, b, task=f"pairs/{subset}")
            if a.text != b.text:
                pool.append(Pair(case, (sides[0][1], sides[1][1]), tuple(chances)))
    return pool


def make_draw(pool: Sequence[Pair], n: int, seed: str) -> Draw:
    """Other pairs and other biases each time; a unit of length is the root mean square difference of these pairs."""
    rng = random.Random(f"draw:{seed}")
    pairs = rng.sample(list(pool), n)
    unit = (sum((len(p.case.a) - len(p.case.b)) ** 2 for p in pairs) / n) ** 0.5
    planted = Planted(
        temperature=rng.choice((0.5, 1.0, 2.0)),
        position_bias=rng.uniform(-1.5, 1.5),
        length_bias=rng.uniform(-1.0, 1.0),
        length_unit=unit,
        noise=rng.uniform(0.2, 1.5),
        seed=rng.randrange(1 << 30),
    )
    return Draw(planted, pairs, seed)


def estimates(draw: Draw, votes: int) -> dict[str, tuple[float, Interval]]:
    """By name: what was planted, and the interval for it."""
    planted = draw.planted
    judged = [(p.case, p.gold) for p in draw.pairs]
    rows = planted_rows(planted, judged)
    gold = {(p.case.task, p.case.id, "one", "two"): p.gold[0] - p.gold[1] for p in draw.pairs}
    logits = audit(rows, people_of(draw, votes)).logits
    words = replace(planted, noise=0.0, drawn=True)
    said = planted_rows(words, judged)
    return {
        "audit: position": (planted.position_bias, interval_of(logits["position"])),
        "audit: length": (planted.length_bias, interval_of(logits["length"])),
        "audit: noise": (planted.noise, interval_of(logits["noise"])),
        "length, gold as control": (planted.length_bias, length_bias(rows, gold=gold)),
        "length, one vote as control": (planted.length_bias, length_bias(rows, people_of(draw, 1))),
        "length, no control": (planted.length_bias, length_bias(rows)),
        "words: position": (words.position_bias, position_bias(said)),
        "words: length, gold as control": (words.length_bias, length_bias(said, gold=gold)),
    }


def confounded(draw: Draw, votes: int) -> dict[str, tuple[float, Interval]]:
    """Length alone: position and noise do not depend on what the pairs are."""
    rows, truth = planted_rows(draw.planted, [(p.case, p.gold) for p in draw.pairs]), draw.planted.length_bias
    found = {
        f"{votes} votes": length_bias(rows, people_of(draw, votes)),
        "one vote": length_bias(rows, people_of(draw, 1)),
    }
    found["no control"] = length_bias(rows)
    return {f"confounded: length, {name}": (truth, interval) for name, interval in found.items()}


def people_of(draw: Draw, votes: int) -> list[Annotation]:
    """One row for each vote: of `votes` people out of the crowd, drawn for each pair."""
    rng = random.Random(f"votes:{draw.seed}")
    base = Annotation("", "", "one", "two", "person", "", "", "", None, "parsed", mode="person")
    rows = []
    for p in draw.pairs:
        told = replace(base, sample=p.case.id, task=p.case.task, length_a=len(p.case.a), length_b=len(p.case.b))
        for person in rng.sample(range(PEOPLE), votes):
            vote = float(rng.random() < p.chances[person])
            rows.append(replace(told, judge_model=f"person-{person:02}", preference=vote))
    return rows


def interval_of(figure: Any) -> Interval:
    return Interval(figure.value, figure.low, figure.high, figure.n, figure.method)


def coverage(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How many intervals hold the planted value, how far off the estimates are, and how wide the intervals."""
    known = [r for r in rows if r["low"] is not None]
    hits = sum(r["low"] <= r["planted"] <= r["high"] for r in known)
    low, high = wilson(hits, len(rows))
    return {
        "covered": hits,
        "draws": len(rows),
        "share": hits / len(rows),
        "low": round(low, 3),
        "high": round(high, 3),
        "mean_error": mean_of([r["value"] - r["planted"] for r in known]),
        "mean_half_width": mean_of([(r["high"] - r["low"]) / 2 for r in known]),
    }


def mean_of(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def show(covered: dict[str, dict[str, Any]], args: argparse.Namespace) -> None:
    print(f"{args.draws} draws of {args.pairs} pairs, {args.votes} votes on each; 95% intervals")
    print(f"{'':34}covered          mean error   half width")
    for name, c in covered.items():
        share = f"{c['covered']}/{c['draws']} [{c['low']:.2f}, {c['high']:.2f}]"
        print(f"{name:34}{share:20}{c['mean_error']:+.4f}      {c['mean_half_width']:.4f}")


if __name__ == "__main__":
    sys.exit(main())
