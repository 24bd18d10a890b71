"""Embeddings of the `hf` backend against sentence-transformers and plain transformers."""

from pathlib import Path
from typing import Any

import pytest
from checkpoints import build, config, tokenizer

from evalsuite.backends.hf.backend import HFBackend
from evalsuite.errors import ModelError
from evalsuite.models import ModelOptions, Renderer, renderer, resolve
from evalsuite.planning import Options, Planner
from evalsuite.records import Completion, Request, user

TEXTS = [
    "The quick brown fox",
    "  Q: capital of France?\nA: Paris ",
    "x",
    "東京 and Москва",
    "Answer: eight legs. " * 4,
]
TOLERANCE = 1e-5


def engine(folder: Path, **args: str) -> tuple[HFBackend, Renderer]:
    model = resolve(str(folder), ModelOptions(args=args))
    made = renderer(model)
    assert made is not None
    return HFBackend(model, made), made


def embed(folder: Path, texts: list[str], **args: str) -> list[Completion]:
    """Through the plan: requests, units, backend."""
    backend, made = engine(folder, **args)
    planner = Planner(backend.model, made, Options())
    units = [unit for text in texts for unit in planner.plan(Request("embed", (user(text),))).units]
    assert len(units) == len(texts)
    found = backend.embed(units)
    assert backend.counts["prefill_tokens"] == backend.counts["forwarded_tokens"] > 0
    return found


def encoder(folder: Path, kind: str = "bert") -> Path:
    """An encoder without a head, and its tokenizer, which closes texts by [SEP]."""
    import torch
    from transformers import AutoModel, RobertaConfig

    tokens = tokenizer("wordpiece", template=None)
    settings = config("bert", len(tokens))
    if kind == "roberta":  # counts positions from its pad id on
        wide = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
        settings = RobertaConfig(
            vocab_size=len(tokens), pad_token_id=2, max_position_embeddings=66, initializer_range=0.4, **wide
        )
        tokens.model_max_length = 64
    torch.manual_seed(0)
    AutoModel.from_config(settings, dtype=torch.float32).save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def saved(folder: Path, inner: Path, pooling: Any, dense: bool = False, **more: Any) -> Any:
    """A sentence-transformers model over an encoder, saved as that library does."""
    library = pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")
    models = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    transformer = models.Transformer(str(inner), max_seq_length=24)
    width = 32 * (1 if isinstance(pooling, str) else len(pooling))
    modules: list[Any] = [transformer, models.Pooling(32, pooling_mode=pooling)]
    modules += [models.Dense(width, 12)] if dense else []
    made = library.SentenceTransformer(modules=[*modules, models.Normalize()], device="cpu", **more)
    made.save(str(folder))
    return made


def worst(answers: list[Completion], expected: Any) -> float:
    import torch

    found = torch.tensor([answer.embedding[0] for answer in answers])
    assert found.shape == expected.shape
    return float((found - torch.as_tensor(expected)).abs().max())


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken", "max", "weightedmean", ("cls", "mean")], ids=str)
def test_equal_to_sentence_transformers(pooling: Any, kind: str, tmp_path: Path) -> None:
    expected = saved(tmp_path / "st", encoder(tmp_path / "inner", kind), pooling, dense=pooling == "mean")
    assert resolve(str(tmp_path / "st")).kinds == {"embed"}
    answers = embed(tmp_path / "st", TEXTS)
    apart = worst(answers, expected.encode(TEXTS, convert_to_numpy=True))
    print(f"{kind}, {pooling}: largest deviation {apart:.1e}")
    assert apart < TOLERANCE


def test_the_older_layout_and_its_spelling(tmp_path: Path) -> None:
    """Folders of 2021 say pooling_mode_mean_tokens, and sentence_transformers.models.Pooling."""
    import json

    expected = saved(tmp_path / "st", encoder(tmp_path / "inner"), "mean")
    old = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    (tmp_path / "st" / "1_Pooling" / "config.json").write_text(json.dumps(old))
    rows = json.loads((tmp_path / "st" / "modules.json").read_text())
    for row in rows:
        row["type"] = "sentence_transformers.models." + row["type"].rsplit(".", 1)[-1]
    (tmp_path / "st" / "modules.json").write_text(json.dumps(rows))
    assert worst(embed(tmp_path / "st", TEXTS), expected.encode(TEXTS)) < TOLERANCE


def test_a_prompt_stands_before_the_text(tmp_path: Path) -> None:
    prompts = {"query": "Question: ", "document": ""}
    expected = saved(tmp_path / "st", encoder(tmp_path / "inner"), "mean", prompts=prompts)
    found = worst(embed(tmp_path / "st", TEXTS, prompt="query"), expected.encode(TEXTS, prompt_name="query"))
    assert found < TOLERANCE
    assert worst(embed(tmp_path / "st", TEXTS), expected.encode(TEXTS)) < TOLERANCE
    with pytest.raises(ModelError, match=r"prompt=passage: .* has document, query"):
        embed(tmp_path / "st", TEXTS, prompt="passage")


def test_what_is_too_long_is_cut_and_counted(tmp_path: Path) -> None:
    long = "Question: how many legs has a spider? Answer: eight legs. " * 5
    expected = saved(tmp_path / "st", encoder(tmp_path / "inner"), "mean")
    answers = embed(tmp_path / "st", [long, "x"])
    assert [answer.finish_reason for answer in answers] == ["length", "stop"]
    assert answers[0].prompt_tokens == 24
    assert worst(answers, expected.encode([long, "x"])) < TOLERANCE


def test_recipes_that_are_not_understood_are_refused(tmp_path: Path) -> None:
    import json

    saved(tmp_path / "st", encoder(tmp_path / "inner"), "mean")
    file = tmp_path / "st" / "modules.json"
    rows = json.loads(file.read_text())
    file.write_text(json.dumps([*rows, {"idx": 9, "name": "9", "path": "9_CNN", "type": "x.CNN"}]))
    with pytest.raises(ModelError, match=r"the module CNN .9_CNN. is not supported"):
        resolve(str(tmp_path / "st"))


def test_the_fingerprint_covers_the_recipe(tmp_path: Path) -> None:
    saved(tmp_path / "st", encoder(tmp_path / "inner"), "mean", dense=True)
    before = resolve(str(tmp_path / "st")).fingerprint
    file = tmp_path / "st" / "1_Pooling" / "config.json"
    file.write_text(file.read_text().replace('"mean"', '"cls"'))
    assert resolve(str(tmp_path / "st")).fingerprint != before


@pytest.mark.parametrize("kind", ["bert", "llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("layer", ["-1", "1", "0"])
def test_hidden_states_equal_the_plain_computation(kind: str, layer: str, tmp_path: Path) -> None:
    """Each text alone, without padding or mask: the mean of a layer's states, and all of them."""
    import torch
    from transformers import AutoModel

    folder = encoder(tmp_path / "e") if kind == "bert" else build(tmp_path / kind, kind)
    _, made = engine(folder)
    net: Any = AutoModel.from_pretrained(str(folder), dtype=torch.float32).eval()
    answers = embed(folder, TEXTS, layer=layer)
    tokens = embed(folder, TEXTS, layer=layer, pooling="tokens", batch_size="2")
    last = embed(folder, TEXTS, layer=layer, pooling="last")
    for text, mean, each, end in zip(TEXTS, answers, tokens, last, strict=True):
        ids = made.conversation_ids([user(text)])
        with torch.no_grad():
            states = net(torch.tensor([ids]), output_hidden_states=True).hidden_states[int(layer)][0]
        assert torch.tensor(mean.embedding[0]).allclose(states.mean(0), atol=1e-4)
        assert torch.tensor(each.embedding).allclose(states, atol=1e-4)
        assert torch.tensor(end.embedding[0]).allclose(states[-1], atol=1e-4)
        assert (mean.prompt_tokens, mean.finish_reason) == (len(ids), "stop")


def test_options_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    folder = build(tmp_path / "tiny")
    for args, expected in (
        ({"layer": "3"}, "layer=3: .* has layers 0 to 2"),
        ({"layer": "x"}, "layer=x"),
        ({"pooling": "median"}, "pooling=median: known are cls, max"),
        ({"normalize": "maybe"}, "true or false"),
    ):
        with pytest.raises(ModelError, match=expected):
            embed(folder, ["x"], **args)
    assert sum(v * v for v in embed(folder, ["x"], normalize="true")[0].embedding[0]) == pytest.approx(1, abs=1e-5)


def test_the_batch_changes_nothing(tmp_path: Path) -> None:
    folder = encoder(tmp_path / "e")
    together, alone = embed(folder, TEXTS), [embed(folder, [text])[0] for text in TEXTS]
    gaps = [
        abs(a - b)
        for x, y in zip(together, alone, strict=True)
        for a, b in zip(x.embedding[0], y.embedding[0], strict=True)
    ]
    assert max(gaps) < TOLERANCE
