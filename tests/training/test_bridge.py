"""--engine trl: the same recipe, the same losses, the same folder; what TRL has not is refused by name."""

import json
import math
from pathlib import Path

import pytest
from checkpoints import TEMPLATE

from evalsuite import api
from evalsuite.cli import main
from evalsuite.training import methods, recipes, trl_arguments, trl_bridge
from evalsuite.training.log import read as read_log
from evalsuite.training.run import configured

pytest.importorskip("trl", minversion="1.16")

PAIRS = [
    {"prompt": f"Say {i}", "chosen": f"It is {i}" + " indeed" * (i % 3), "rejected": f"I will not say {i}"}
    for i in range(8)
]
LINES = {
    "sft": [{"prompt": r["prompt"], "completion": r["chosen"]} for r in PAIRS],
    "dpo": PAIRS,
    "reward": PAIRS,
    "kto": [{"prompt": r["prompt"], "completion": r["chosen"], "label": i % 2 == 0} for i, r in enumerate(PAIRS)],
    "grpo": [{"prompt": r["prompt"]} for r in PAIRS],
    "rloo": [{"prompt": r["prompt"]} for r in PAIRS],
}
TALKS = [
    [{"role": who, "content": text} for who, text in
     (("user", "Hello"), ("assistant", "Good day"), ("user", r["prompt"]), ("assistant", r["chosen"]))]
    for r in PAIRS
]  # fmt: skip
ONLINE = ("num_generations=4", "max_completion_length=6")
PLAIN = ("learning_rate=1e-3", "warmup_ratio=0", "lr_scheduler_type=constant", "logging_steps=1", "dtype=float32")


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("reward") / "rewards.py"
    path.write_text(
        "def short(prompts, completions, **rest):\n    return [-len(c[0]['content']) / 10 for c in completions]\n"
    )
    return f"{path}:short"


def train(method: str, model: Path, folder: Path, name: str, *more: str) -> Path:
    data, template = folder / f"{method}.jsonl", folder / "template.jinja"
    data.write_text("".join(json.dumps(row) + "\n" for row in LINES[method]))
    # Nothing behind the end mark: TRL would learn that too.
    template.write_text(TEMPLATE.replace("<|end|>\n", "<|end|>"))
    out = folder / name
    words = ["train", method, "--model", str(model), "--data", str(data), "--out", str(out), *PLAIN]
    assert main([*words, "--template", str(template), *more]) == 0
    return out


@pytest.mark.parametrize("method", ["sft", "dpo", "reward"])
def test_both_engines_make_the_same_steps(tiny, tmp_path, method) -> None:
    """All rows in each step, so that order does not matter; weight decay 0, no warm-up: AdamW on the same losses."""
    more = ("max_steps=4", "per_device_train_batch_size=8")
    mine = read_log(train(method, tiny, tmp_path, "own", *more))
    theirs = read_log(train(method, tiny, tmp_path, "trl", *more, "--engine", "trl"))
    assert [row["step"] for row in theirs] == [1, 2, 3, 4]
    assert [row["loss"] for row in theirs] == pytest.approx([row["loss"] for row in mine], abs=2e-4)
    assert mine[3]["loss"] < mine[0]["loss"] - 0.01
    for figure in ("margin", "accuracy") if method != "sft" else ("grad_norm",):
        assert theirs[1][figure] == pytest.approx(mine[1][figure], rel=1e-2, abs=1e-4), figure


def test_both_engines_learn_all_answers_of_a_conversation(tiny, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(LINES, "sft", [{"messages": talk} for talk in TALKS])
    more = ("max_steps=2", "per_device_train_batch_size=8", "turns=all")
    mine = read_log(train("sft", tiny, tmp_path, "own", *more))
    theirs = read_log(train("sft", tiny, tmp_path, "trl", *more, "--engine", "trl"))
    assert [row["loss"] for row in theirs] == pytest.approx([row["loss"] for row in mine], abs=2e-4)


@pytest.mark.parametrize("method", list(LINES))
def test_the_folder_is_what_our_loop_writes_and_runs(tiny, tmp_path, capsys, judge, method) -> None:
    more = ("--reward", judge, *ONLINE) if method in ("grpo", "rloo") else ()
    own = train(method, tiny, tmp_path, "own", "max_steps=2", *more)
    out = train(method, tiny, tmp_path, "trl", "max_steps=2", "--engine", "trl", *more)
    captured = capsys.readouterr()
    assert trl_bridge.QUIET in captured.err
    assert captured.out.count("\n") == 2, "one line for each training, and none of TRL's"
    assert {p.name for p in out.iterdir()} == {p.name for p in own.iterdir()}
    mine, theirs = (json.loads((folder / "training.json").read_text()) for folder in (own, out))
    assert {k: mine[k] for k in ("config", "settings", "model", "data")} == {
        k: theirs[k] for k in ("config", "settings", "model", "data")
    }
    assert theirs["engine"]["name"] == "trl"
    assert {"step", "loss", "learning_rate", "grad_norm", "seconds"} <= set(read_log(out)[-1])
    if more:
        assert {"reward", "length", "entropy"} <= set(read_log(out)[-1])
    task = "plain_pairs@reward" if method == "reward" else "plain_facts"
    found = api.run(str(out), task, store_dir=tmp_path / "store", limit=2, max_tokens=4)
    assert found.manifest["model"]["lineage"]["method"] == method


def test_lora_begins_at_the_reference_and_writes_an_adapter(tiny, tmp_path) -> None:
    out = train("dpo", tiny, tmp_path, "trl", "max_steps=3", "lora_r=4", "--engine", "trl")
    assert read_log(out)[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert (out / "adapter_config.json").is_file()
    assert not (out / "model.safetensors").exists()
    found = api.run(str(out), "plain_facts", store_dir=tmp_path / "store", limit=2, max_tokens=4)
    assert found.manifest["model"]["lineage"]["method"] == "dpo"


def test_nothing_is_sent(tiny, tmp_path, monkeypatch) -> None:
    import huggingface_hub.constants as hub

    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setattr(hub, "HF_HUB_DISABLE_TELEMETRY", False)
    trl_bridge._trl()
    assert hub.HF_HUB_DISABLE_TELEMETRY
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    monkeypatch.setattr(hub, "HF_HUB_DISABLE_TELEMETRY", False)
    trl_bridge._trl()
    assert not hub.HF_HUB_DISABLE_TELEMETRY, "the user asked for it"


@pytest.mark.parametrize("name", [n for n in recipes.names() if n.partition("/")[0] in trl_bridge.BRIDGED])
def test_our_recipes_cross_the_bridge(name) -> None:
    method = name.partition("/")[0]
    module = methods.find(method)
    config, settings = configured(module, recipes.read(name, method), method)
    knobs = trl_arguments.arguments(trl_bridge.BRIDGED[method], config, module.Config())
    import trl

    known = getattr(trl, f"{trl_bridge.BRIDGED[method].trainer}Config").__dataclass_fields__
    assert set(knobs) | set(trl_arguments.shared(settings, trl_bridge.BRIDGED[method].trainer)) <= set(known)


def test_rows_of_one_id_keep_their_own_targets(tmp_path) -> None:
    from evalsuite.training import data

    (path := tmp_path / "prompts.jsonl").write_text(
        "".join(
            json.dumps({"id": "same", "prompt": p, "target": t}) + "\n" for p, t in (("1 + 1?", "2"), ("2 + 2?", "4"))
        )
    )
    rows = data.read(str(path), "prompts")
    table = trl_bridge.table(rows, [], "grpo")
    reward = trl_bridge.rewarded(lambda asked, _: [float(row.metadata["target"]) for row in asked], rows, 0.0, (0,))
    said = [[{"role": "assistant", "content": "4"}]] * 2
    assert reward(said, [[0]] * 2, **{name: table[name] for name in table.column_names}) == [2.0, 4.0]


def test_a_rollout_engine_is_trls_own() -> None:
    for method in ("grpo", "rloo"):
        config = methods.find(method).Config
        for engine, wanted in (("vllm", True), ("hf", None)):
            found = trl_arguments.arguments(trl_bridge.BRIDGED[method], config(rollout_engine=engine), config())
            assert found.get("use_vllm") == wanted


BAD = [
    ("listwise", (), "has no listwise; it has sft, reward, dpo, kto, grpo, rloo"),
    ("dpo", ("loss_type=simpo",), "loss_type=simpo: TRL's DPOTrainer has it not"),
    ("reward", ("flip_rate=0.1",), "flip_rate=0.1: TRL's RewardTrainer has it not"),
    ("grpo", ("kl=k2",), "kl=k2: TRL's GRPOTrainer has it not"),
    ("rloo", ("reference=round",), "reference=round: TRL's RLOOTrainer has it not"),
    ("grpo", (), "needs --reward"),
    ("sft", ("--template", "raw"), "needs a tokenizer with a chat template"),
]


@pytest.mark.parametrize(("method", "more", "said"), BAD)
def test_what_trl_has_not_is_one_line(tiny, tmp_path, capsys, method, more, said) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in LINES.get(method, PAIRS)))
    words = ["train", method, "--model", str(tiny), "--data", str(data), "--out", str(tmp_path / "out")]
    assert main([*words, "--engine", "trl", *more]) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_no_number_stops_it(tiny, tmp_path, capsys) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    words = ["train", "dpo", "--model", str(tiny), "--data", str(data), "--out", str(tmp_path / "out"), *PLAIN]
    more = ("learning_rate=1e30", "max_grad_norm=1e30", "max_steps=6")
    assert main([*words, "--engine", "trl", *more]) != 0
    assert "lower learning_rate" in capsys.readouterr().err
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_stopped_training_goes_on(tiny, tmp_path, monkeypatch) -> None:
    from transformers import Trainer

    whole = train("sft", tiny, tmp_path, "whole", "max_steps=4", "save_steps=2", "--engine", "trl")
    original = Trainer._save_checkpoint

    def killed(self, *given, **named) -> None:
        original(self, *given, **named)
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_save_checkpoint", killed)
    data = ["--data", str(tmp_path / "sft.jsonl"), "--out", str(tmp_path / "cut"), "--template",
            str(tmp_path / "template.jinja"), *PLAIN, "max_steps=4", "save_steps=2", "--engine", "trl"]  # fmt: skip
    assert main(["train", "sft", "--model", str(tiny), *data]) == 3
    monkeypatch.setattr(Trainer, "_save_checkpoint", original)
    assert main(["train", "sft", "--model", str(tiny), *data]) == 2, "it must be asked to go on"
    assert main(["train", "sft", "--model", str(tiny), *data, "--resume"]) == 0
    rows = read_log(tmp_path / "cut")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in read_log(whole)], rel=1e-5)
