"""Every method on a tiny checkpoint through the command; the laws that its card states."""

import json
from pathlib import Path

import pytest
import torch

from evalsuite.cli import main
from evalsuite.training import batching, methods
from evalsuite.training.contract import Item, Tokenised
from evalsuite.training.log import read as read_log

LINES = {
    "unpaired": [
        {"prompt": f"Say {i}", "completion": "yes" if i % 2 else "never", "label": bool(i % 2)} for i in range(16)
    ],
    "lists": [
        {"prompt": f"Say {i}", "responses": ["yes", "no", "maybe so"][: 2 + i % 2], "labels": [2, 0, 1][: 2 + i % 2]}
        for i in range(16)
    ],
    "pairs": [{"prompt": f"Say {i}", "chosen": "yes indeed", "rejected": "no"} for i in range(16)],
}
CASES = [
    ("kto", "unpaired", ()),
    ("listwise", "lists", ("loss_type=lambda",)),
    ("listwise", "lists", ("loss_type=list_mle",)),
    ("listwise", "lists", ("loss_type=softmax",)),
    ("listwise", "lists", ("loss_type=rrhf",)),
    ("chain-of-hindsight", "pairs", ()),
    *(("dpo", "pairs", (f"loss_type={kind}",)) for kind in ("ipo", "hinge", "simpo", "cpo", "orpo", "slic")),
]


@pytest.mark.parametrize(("method", "kind", "knobs"), CASES)
def test_it_trains(tiny, tmp_path, method, kind, knobs) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in LINES[kind]))
    words = ["train", method, "--model", str(tiny), "--data", str(data), "--out", str(tmp_path / "out"), *knobs]
    assert main([*words, "learning_rate=1e-3", "num_train_epochs=3", "logging_steps=1", "dtype=float32"]) == 0
    losses = [row["loss"] for row in read_log(tmp_path / "out")]
    assert losses[-1] < losses[0]


def test_every_method_has_a_card_and_knobs_with_defaults() -> None:
    for name, card in methods.cards().items():
        assert {"objective", "data", "source", "knobs", "reduces_to"} <= set(card), name
        assert isinstance(methods.knobs(name), dict)


def item(*lengths: int, labels: tuple[float, ...] = ()) -> Item:
    made = [Tokenised(tuple(range(3, 3 + n)), tuple(i >= 2 for i in range(n))) for n in lengths]
    return Item(tuple(made), labels)


@pytest.mark.parametrize("kind", ["list_mle", "softmax"])
def test_two_answers_in_a_list_are_dpo(kind) -> None:
    torch.manual_seed(0)
    batch = batching.collate([item(5, 7, labels=(1, 0)), item(4, 4, labels=(1, 0))], 0)
    logps, ref = torch.randn(4, 7) * batch.mask, torch.randn(4, 7) * batch.mask
    batch = type(batch)(**{**vars(batch), "ref": ref})
    lists, dpo = methods.find("listwise"), methods.find("dpo")
    found, _ = lists.loss(logps, batch, lists.Config(loss_type=kind, beta=0.3))
    wanted, _ = dpo.loss(logps, batch, dpo.Config(beta=0.3))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)


def test_shorter_lists_count_as_if_alone() -> None:
    torch.manual_seed(1)
    lists = methods.find("listwise")
    both = [item(5, 6, labels=(1, 0)), item(4, 5, 6, labels=(0, 2, 1))]
    whole = batching.collate(both, 0)
    logps = torch.randn(6, 6)
    for kind in ("lambda", "list_mle", "softmax", "rrhf"):
        config = lists.Config(loss_type=kind, alpha=0.0)
        together, _ = lists.loss(logps * whole.mask, type(whole)(**{**vars(whole), "ref": torch.zeros(6, 6)}), config)
        apart = []
        for b, one in enumerate(both):
            batch = batching.collate([one], 0)
            rows = [k * 2 + b for k in range(len(one.sequences))]
            own = logps[rows][:, : batch.ids.shape[1]] * batch.mask
            batch = type(batch)(**{**vars(batch), "ref": torch.zeros_like(own)})
            apart.append(lists.loss(own, batch, config)[0].item())
        assert together.item() == pytest.approx(sum(apart) / 2, rel=1e-5), kind


def test_merging_ends_are_exact_and_the_middle_is_between(tiny, tmp_path) -> None:
    from checkpoints import build
    from safetensors.torch import load_file

    other = build(tmp_path / "other", seed=7, max_position_embeddings=512)
    for c in ("0", "1", "0.25"):
        words = ["train", "merge", "--model", str(tiny), "--data", str(other), "--out", str(tmp_path / c)]
        assert main([*words, f"coefficient={c}"]) == 0
    a, b, low, high, middle = (
        load_file(Path(folder) / "model.safetensors")
        for folder in (tiny, other, tmp_path / "0", tmp_path / "1", tmp_path / "0.25")
    )
    assert all(torch.equal(a[k], low[k]) and torch.equal(b[k], high[k]) for k in a)
    assert all(torch.allclose(middle[k], 0.75 * a[k] + 0.25 * b[k], atol=1e-6) for k in a)


@pytest.mark.parametrize(
    ("change", "said"), [("beat=1", "beta"), ("beta=high", "a value like 0.1"), ("beta", "KEY=VALUE")]
)
def test_bad_knobs_name_the_right_ones(tiny, tmp_path, capsys, change, said) -> None:
    words = ["train", "dpo", "--model", str(tiny), "--data", "none", "--out", str(tmp_path / "out"), change]
    assert main(words) == 2
    assert said in capsys.readouterr().err
