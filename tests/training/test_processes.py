"""Several processes give the losses of one: plain data parallel, and FSDP with sharded weights (gloo, on CPUs)."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from evalsuite.training.log import read as read_log

FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
}


def rows_of(folder: Path, method: str) -> Path:
    rows = [
        {"prompt": f"Say {i}", "chosen": f"It is {i}" + " indeed" * (i % 4), "rejected": f"I will not say {i}"}
        for i in range(24)
    ]
    if method == "sft":
        rows = [{"prompt": r["prompt"], "completion": r["chosen"]} for r in rows]
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


def train(
    model: Path, data: Path, out: Path, processes: int, method: str, size: int | None = None, **more: str
) -> list[float]:
    """Losses of six steps of eight items; `size`: of a part (default: a process's whole share)."""
    part = size or 8 // processes
    words = ["train", method, "--model", str(model), "--data", str(data), "--out", str(out), "logging_steps=1"]
    words += [f"per_device_train_batch_size={part}", f"gradient_accumulation_steps={8 // processes // part}"]
    words += ["learning_rate=1e-3", "num_train_epochs=2"]
    launch = [sys.executable, "-m", "evalsuite"]
    if processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
        launch += ["--master_port", str(port), "-m", "evalsuite"]
    env = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", **more}
    done = subprocess.run([*launch, *words], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-20000:]
    rows = read_log(out)
    assert [row["step"] for row in rows] == list(range(1, 7)), "each step is told once"
    return [row["loss"] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_two_processes_are_one(tiny, tmp_path, method) -> None:
    data = rows_of(tmp_path, method)
    alone = train(tiny, data, tmp_path / "alone", 1, method)
    assert alone[-1] < alone[0]
    for name, how, more in (("parallel", "MULTI_CPU", {}), ("sharded", "FSDP", FSDP)):
        found = train(tiny, data, tmp_path / name, 2, method, **more)
        assert found == pytest.approx(alone, abs=1e-4), name
        assert json.loads((tmp_path / name / "training.json").read_text())["distributed"] == how
    assert_same_weights(tmp_path / "alone", tmp_path / "sharded")


def assert_same_weights(*folders: Path) -> None:
    from safetensors.torch import load_file

    one, many = (load_file(folder / "model.safetensors") for folder in folders)
    assert one.keys() == many.keys()
    assert max((one[k] - many[k]).abs().max().item() for k in one) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["2", "3"])
def test_two_processes_of_deepspeed_are_one(tiny, tmp_path, stage) -> None:
    """Parts of a step are two here. DeepSpeed compiles an extension at its first start: minutes."""
    pytest.importorskip("deepspeed")
    data = rows_of(tmp_path, "dpo")
    alone = train(tiny, data, tmp_path / "alone", 1, "dpo")
    zero = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": stage, "DS_ACCELERATOR": "cpu"}
    found = train(tiny, data, tmp_path / "zero", 2, "dpo", size=2, **zero)
    assert found == pytest.approx(alone, abs=1e-4)
    assert json.loads((tmp_path / "zero" / "training.json").read_text())["distributed"] == "DEEPSPEED"
    assert_same_weights(tmp_path / "alone", tmp_path / "zero")


def test_deepspeed_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalsuite.errors import InputError
    from evalsuite.training import launching
    from evalsuite.training.contract import Settings

    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    monkeypatch.setattr(launching, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install deepspeed"):
        launching.launched(Settings())
