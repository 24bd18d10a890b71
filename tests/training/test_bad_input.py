"""Input that cannot be trained on, through the command: one line that names file, row, field and how to mend it, with
nothing written; or, with --skip-bad, a count."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoints import build, tokenizer

from evalsuite import registry
from evalsuite.cli import main
from evalsuite.models import renderer, resolve
from evalsuite.training.log import read as read_log

GOOD: dict[str, dict[str, Any]] = {
    "sft": {"prompt": "a", "completion": "b c"},
    "dpo": {"prompt": "a", "chosen": "b c", "rejected": "d"},
    "reward": {"prompt": "a", "chosen": "b c", "rejected": "d"},
    "kto": {"prompt": "a", "completion": "b c", "label": True},
    "listwise": {"prompt": "a", "responses": ["b", "c"], "labels": [1, 0]},
    "weak-to-strong": {"prompt": "a", "completion": "b c", "label": True},
}
LONG = "long " * 900
BAD: list[tuple[str, dict[str, Any], str, str]] = [
    # columns
    ("sft", {"prompt": "a"}, "needs 'completion' or 'response' or 'chosen' (it has: prompt)", "needs 'completion'"),
    ("sft", {"completion": "a"}, "needs 'prompt', a text or a list of turns (it has: completion)", "needs 'prompt'"),
    ("sft", {"prompt": "a", "completion": 3}, "'completion' must be a text or one assistant turn", "'completion' must"),
    ("sft", {"messages": [{"role": "user", "content": "a"}]}, "'messages' does not end with the", "'messages' does"),
    ("sft", {"messages": [{"role": "user"}]}, "every turn needs 'role' and 'content'", "every turn"),
    ("dpo", {"prompt": "a", "chosen": "b"}, "no field 'rejected'", "no field 'rejected'"),
    ("kto", {"prompt": "a", "completion": "b"}, "needs 'label' (it has: prompt, completion)", "needs 'label'"),
    ("kto", GOOD["kto"] | {"label": "so-so"}, "'label' must be true (desirable) or false (so-so)", "'label' must"),
    ("listwise", {"prompt": "a", "responses": ["b"], "labels": [1]}, "two lists of equal length", "needs 'responses'"),
    ("listwise", GOOD["listwise"] | {"labels": [1, None]}, "'labels' is no number (None)", "'labels' is no number"),
    ("weak-to-strong", GOOD["kto"] | {"weak": 7}, "'weak' is no number from 0 to 1 (7)", "'weak' is no number"),
    # numbers of pairs
    ("reward", GOOD["dpo"] | {"margin": "wide"}, "'margin' is no number (wide)", "'margin' is no number"),
    ("reward", GOOD["dpo"] | {"margin": 1e999}, "'margin' is no number", "'margin' is no number"),
    ("dpo", GOOD["dpo"] | {"p": 1.5}, "'p' is no probability (1.5)", "'p' is no probability"),
    # answers
    ("sft", GOOD["sft"] | {"completion": " "}, "'completion' is empty; give it a text", "'completion' is empty"),
    ("dpo", GOOD["dpo"] | {"rejected": ""}, "'rejected' is empty; give it a text", "'rejected' is empty"),
    ("kto", GOOD["kto"] | {"completion": "\n"}, "'completion' is empty", "'completion' is empty"),
    ("listwise", GOOD["listwise"] | {"responses": ["b", ""]}, "'responses'[1] is empty", "'responses'[1] is empty"),
    ("dpo", GOOD["dpo"] | {"rejected": "b c"}, "'chosen' and 'rejected' are the same text; let", "'chosen'"),
    # prompts
    ("sft", GOOD["sft"] | {"prompt": LONG}, "tokens; the longest sequence is 512, by max_length or", "'prompt' leaves"),
    ("dpo", GOOD["dpo"] | {"prompt": LONG}, "'prompt' leaves no room for an answer (", "'prompt' leaves"),
    ("reward", GOOD["dpo"] | {"prompt": LONG}, "'prompt' leaves no room for an answer (", "'prompt' leaves"),
]  # fmt: skip


def words(method: str, model: Path, data: Path, out: Path, *more: str) -> list[str]:
    return ["train", method, "--model", str(model), "--data", str(data), "--out", str(out), "dtype=float32", *more]


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row).replace("Infinity", "1e999") + "\n" for row in rows))
    return path


@pytest.mark.parametrize(("method", "row", "said", "reason"), BAD)
def test_a_bad_row_is_one_line_and_leaves_nothing(tiny, tmp_path, capsys, method, row, said, reason) -> None:
    data = written(tmp_path / "data.jsonl", GOOD[method], GOOD[method], row)
    assert main(words(method, tiny, data, tmp_path / "out")) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("evalsuite:")]
    assert len(lines) == 1
    assert said in lines[0]
    assert f"{data}: row 3" in lines[0] or f"{data}: pair 3" in lines[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("method", "row", "said", "reason"), BAD)
def test_a_bad_row_is_counted_where_that_is_wanted(tiny, tmp_path, capsys, method, row, said, reason) -> None:
    data = written(tmp_path / "data.jsonl", *[GOOD[method]] * 3, row)
    assert main([*words(method, tiny, data, tmp_path / "out", "max_steps=1"), "--skip-bad", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data"]
    ((why, count),) = told["skipped"].items()
    assert why.startswith(reason)
    assert count == 1
    assert told["items"] == 3
    assert json.loads((tmp_path / "out" / "training.json").read_text())["data"]["skipped"] == {why: 1}


@pytest.mark.parametrize("loss", ["margin", "scaled", "weighted", "soft"])
def test_a_loss_asks_for_its_column(tiny, tmp_path, capsys, loss) -> None:
    column = {"margin": "margin", "scaled": "gap", "weighted": "weight", "soft": "p"}[loss]
    data = written(tmp_path / "data.jsonl", GOOD["dpo"] | {column: 0.5}, GOOD["dpo"])
    assert main(words("dpo", tiny, data, tmp_path / "out", f"loss_type={loss}")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert f"{data}: pair 2: needs '{column}', a number, with loss_type={loss}; add it" in error
    plain = words("dpo", tiny, data, tmp_path / "plain", "max_steps=1")
    assert main(plain) == 0, "a column that some rows have and no loss reads is in nobody's way"


def test_a_file_of_other_columns_names_them(tiny, tmp_path, capsys) -> None:
    data = written(tmp_path / "data.jsonl", {"question": "a", "reply": "b"})
    assert main(words("dpo", tiny, data, tmp_path / "out")) == 2
    assert f"{data}: not a shape of pairs that is known; its fields are question, reply" in capsys.readouterr().err
    (tmp_path / "broken.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt"\n')
    assert main(words("sft", tiny, tmp_path / "broken.jsonl", tmp_path / "out")) == 2
    assert "broken.jsonl:2: not JSON" in capsys.readouterr().err
    assert main(words("sft", tiny, tmp_path / "nothing.jsonl", tmp_path / "out")) == 2
    assert "no such file or folder" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_nothing_but_bad_rows_is_an_error_that_counts_them(tiny, tmp_path, capsys) -> None:
    data = written(tmp_path / "data.jsonl", *[GOOD["sft"] | {"completion": ""}] * 2, GOOD["sft"] | {"prompt": LONG})
    assert main([*words("sft", tiny, data, tmp_path / "out"), "--skip-bad"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        "no row can be trained on ('completion' is empty: 2 rows, 'prompt' leaves no room for an answer: 1 rows)"
        in error
    )


def test_prompts_that_leave_no_room_are_named_or_counted(tiny, tmp_path, capsys) -> None:
    reward = tmp_path / "reward.py"
    reward.write_text("def f(prompts, completions, **more):\n    return [float(len(c)) for c in completions]\n")
    data = written(tmp_path / "data.jsonl", {"prompt": "a"}, {"prompt": LONG}, {"text": "a"})
    more = ("--reward", f"{reward}:f", "max_completion_length=4", "max_steps=1", "per_device_train_batch_size=4",
            "num_generations=2")  # fmt: skip
    assert main(words("rloo", tiny, data, tmp_path / "out", *more)) == 2
    assert f"{data}: row 3: needs 'prompt'" in capsys.readouterr().err.splitlines()[-1]
    assert main([*words("rloo", tiny, data, tmp_path / "out", *more), "--skip-bad", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data"]["skipped"]
    assert told == {"needs 'prompt', a text or a list of turns": 1, "'prompt' leaves no room for an answer": 1}


def test_the_best_of_n_names_or_counts_prompts_longer_than_the_window(tiny, tmp_path, capsys) -> None:
    reward = tmp_path / "reward.py"
    reward.write_text("def f(prompts, completions, **more):\n    return [float(len(str(c))) for c in completions]\n")
    data = written(tmp_path / "data.jsonl", {"prompt": "a"}, {"prompt": LONG}, {"prompt": "b"})
    more = ("--reward", f"{reward}:f", "max_completion_length=4", "n=2")
    base = ["train", "best-of-n", "--model", str(tiny), "--data", str(data), "--out", str(tmp_path / "out"), *more]
    assert main(base) == 2
    assert f"{data}: row 2: 'prompt' leaves no room for an answer" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out" / "responses.jsonl").exists()
    assert main([*base, "--skip-bad", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["data"]["skipped"] == {"'prompt' leaves no room for an answer": 1}
    lines = (tmp_path / "out" / "responses.jsonl").read_text().splitlines()
    assert [json.loads(line)["messages"][0]["content"] for line in lines] == ["a", "b"]


def test_without_a_chat_template_it_says_so_and_speaks_as_run_does(tmp_path, capsys) -> None:
    plain = build(tmp_path / "plain", tokens=tokenizer(template=None), max_position_embeddings=512)
    data = written(tmp_path / "data.jsonl", *[GOOD["sft"]] * 4)
    assert main(words("sft", plain, data, tmp_path / "out", "max_steps=1")) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "chat template" in line]
    assert told == [
        f"--model {plain}: has no chat template; turns are learned as plain text, as `run` asks them "
        "(--template FILE gives it one)"
    ]
    assert json.loads((tmp_path / "out" / "training.json").read_text())["template"] == "raw"
    template = tmp_path / "mine.jinja"
    template.write_text("{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}")
    assert main([*words("sft", plain, data, tmp_path / "chat", "max_steps=1"), "--template", str(template)]) == 0
    assert "chat template" not in capsys.readouterr().err
    made = renderer(resolve(str(tmp_path / "chat")))
    assert made is not None
    assert made.template == template.read_text(), "the checkpoint brings the template that it was trained with"


def test_trl_needs_a_chat_template(tmp_path, capsys) -> None:
    pytest.importorskip("trl", reason="the train extra is not installed")
    pytest.importorskip("datasets", reason="the train extra is not installed")
    plain = build(tmp_path / "plain", tokens=tokenizer(template=None), max_position_embeddings=512)
    data = written(tmp_path / "data.jsonl", *[GOOD["sft"]] * 4)
    assert main([*words("sft", plain, data, tmp_path / "trl", "max_steps=1"), "--engine", "trl"]) == 2
    assert "needs a tokenizer with a chat template" in capsys.readouterr().err


def test_a_loss_that_is_no_number_names_step_and_rows(tiny, tmp_path, capsys) -> None:
    data = written(tmp_path / "data.jsonl", *[GOOD["dpo"]] * 16)
    wild = ("learning_rate=1e30", "num_train_epochs=9", "max_grad_norm=1e30", "warmup_ratio=0")
    assert main(words("dpo", tiny, data, tmp_path / "out", *wild)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("evalsuite: step ")
    assert "on the rows of id " in error
    assert "lower learning_rate" in error
    assert not (tmp_path / "out" / "config.json").exists()
    assert main([*words("dpo", tiny, data, tmp_path / "skip", *wild), "--skip-bad"]) == 2
    assert "5 times in a row; lower learning_rate" in capsys.readouterr().err
    assert not (tmp_path / "skip" / "config.json").exists()


PLUGIN = '''
"""sft whose loss is no number on the rows called "bad"."""
from evalsuite.training.methods import sft
from evalsuite.training.methods.sft import DATA, MODEL, Config, items, weight

CARD = {"objective": "nll", "data": "prompt, completion", "source": "ours", "knobs": {}, "reduces_to": []}


def loss(logps, batch, config):
    value, figures = sft.loss(logps, batch, config)
    return (value * float("nan") if "bad" in batch.rows else value), figures
'''


@pytest.fixture
def plugins() -> Iterator[None]:
    yield
    registry._plugins.clear()


def test_a_step_without_a_number_is_left_out_and_counted(tiny, tmp_path, capsys, plugins) -> None:
    (tmp_path / "mine" / "methods").mkdir(parents=True)
    (tmp_path / "mine" / "methods" / "fragile.py").write_text(PLUGIN)
    rows = [GOOD["sft"] | {"id": name} for name in ("a", "b", "bad", "c", "d", "e")]
    data = written(tmp_path / "data.jsonl", *rows)
    more = ("per_device_train_batch_size=1", "logging_steps=1", "--plugins", str(tmp_path / "mine"), "--json")
    assert main(words("fragile", tiny, data, tmp_path / "out", *more)) == 2
    assert "on the rows of id bad; lower learning_rate, mend the rows, or leave" in capsys.readouterr().err
    assert main([*words("fragile", tiny, data, tmp_path / "skip", *more), "--skip-bad"]) == 0
    card = json.loads((tmp_path / "skip" / "training.json").read_text())
    (left,) = card["steps_left_out"]
    assert card["steps"] == 6
    assert [row["step"] for row in read_log(tmp_path / "skip")] == [n for n in range(1, 7) if n != left]


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb"])
def test_a_tracker_that_is_absent_is_told_before_anything(tiny, tmp_path, capsys, monkeypatch, tracker) -> None:
    from evalsuite.training import log

    monkeypatch.setattr(log, "find_spec", lambda name: None)
    data = written(tmp_path / "data.jsonl", GOOD["sft"])
    assert main([*words("sft", tiny, data, tmp_path / "out"), "--log-to", tracker]) == 2
    assert f"--log-to {tracker}: not installed; pip install {tracker}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
