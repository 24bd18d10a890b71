"""PC2 with simulated annotators over the microworld's answers: which step helps, when it does not, and what it costs.

    python benchmarks/judging/pc2_microworld.py             # a few minutes on one core
    python benchmarks/judging/pc2_microworld.py --quick     # half a minute, fewer questions; not kept

Every figure goes through the real judges (`pointwise`, `pairwise`, `pc2` with its options) and `judge_cases`: the
simulated judge model (pc2_simulated.py) reads prompts and writes replies, slips included.

The noise model, written down before anything is measured. An answer y has eleven features; quality q_f(y) in [0, 1]
says how good feature f is, gold is Σ |w_f| q_f with the microworld's weights (length: 0). The judge's taste is |w_f|,
and `length_taste` for length, which is worth nothing.

What a pointwise score blurs:
* offset: each call has a shift of its own, N(0, `offset`²), on every quality that it sees: where its scale begins
* noise: each quality is seen with an error of its own, N(0, `noise`²)
* attention: each feature comes to mind with probability `prior`, in each call anew; what does not is not weighed
* rounding: a whole grade from 1 to 10

What written criteria fix: features come to mind once for a question, not once for an answer; each is graded from 1 to 5
and weighed by taste · exp N(0, `weighing`²), in whole numbers. Offset and noise stay.

What a comparison reveals: which features vary. One that differs among the texts shown by 0.25 or more is noticed with
probability `seen`, whatever it is worth (length too); one that does not differ falls to `prior` · (1 - `distraction`).
What all texts have in common, a fault too, is not revealed.

What a baseline fixes: the answer is seen beside it in one call, with one offset, and graded by the difference from the
baseline's recorded grade. The offset cancels; seeing the baseline again costs noise N(0, (`second_look` · `noise`)²).

Accuracy: share of pairs of contestants' answers to one question that the scores order as gold does, equal scores half,
pairs of equal gold left out. Intervals: bootstrap over questions.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from pc2_simulated import Answers, Noise, Simulated, Writer, answers, writers

RESULTS = Path(__file__).parent.parent / "results" / "judging_pc2.json"
PROTOCOLS: Mapping[str, Mapping[str, str] | None] = {
    "pointwise": None,
    "criteria only": {"auxiliaries": "0", "baseline": "no"},
    "pre-comparison": {"auxiliaries": "M", "baseline": "no"},
    "with baseline": {"auxiliaries": "M", "baseline": "yes"},
}
STEPS = list(zip(PROTOCOLS, list(PROTOCOLS)[1:], strict=False))
CONTESTANTS, AUXILIARIES = 6, 3
Found = dict[str, Any]
Scores = dict[tuple[str, str], float]


@dataclass(frozen=True)
class Setting:
    """One point of the sweep: a noise, and whose answers are compared ("diverse" models, draws of "one" model, or the
    "same" text several times); `pairwise` measures all pairs too."""

    name: str
    noise: Noise = field(default_factory=Noise)
    auxiliaries: int = AUXILIARIES
    compared: str = "diverse"
    pairwise: bool = False


def settings(quick: bool) -> list[Setting]:
    """The default, then one thing changed at a time; the regimes where pre-comparison cannot help are among them."""
    plain = Noise()
    made = [Setting("default", pairwise=True)]
    sweeps = {
        "offset": (0.0, 0.3, 0.5),
        "noise": (0.0, 0.1, 0.5),
        "prior": (0.15, 0.6, 1.0),
        "seen": (0.5,),
        "length_taste": (0.0, 4.0),
    }
    for figure, values in sweeps.items():
        made += [Setting(f"{figure} {v:g}", replace(plain, **{figure: v})) for v in values]
    made += [Setting(f"{m} auxiliaries", auxiliaries=m) for m in (1, 2, 5)]
    made += [Setting("auxiliaries of one model", compared="one"), Setting("the same answer thrice", compared="same")]
    made.append(Setting("a judge that thinks of everything", replace(plain, prior=1.0, distraction=0.0)))
    keep = ("default", "offset 0", "the same answer thrice", "a judge that thinks of everything")
    return [s for s in made if s.name in keep] if quick else made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer questions and settings, result not kept")
    parser.add_argument("--questions", type=int, default=0, metavar="N", help="default 400, quick 60")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    questions = args.questions or (60 if args.quick else 400)
    out = args.out or (Path(tempfile.mkdtemp()) / "judging_pc2.json" if args.quick else RESULTS)
    started = time.process_time()
    cast = Cast.of(args.seed)
    written = answers(questions, cast.everyone, args.seed)
    swept: dict[str, Found] = {}
    for setting in settings(args.quick):
        swept[setting.name] = measure(setting, written, cast, args.seed)
        show(setting.name, swept[setting.name])
    costs = count_calls(written, cast, args.seed)
    show_costs(costs)
    gates = judged(swept, costs)
    for gate in gates:
        print(f"{'holds' if gate['holds'] else 'FAILS'}  {gate['name']}")
    about = {
        "questions": questions,
        "contestants": CONTESTANTS,
        "seed": args.seed,
        "python": platform.python_version(),
        "cpu seconds": round(time.process_time() - started, 1),
        "noise": asdict(Noise()),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    result = {"about": about, "gates": gates, "settings": swept, "costs": costs}
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written: {out}")
    # So few questions cannot part the steps: a quick run shows that everything runs.
    return 0 if args.quick or all(gate["holds"] for gate in gates) else 1


@dataclass(frozen=True)
class Cast:
    """Who writes: contestants, five auxiliary models with habits of their own, and further draws of the first."""

    contestants: tuple[Writer, ...]
    diverse: tuple[Writer, ...]
    one: tuple[Writer, ...]

    @classmethod
    def of(cls, seed: int) -> "Cast":
        diverse = tuple(writers(5, "auxiliary", seed))
        draws = tuple(replace(diverse[0], name=f"{diverse[0].name}-draw-{i}") for i in range(4))
        return cls(tuple(writers(CONTESTANTS, "contestant", seed)), diverse, (diverse[0], *draws))

    @property
    def everyone(self) -> list[Writer]:
        return [*self.contestants, *self.diverse, *self.one[1:]]

    def compared(self, setting: Setting) -> list[str]:
        pool = {"diverse": self.diverse, "one": self.one, "same": (self.diverse[0],) * 5}[setting.compared]
        return [writer.name for writer in pool[: setting.auxiliaries]]


# --- accuracy ---


def measure(setting: Setting, written: Answers, cast: Cast, seed: int) -> Found:
    """Accuracy of each protocol, of pairwise, and the gain of each step, with intervals."""
    from evalsuite.judging import pc2
    from evalsuite.statistics import bootstrap

    names = [w.name for w in cast.contestants]
    right: dict[str, list[float]] = {}
    pairs = gold_pairs(written, names)
    clusters = [question for question, _, _, _ in pairs]
    about: Found = {}
    for protocol, options in PROTOCOLS.items():
        judge = Simulated(written, setting.noise, seed)
        rows = grade(
            protocol, options, setting, written.cases(names, cast.compared(setting), cast.diverse[0].name), judge
        )
        scores = {(r.sample, r.model_a): r.score for r in rows if r.score is not None}
        right[protocol] = [agreement(scores, pair) for pair in pairs]
        about[protocol] = {"missing": len(rows) - len(scores), "asked again": sum(judge.again.values())}
        if options is not None:
            found = pc2.report(rows)
            about[protocol] |= {
                "criteria": round(sum(len(r.details["weights"]) for r in rows if r.score is not None) / len(scores), 2),
                "own total disagrees": figure(found.disagreement),
                "weights normalised": figure(found.normalised),
            }
    if setting.pairwise:
        right["pairwise"] = pairwise(written, names, pairs, Simulated(written, setting.noise, seed))

    def interval(values: Sequence[float]) -> Found:
        return figure(bootstrap(values, clusters=clusters, resamples=2000, seed=seed))

    gains = {
        f"{after} over {before}": interval([a - b for a, b in zip(right[after], right[before], strict=True)])
        for before, after in STEPS
    }
    return {
        "pairs": len(pairs),
        "accuracy": {p: {**interval(values), **about.get(p, {})} for p, values in right.items()},
        "gains": gains,
    }


def grade(
    protocol: str, options: Mapping[str, str] | None, setting: Setting, cases: Sequence[Any], judge: Simulated
) -> list[Any]:
    """Annotations of one protocol, through the real judge."""
    from evalsuite.judging.asking import judge_cases
    from evalsuite.judging.judge import find

    if options is None:
        return judge_cases(cases, find(protocol), judge, "simulated")
    given = {k: v.replace("M", str(setting.auxiliaries)) for k, v in options.items()}
    return judge_cases(cases, find("pc2", given), judge, "simulated")


def gold_pairs(written: Answers, names: Sequence[str]) -> list[tuple[str, str, str, bool]]:
    """(question, first, second, whether the first is better) of all pairs with different gold."""
    found = []
    for number, ask in enumerate(written.asks):
        worth = {n: written.gold[ask.prompt, written.texts[number][n]] for n in names}
        for i, a in enumerate(names):
            found += [(f"q{number}", a, b, worth[a] > worth[b]) for b in names[i + 1 :] if worth[a] != worth[b]]
    return found


def agreement(scores: Scores, pair: tuple[str, str, str, bool]) -> float:
    """1, 0, or one half where the scores are equal or one is missing."""
    question, a, b, first = pair
    x, y = scores.get((question, a)), scores.get((question, b))
    if x is None or y is None or x == y:
        return 0.5
    return float((x > y) == first)


def pairwise(
    written: Answers, names: Sequence[str], pairs: Sequence[tuple[str, str, str, bool]], judge: Simulated
) -> list[float]:
    """Agreement of the pairwise judge, both orders, with gold."""
    from evalsuite.judging.asking import judge_cases
    from evalsuite.judging.judge import find
    from evalsuite.judging.summary import outcomes

    rows = judge_cases(written.pairs(names), find("pairwise"), judge, "simulated")
    said = {sample: outcome.preference for (_, sample, _), outcome in outcomes(rows).items()}
    found = []
    for question, a, b, first in pairs:
        preference = said.get(f"{question}|{a}|{b}")
        found.append(0.5 if preference in (None, 0.5) else float((preference > 0.5) == first))  # type: ignore[operator]
    return found


# --- calls and tokens ---


def count_calls(written: Answers, cast: Cast, seed: int) -> Found:
    """Calls and tokens of PC2 and of all pairs with 1 to 6 contestants, counted at the model; nothing asked again."""
    from evalsuite.judging import pc2

    tidy = replace(Noise(), form_slip=0.0)
    setting = Setting("calls", tidy)
    rows_by_models, last = [], []
    questions = len(written.asks)
    for models in range(1, CONTESTANTS + 1):
        names = [w.name for w in cast.contestants[:models]]
        ours, theirs = Simulated(written, tidy, seed), Simulated(written, tidy, seed)
        cases = written.cases(names, cast.compared(setting), cast.diverse[0].name)
        last = grade("with baseline", PROTOCOLS["with baseline"], setting, cases, ours)
        pairwise(written, names, [], theirs)
        rows_by_models.append(
            {
                "models": models,
                "pc2 calls": ours.calls.total(),
                "pc2 tokens": ours.tokens.total(),
                "pairwise calls": theirs.calls.total(),
                "pairwise tokens": theirs.tokens.total(),
            }
        )
    counted = rows_by_models[-1]
    pairs = questions * CONTESTANTS * (CONTESTANTS - 1) / 2
    found = pc2.report(last, pairwise_tokens=counted["pairwise tokens"] / pairs)
    linear = all(row["pc2 calls"] == sum(pc2.calls(questions, row["models"]).values()) for row in rows_by_models)
    return {
        "questions": questions,
        "by models": rows_by_models,
        "linear": linear,
        "tokens": {
            "shared by a question": round(found.cost.shared, 1),
            "a model": round(found.cost.per_model, 1),
            "a pair, both orders": round(found.cost.pairwise or 0, 1),
        },
        "break-even models": round(found.cost.break_even or 0, 2),
        "break-even models, one order": round(
            pc2.break_even((found.cost.pairwise or 0) / 2, found.cost.per_model, found.cost.shared), 2
        ),
        "published": {
            "saving at 8, 9, 10 models": [round(pc2.saving(n, 2027.05, 3479.80), 2) for n in (8, 9, 10)],
            "break-even models": round(pc2.break_even(2027.05, 3479.80), 2),
        },
    }


# --- telling ---


def figure(interval: Any) -> Found:
    """A figure with its interval, to four digits."""
    value, low, high = (None if v is None else round(v, 4) for v in (interval.value, interval.low, interval.high))
    return {"value": value, "low": low, "high": high, "n": interval.n}


def judged(swept: Mapping[str, Found], costs: Found) -> list[Found]:
    """What must show."""
    gains = {name: found["gains"] for name, found in swept.items()}
    step = "pre-comparison over criteria only"
    rates = swept["default"]["accuracy"]["with baseline"]
    made = [(f"default: {name} helps {text(gain)}", gain["low"] > 0) for name, gain in gains["default"].items()]
    for regime in ("the same answer thrice", "a judge that thinks of everything"):
        gain = gains[regime][step]
        made.append((f"{regime}: pre-comparison does not help {text(gain)}", gain["low"] <= 0))
    gain = gains["offset 0"]["with baseline over pre-comparison"]
    made.append((f"offset 0: the baseline does not help {text(gain)}", gain["low"] <= 0))
    for name, planted in (("own total disagrees", Noise().total_slip), ("weights normalised", Noise().weights_slip)):
        found = rates[name]
        made.append((f"{name}: {text(found)} covers the planted {planted:g}", found["low"] <= planted <= found["high"]))
    made.append(("calls are 2 for a question and 1 for a question and model", costs["linear"]))
    return [{"name": name, "holds": bool(holds)} for name, holds in made]


def text(found: Found) -> str:
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def show(name: str, found: Found) -> None:
    print(f"{name} ({found['pairs']} pairs)")
    for protocol, accuracy in found["accuracy"].items():
        print(
            f"  {protocol:15} {text(accuracy)}"
            + (f"  {accuracy['criteria']} criteria" if "criteria" in accuracy else "")
        )
    for step, gain in found["gains"].items():
        print(f"  {step:35} {text(gain)}")
    sys.stdout.flush()


def show_costs(costs: Found) -> None:
    print(f"calls for {costs['questions']} questions, counted at the model")
    for row in costs["by models"]:
        print("  " + ", ".join(f"{key} {value}" for key, value in row.items()))
    print(f"  tokens (words and marks): {costs['tokens']}")
    print(f"  break-even with all pairs in both orders at {costs['break-even models']} models, in one order at "
          f"{costs['break-even models, one order']}; published: {costs['published']}")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
