"""A training that is watched: evaluated as it goes, stopped by a gate, and none the worse for being looked at."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from evalsuite import api
from evalsuite.cli import main
from evalsuite.errors import InputError
from evalsuite.training import callbacks
from evalsuite.training.callbacks import Watch
from evalsuite.training.log import read as read_log

ROWS = [{"prompt": f"Say {i}", "completion": f"It is {i}"} for i in range(8)]
# Training teaches answers that begin with "It", and this task counts those that do not.
TASK = '''
"""Whether the answer begins otherwise."""
from evalsuite.records import Request, Sample, Sampling, Score, user

TASK = {"version": 1, "primary": "kept"}


def load(setup):
    for i in range(40):
        yield Sample(str(i), (user(f"Say {i}"),))


def prompt(sample):
    return [Request("generate", sample.messages, sampling=Sampling(max_tokens=4))]


def score(sample, completions):
    return {"kept": Score(float(not completions.text.startswith("It")))}
'''


@pytest.fixture
def store(tmp_path, plugin) -> Path:
    plugin("keeping", TASK)
    return tmp_path / "store"


def words(tiny, tmp_path, out, *more) -> list[str]:
    data = tmp_path / "sft.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return ["train", "sft", "--model", str(tiny), "--data", str(data), "--out", str(tmp_path / out),
            "learning_rate=5e-3", "dtype=float32", "logging_steps=1", "warmup_ratio=0", *more]  # fmt: skip


def spoken(tokens: Any, row: dict[str, str]) -> list[int]:
    """A row as the tiny model speaks it, cut to sixteen tokens."""
    turns = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
    return [tokens.bos_token_id, *tokens.apply_chat_template(turns, return_dict=False)][:16]


def test_our_loop_is_watched_and_goes_the_same_way(tiny, tmp_path, store) -> None:
    watched = ("--evaluate", "keeping", "eval_steps=2", "--evaluate-limit", "5", "--store", str(store))
    assert main(words(tiny, tmp_path, "alone", "max_steps=4")) == 0
    assert main(words(tiny, tmp_path, "watched", "max_steps=4", *watched)) == 0
    rows = callbacks.read(tmp_path / "watched")
    assert [(row["step"], row["run"], row["lost"]) for row in rows] == [
        (2, "watched-step-2", []), (4, "watched-step-4", [])
    ]  # fmt: skip
    assert set(rows[0]["figures"]) == {"keeping kept"}
    from evalsuite.store import open_run

    run = open_run(store, "watched-step-4")
    assert run.metrics[0].n == 5
    assert run.manifest["model"]["lineage"]["method"] == "sft"
    from safetensors.torch import load_file

    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("alone", "watched"))
    assert all(torch.equal(one[k], other[k]) for k in one), "looking changes nothing"


def test_a_gate_stops_our_loop(tiny, tmp_path, store) -> None:
    api.run(str(tiny), "keeping", store_dir=store, name="before", limit=40)
    more = (
        "--evaluate",
        "keeping",
        "eval_steps=10",
        "--stop-against",
        "before",
        "--margin",
        "5pt",
        "--store",
        str(store),
    )
    assert main(words(tiny, tmp_path, "out", "max_steps=60", *more)) == 0
    rows = callbacks.read(tmp_path / "out")
    assert rows[-1]["lost"] == ["keeping"]
    assert all(row["lost"] == [] for row in rows[:-1])
    assert read_log(tmp_path / "out")[-1]["step"] == rows[-1]["step"] < 60
    assert json.loads((tmp_path / "out" / "training.json").read_text())["steps"] == rows[-1]["step"]


def test_a_gate_stops_transformers_own_trainer(tiny, tmp_path, store, monkeypatch) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    api.run(str(tiny), "keeping", store_dir=store, name="before", limit=40)
    tokens, model = AutoTokenizer.from_pretrained(tiny), AutoModelForCausalLM.from_pretrained(tiny)
    rows = [{"input_ids": ids, "labels": ids} for ids in (spoken(tokens, row) for row in ROWS)]
    args = TrainingArguments(
        output_dir=str(tmp_path / "hf"), max_steps=80, learning_rate=5e-3, per_device_train_batch_size=1, use_cpu=True,
        report_to="none", save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    watch = Watch(["keeping"], 20, tmp_path / "watch", limit=40, store=store, against="before", margin="5pt")
    trainer = Trainer(model=model, args=args, train_dataset=rows, callbacks=[watch.callback(tokens)])
    trainer.train()
    seen = callbacks.read(tmp_path / "watch")
    assert seen[-1]["lost"] == ["keeping"]
    assert trainer.state.global_step == seen[-1]["step"] < 80
    assert model.training, "the trainer's mode is put back"
    assert not list(scratch.glob("evalsuite-watch-*"))


def test_a_gate_stops_a_loop_of_ones_own_on_accelerate(tiny, tmp_path, store) -> None:
    from accelerate import Accelerator
    from transformers import AutoModelForCausalLM, AutoTokenizer

    api.run(str(tiny), "keeping", store_dir=store, name="before", limit=40)
    tokens, accelerator = AutoTokenizer.from_pretrained(tiny), Accelerator(cpu=True)
    model = AutoModelForCausalLM.from_pretrained(tiny)
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters(), lr=5e-3))
    rows = [torch.tensor([spoken(tokens, row)]) for row in ROWS]
    watch = Watch(["keeping"], 20, tmp_path / "watch", limit=40, store=store, against="before", margin="5pt")
    called = watch.called(tokens)
    for step in range(1, 81):
        ids = rows[step % len(rows)]
        accelerator.backward(model(input_ids=ids, labels=ids).loss)
        optimizer.step()
        optimizer.zero_grad()
        if called(step, model):
            break
    seen = callbacks.read(tmp_path / "watch")
    assert seen[-1]["lost"] == ["keeping"]
    assert step == seen[-1]["step"] < 80


def test_a_gate_stops_trls_own_trainer(tiny, tmp_path, store) -> None:
    trl = pytest.importorskip("trl", minversion="1.16")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    api.run(str(tiny), "keeping", store_dir=store, name="before", limit=40)
    tokens = AutoTokenizer.from_pretrained(tiny)
    args = trl.SFTConfig(
        output_dir=str(tmp_path / "trl"), max_steps=80, learning_rate=5e-3, per_device_train_batch_size=1, use_cpu=True,
        report_to="none", save_strategy="no", disable_tqdm=True, bf16=False, gradient_checkpointing=False,
    )  # fmt: skip
    watch = Watch(["keeping"], 20, tmp_path / "watch", limit=40, store=store, against="before", margin="5pt")
    trainer = trl.SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny), args=args, processing_class=tokens,
        train_dataset=Dataset.from_list([{"input_ids": spoken(tokens, row)} for row in ROWS]),
        callbacks=[watch.callback(tokens)],
    )  # fmt: skip
    trainer.train()
    seen = callbacks.read(tmp_path / "watch")
    assert seen[-1]["lost"] == ["keeping"]
    assert trainer.state.global_step == seen[-1]["step"] < 80


def test_trls_trainer_is_watched(tiny, tmp_path, store) -> None:
    pytest.importorskip("trl", minversion="1.16")
    more = ("--engine", "trl", "--evaluate", "keeping", "eval_steps=1", "--evaluate-limit", "3", "--store", str(store))
    assert main(words(tiny, tmp_path, "out", "max_steps=2", *more)) == 0
    assert [row["step"] for row in callbacks.read(tmp_path / "out")] == [1, 2]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--evaluate", "keeping"), "eval_steps=N"),
        (("--evaluate", "keeping", "eval_steps=2", "--stop-against", "nobody"), "nobody"),
        (("--evaluate", "keeping", "eval_steps=2", "--margin", "much"), "--margin much"),
        (("--stop-against", "before"), "needs --evaluate"),
    ],
)
def test_what_cannot_be_watched_is_said_before_training(tiny, tmp_path, store, capsys, more, said) -> None:
    assert main([*words(tiny, tmp_path, "out"), *more, "--store", str(store)]) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_watch_refuses_early(tmp_path) -> None:
    with pytest.raises(InputError, match="margin"):
        Watch(["plain_facts"], 1, tmp_path, margin="-1pt")
    assert callbacks.read(tmp_path) == []
