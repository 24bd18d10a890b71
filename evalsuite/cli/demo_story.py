"""The demo's story as data: which commands make its checkpoints, evaluate them, and in what order they may run.

    for step in steps(QUICK, store): print(step.name, *step.words)

base → sft → reward model → DPO, PPO, best-of-n, and a policy that is led astray by a weak reward; beside them a real
model as it is and told to admit ignorance. Every checkpoint answers the same questions, at temperature 1: what is told
is a policy, and best-of-n has no greedy answer.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evalsuite.cli.demo_lanes import Step
from evalsuite.cli.demo_measured import DIVERSITY, INSTRUCTIONS

HONEST = (
    "Answer in one short sentence. If you are not certain that something exists or that a fact is true, "
    "say that you do not know it, and add nothing."
)
ANSWER = 40  # tokens of the real model
DRAWS = 4  # answers to each of the diversity task's prompts
READ = (INSTRUCTIONS, "microworld_unknown", "microworld_facts/frequent", "microworld_facts/rare")
"""What best-of-n answers too (every prompt costs n draws), with `DIVERSITY`."""
TASKS = ("microworld_unknown", "microworld_facts", "microworld_instructions", "microworld_arithmetic", DIVERSITY)
TRAINED = ("dpo", "ppo", "rloo-weak")
RUNS = ("base", "sft", "dpo", "ppo", "best-of-n", "rloo-weak")


@dataclass(frozen=True)
class Story:
    """How much of everything. `questions`: of each task; `pairs`: for the reward model and for DPO; `rounds`: of
    PPO; `astray`: steps against the weak reward, which learns from `weak` pairs; `n`: draws of best-of-n. `model`: the
    real one."""

    size: str = "mini"
    model: str = "smollm2"
    questions: int = 200
    pairs: int = 4000
    rounds: int = 60
    weak: int = 400
    astray: int = 60
    n: int = 16


FULL = Story()
QUICK = replace(FULL, questions=100, pairs=2000, rounds=30, astray=30, n=8)


def steps(story: Story, store: Path) -> list[Step]:
    """In the order in which they should begin: what most others wait for first."""
    return [*_world(story), *_real(story, store), *_evaluations(story, store), *_best(story, store)]


def run_name(name: str) -> str:
    return f"demo/{name}"


def address(story: Story, name: str) -> str:
    """A checkpoint that has a name."""
    return f"microworld:{story.size}/{name}"


def _world(story: Story) -> list[Step]:
    """Everything that is trained."""
    built = [_build(story, "base"), _build(story, "sft", "base")]
    # DPO waits for the reward model only because both label the same drawn answers: one draws them.
    reward = _train(story, "reward", "reward", ("--rows", str(story.pairs)), "sft")
    noisy = ("--rows", str(story.weak), "--flip", "0.25", "--length-bias", "1", "num_train_epochs=6")
    weak = _train(story, "weak-reward", "reward", noisy, "sft")
    ppo = ("--reward", "{reward}", "num_iterations=2", f"max_steps={2 * story.rounds}", "logging_steps=2")
    free = ("--reward", "{weak-reward}", "beta=0", "learning_rate=3e-4", "lr_scheduler_type=constant",
            "warmup_ratio=0", f"max_steps={story.astray}", "logging_steps=1")  # fmt: skip
    return [
        *built,
        reward,
        _train(story, "ppo", "ppo", ppo),
        weak,
        _train(story, "rloo-weak", "rloo", free),
        _train(story, "dpo", "dpo", ("--rows", str(story.pairs)), "reward"),
    ]


def _build(story: Story, name: str, *after: str) -> Step:
    return Step(name, ("microworld", "build", f"{story.size}/{name}", "--threads", "1"), after)


def _train(story: Story, name: str, method: str, more: tuple[str, ...], *after: str) -> Step:
    return Step(name, ("microworld", "train", method, "--size", story.size, *more, "--threads", "1"), after)


def _real(story: Story, store: Path) -> list[Step]:
    """The real model as it is, and told to admit ignorance; its answers to open prompts judged in both orders by
    itself."""
    plain = ("run", story.model, "--suite", "taste", "--max-tokens", str(ANSWER))
    told = ("--system", HONEST, "--judge", "pairwise", "--judge-model", story.model, "--against", run_name("real"))
    return [
        Step("real", (*plain, *_kept("real", store))),
        Step("real-honest", (*plain, *told, *_kept("real-honest", store)), ("real",)),
    ]


def _evaluations(story: Story, store: Path) -> list[Step]:
    models = {"base": address(story, "base"), "sft": address(story, "sft"), **{n: f"{{{n}}}" for n in TRAINED}}
    return [Step(f"run {name}", _run(model, TASKS, name, story, store), (name,)) for name, model in models.items()]


def _run(model: str, tasks: tuple[str, ...], name: str, story: Story, store: Path) -> tuple[str, ...]:
    worlds = sorted({task.partition("/")[0] for task in tasks}) if story.size != "mini" else []
    data = [word for task in worlds for word in ("--data", f"{task}={story.size}")]
    return ("run", model, "--tasks", ",".join(tasks), "--limit", str(story.questions), "--gen", "temperature=1",
            *data, *_kept(name, store))  # fmt: skip


def _kept(name: str, store: Path) -> tuple[str, ...]:
    return ("--name", run_name(name), "--overwrite", "--store", str(store))


# --- best of n: the prompts of sft's evaluation, answered n times by sft, the best kept by the reward model ---


def _best(story: Story, store: Path) -> list[Step]:
    """Four trainings with four seeds, because one gives one answer a prompt and diversity needs four."""
    folder = store / "demo"
    asked = Step("prompts", after=("run sft",), make=lambda _: str(write_prompts(story, store, folder)))
    best = [
        Step(
            f"best-{seed}",
            ("train", "best-of-n", "--recipe", "best-of-n/microworld", "--model", address(story, "sft"),
             "--data", f"{{prompts}}/{'first' if seed == 0 else 'more'}.jsonl", "--reward", "{reward}",
             "--gold", f"gold:{story.size}@0", "--out", "{out}", f"n={story.n}", f"seed={seed}"),
        )
        for seed in range(DRAWS)
    ]  # fmt: skip
    names = tuple(step.name for step in best)
    joined = Step("answers", after=names, make=lambda found: str(join([Path(found[n]) for n in names], folder)))
    run = Step("run best-of-n", _run("responses:{answers}", (*READ, DIVERSITY), "best-of-n", story, store))
    return [asked, *best, joined, run]


def write_prompts(story: Story, store: Path, folder: Path) -> Path:
    """A folder with `first.jsonl`, every prompt that best-of-n is asked, and `more.jsonl`, those asked four times."""
    from evalsuite.data import fingerprint
    from evalsuite.store import open_run

    rows = open_run(store, run_name("sft")).samples()
    questions = {task: list(rows[rows["task"] == task]["question"]) for task in (*READ, DIVERSITY)}
    several = list(dict.fromkeys(questions[DIVERSITY]))
    first = list(dict.fromkeys([*several, *(q for task in READ for q in questions[task])]))
    out = folder / f"prompts-{fingerprint([first, several])[:12]}"
    for name, asked in (("first", first), ("more", several)):
        _write(out / f"{name}.jsonl", [{"prompt": question} for question in asked])
    return out


def join(folders: list[Path], folder: Path) -> Path:
    """The kept answers of several trainings as one file: the answers to one prompt are its repeats, in this order."""
    lines = [line for made in folders for line in (made / "responses.jsonl").read_text(encoding="utf-8").splitlines()]
    return _write(folder / "best-of-n.jsonl", [json.loads(line) for line in lines])


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
