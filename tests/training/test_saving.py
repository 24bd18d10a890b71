"""What lies in a folder when a training is killed while it saves: nothing that loads, or the whole checkpoint."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from evalsuite.cli import main
from evalsuite.errors import InputError
from evalsuite.models import resolve

# Trains once for each moment to be killed at: the process dies by SIGKILL at its Nth touch of a file under --out that
# is not the log. Forked, so that torch is loaded once.
DRILL = """
import os, pathlib, signal, sys
import torch, accelerate, transformers, evalsuite.training.run, evalsuite.training.trainer
from evalsuite.cli import main

root, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
main([*words, "--out", str(root / "warm")])


def touched(name, left):
    if name in ("shutil.rmtree", "os.rename", "os.mkdir"):
        return True
    return name == "open" and isinstance(left[1], str) and set(left[1]) & set("wxa")


for number in range(99):
    out = str(root / str(number))
    child = os.fork()
    if child == 0:
        count = [0]

        def watch(name, args):
            if name in ("open", "os.rename", "os.mkdir", "shutil.rmtree") and touched(name, args):
                if str(args[0]).startswith(out) and not str(args[0]).endswith(".jsonl"):
                    if count[0] == number:
                        os.kill(os.getpid(), signal.SIGKILL)
                    count[0] += 1

        sys.addaudithook(watch)
        os._exit(main([*words, "--out", out]))
    _, status = os.waitpid(child, 0)
    print(number, os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), flush=True)
    if not os.WIFSIGNALED(status):
        break
"""


def loaded(folder: Path) -> dict[str, torch.Tensor] | None:
    """The weights as anybody would load them; None where that is refused."""
    from transformers import AutoModelForCausalLM

    try:
        resolve(str(folder))
        return AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True).state_dict()
    except (InputError, OSError, ValueError):
        return None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_at_any_moment_of_saving_nothing_half_written_loads(tiny, tmp_path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"prompt": "a", "completion": "b c"}\n' * 4)
    words = ["train", "sft", "--model", str(tiny), "--data", str(data), "dtype=float32", "learning_rate=1e-3",
             "per_device_train_batch_size=2", "save_steps=1"]  # fmt: skip
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    wanted = loaded(tmp_path / "whole")
    assert wanted is not None
    done = subprocess.run(
        [sys.executable, "-c", DRILL, str(tmp_path), *words],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    ends = [tuple(map(int, line.split())) for line in done.stdout.splitlines() if line[:1].isdigit()]
    killed = [number for number, signal in ends if signal == 9]
    assert len(killed) >= 10, "many moments: the state's files, the checkpoint's, renames"
    assert ends[-1][1] == 0, "the last one lived"
    states = 0
    for number in killed:
        out = tmp_path / str(number)
        for folder in (out, *(path for path in out.rglob("*") if path.is_dir())) if out.exists() else ():
            found = loaded(folder)
            assert found is None or all(torch.equal(found[k], wanted[k]) for k in wanted), (number, folder)
        states += any(out.glob("state-*"))
    assert states >= 3, "some were killed with a state to go on from"
    broken = [number for number in killed if loaded(tmp_path / str(number)) is None]
    for number in (broken[len(broken) // 2], broken[-1]):
        resumed = [*words, "--out", str(tmp_path / str(number)), "--resume"]
        assert main(resumed) == 0
        found = loaded(tmp_path / str(number))
        assert found is not None
        assert all(torch.equal(found[k], wanted[k]) for k in wanted)
        left = {path.name for path in (tmp_path / str(number)).iterdir()}
        assert not {name for name in left if name.startswith((".", "state-"))}, "nothing lies about"


def test_a_folder_with_a_checkpoint_is_not_written_over(tiny, tmp_path, capsys) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"prompt": "a", "completion": "b c"}\n')
    before = (tiny / "config.json").read_bytes()
    assert main(["train", "sft", "--model", str(tiny), "--data", str(data), "--out", str(tiny)]) == 2
    assert "holds a checkpoint already; choose another folder" in capsys.readouterr().err
    assert (tiny / "config.json").read_bytes() == before
