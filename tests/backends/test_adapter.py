"""PEFT adapters as models, weights switched in place, layers spread over devices: the same figures as the plain way."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from checkpoints import build, tokenizer

from evalsuite.backends.hf.backend import HFBackend
from evalsuite.errors import ModelError
from evalsuite.models import Model, ModelOptions, Renderer, renderer, resolve
from evalsuite.records import Sampling, Unit, assistant, user

pytest.importorskip("peft", reason="peft is not installed")

TOLERANCE = 1e-4
TARGETS = ["q_proj", "v_proj", "down_proj"]


def adapter(folder: Path, base: Path, seed: int = 1, auto: str = "AutoModelForCausalLM", **settings: Any) -> Path:
    """A random adapter of a base, saved as peft does."""
    import peft
    import torch
    import transformers

    torch.manual_seed(seed)
    task = settings.pop("task_type", "CAUSAL_LM")
    more = {"num_labels": settings.pop("labels")} if "labels" in settings else {}
    net = getattr(transformers, auto).from_pretrained(str(base), dtype=torch.float32, **more)
    made = peft.get_peft_model(
        net, peft.LoraConfig(task_type=task, r=4, lora_alpha=16, **{"target_modules": TARGETS, **settings})
    )
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                weight.copy_(torch.randn(weight.shape) * 0.3)
    made.save_pretrained(str(folder))
    return folder


def engine(model: Model) -> HFBackend:
    made = renderer(model)
    assert made is not None
    return HFBackend(model, made)


def units(made: Renderer) -> list[Unit]:
    found = []
    for question in ("The quick brown fox", "Q: capital of France?\nA:"):
        for answer in (" Paris", " eight legs and more", "x"):
            context, wanted = made.pair_ids([user(question)], answer)
            found.append(Unit(f"{question}{answer}", "loglikelihood", (), prompt_ids=context, continuation_ids=wanted))
    return found


def scores(backend: HFBackend) -> list[float]:
    return [p for answer in backend.loglikelihood(units(backend._renderer)) for p in answer.logprobs]


def plainly(net: Any, made: Renderer) -> list[float]:
    import torch

    found = []
    for unit in units(made):
        context, wanted = unit.prompt_ids or (), unit.continuation_ids
        with torch.no_grad():
            logits = net(input_ids=torch.tensor([[*context, *wanted]])).logits[0].log_softmax(-1)
        found += [float(logits[len(context) - 1 + k, token]) for k, token in enumerate(wanted)]
    return found


def with_peft(base: Path, folder: Path, auto: str = "AutoModelForCausalLM", **more: Any) -> Any:
    import peft
    import torch
    import transformers

    net = getattr(transformers, auto).from_pretrained(str(base), dtype=torch.float32, **more)
    return peft.PeftModel.from_pretrained(net, str(folder)).eval()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return build(tmp_path / "base")


@pytest.mark.parametrize(
    "settings",
    [{}, {"use_dora": True}, {"modules_to_save": ["lm_head"]}, {"target_modules": [*TARGETS, "lm_head"]}],
    ids=["lora", "dora", "own head", "head adapted"],
)
def test_an_adapter_is_a_model(settings: dict[str, Any], base: Path, tmp_path: Path) -> None:
    """Equal to peft's own forward, also where the output layer is a wrapped one."""
    folder = adapter(tmp_path / "tuned", base, **settings)
    model = resolve(str(folder))
    assert (model.name, model.path, model.adapter, model.backend) == ("tuned", base, folder, "hf")
    whole = resolve(str(base))
    assert (model.base, model.lineage.parent, model.lineage.parent_name) == (*[whole.fingerprint] * 2, "base")
    assert model.kinds == whole.kinds
    assert model.fingerprint != whole.fingerprint
    backend = engine(model)
    made = renderer(model)
    assert made is not None
    found, expected = scores(backend), plainly(with_peft(base, folder), made)
    assert found == pytest.approx(expected, abs=TOLERANCE)
    assert max(abs(a - b) for a, b in zip(found, scores(engine(whole)), strict=True)) > 0.1
    assert not backend.net.full_logits
    said = backend.generate([Unit("g", "generate", (user("The quick"),), sampling=Sampling(max_tokens=5))])[0]
    assert said.tokens > 0


def test_switching_gives_what_loading_gives(base: Path, tmp_path: Path) -> None:
    """Adapter → another → bare base → weights of the same shape → an adapter of those, in one network."""
    other = build(tmp_path / "sft", seed=5)
    folders = [
        adapter(tmp_path / "a", base, seed=1),
        adapter(tmp_path / "b", base, seed=2, modules_to_save=["lm_head"]),
        base,
        other,
        adapter(tmp_path / "c", other, seed=3),
        adapter(tmp_path / "d", base, seed=4),
    ]
    models = [resolve(str(folder)) for folder in folders]
    backend = engine(models[0])
    first = scores(backend)
    module = backend.net.module
    seen = [first]
    for model in models[1:]:
        made = renderer(model)
        assert made is not None
        assert backend.switch(model, made)
        assert backend.net.module is module  # nothing was loaded anew
        found = scores(backend)
        assert found == scores(engine(model)), model.name
        seen.append(found)
    assert len({tuple(row) for row in seen}) == len(folders)


def test_tied_weights_are_switched_once(tmp_path: Path) -> None:
    one, two = (resolve(str(build(tmp_path / name, "qwen2", seed=seed))) for name, seed in (("one", 1), ("two", 2)))
    backend = engine(one)
    before = scores(backend)
    made = renderer(two)
    assert made is not None
    assert backend.switch(two, made)
    assert scores(backend) == scores(engine(two)) != before


@pytest.mark.parametrize("case", ["shape", "kind", "dtype", "missing"])
def test_what_does_not_fit_is_loaded_anew(case: str, base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    options = ModelOptions(args={"dtype": "bfloat16"}) if case == "dtype" else ModelOptions()
    changes = {"intermediate_size": 96} if case == "shape" else {}
    folder = build(tmp_path / "other", "gpt2" if case == "kind" else "llama", seed=2, **changes)
    if case == "missing":
        file = folder / "model.safetensors"
        tensors = load_file(file)
        tensors.pop("model.norm.weight")
        save_file(tensors, file, metadata={"format": "pt"})
    backend, model = engine(resolve(str(base))), resolve(str(folder), options)
    scores(backend)
    made = renderer(model)
    assert made is not None
    assert not backend.switch(model, made)
    if case == "missing":
        with pytest.raises(ModelError, match="1 weights are missing"):
            scores(engine(model))


def test_an_adapter_that_changed_its_base_is_not_taken_off(base: Path, tmp_path: Path) -> None:
    """bias="all" overwrites biases of the base itself."""
    biased = build(tmp_path / "biased", "qwen2")
    one = resolve(str(adapter(tmp_path / "a", biased, bias="all")))
    backend = engine(one)
    scores(backend)
    bare = resolve(str(biased))
    made = renderer(bare)
    assert made is not None
    assert not backend.switch(bare, made)


def test_a_reward_head_from_an_adapter(base: Path, tmp_path: Path) -> None:
    """The usual reward model of a small budget: LoRA on a language model, its head among the adapter's tensors."""
    import torch

    auto = "AutoModelForSequenceClassification"
    folder = adapter(tmp_path / "rm", base, auto=auto, task_type="SEQ_CLS", labels=1)
    model = resolve(str(folder))
    assert model.kinds == {"reward"}
    made = renderer(model)
    assert made is not None
    talks = [(user("The quick"), assistant(text)) for text in ("brown fox", "x", "Paris, or else " * 3)]
    found = engine(model).reward([Unit(str(i), "reward", talk) for i, talk in enumerate(talks)])
    net = with_peft(base, folder, auto, num_labels=1)
    net.config.pad_token_id = None
    for talk, answer in zip(talks, found, strict=True):
        with torch.no_grad():
            expected = float(net(input_ids=torch.tensor([made.conversation_ids(talk)])).logits[0, 0])
        assert answer.rewards == {"reward": pytest.approx(expected, abs=TOLERANCE)}


def test_the_base_is_found_and_named(base: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "tuned", base)
    print_of = resolve(str(folder)).fingerprint
    moved = shutil.move(base, tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"its base model .* is not here; give it by --model-args base=PATH"):
        resolve(str(folder))
    given = resolve(str(folder), ModelOptions(args={"base": str(moved)}))
    assert (given.path, given.fingerprint) == (moved, print_of)
    file = folder / "adapter_config.json"
    row = json.loads(file.read_text())
    file.write_text(json.dumps({**row, "base_model_name_or_path": "../elsewhere"}))
    found = resolve(str(folder))
    assert found.path is not None
    assert found.path.resolve() == moved.resolve()
    # Where the base lies says nothing about the answers.
    options = ModelOptions(args={"base": str(moved)})
    assert resolve(str(folder), options).identity == found.identity


def test_an_adapter_brings_its_own_tokenizer_and_lineage(base: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "tuned", base)
    tokenizer(template="{% for m in messages %}[{{ m.role }}] {{ m.content }}</s>{% endfor %}").save_pretrained(folder)
    (folder / "lineage.json").write_text(json.dumps({"method": "dpo", "name": "ours/dpo"}))
    model = resolve(str(folder))
    assert (model.name, model.lineage.method, model.lineage.parent_name) == ("ours-dpo", "dpo", "base")
    made = renderer(model)
    assert made is not None
    assert made.render([user("x")]) == "[user] x</s>"


def spoil(folder: Path, case: str) -> None:
    from safetensors.torch import load_file, save_file

    file, settings = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    row = json.loads(settings.read_text())
    if case == "pickled":
        file.rename(folder / "adapter_model.bin")
    elif case == "none":
        file.unlink()
    elif case == "prompt":
        settings.write_text(json.dumps({**row, "peft_type": "PROMPT_TUNING"}))
    elif case == "cut":
        file.write_bytes(file.read_bytes()[:-50])
    elif case == "lost":
        tensors = load_file(file)
        tensors.pop(next(name for name in tensors if "q_proj.lora_A" in name))
        save_file(tensors, file, metadata={"format": "pt"})
    elif case == "rank":
        settings.write_text(json.dumps({**row, "r": 8}))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("pickled", "pickled weights only .adapter_model.bin"),
        ("none", "has no adapter_model.safetensors"),
        ("prompt", "adapters of type PROMPT_TUNING do not run here"),
        ("cut", "truncated"),
        ("lost", "1 of its weights are missing"),
        ("rank", "does not fit its base"),
    ],
)
def test_bad_adapters_get_one_line(case: str, expected: str, base: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "tuned", base)
    spoil(folder, case)
    with pytest.raises(ModelError, match=expected) as caught:
        scores(engine(resolve(str(folder))))
    assert "\n" not in str(caught.value)


SPLIT = {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk", "model.norm": "disk"}


@pytest.mark.parametrize("spread", [{"": "cpu"}, {**SPLIT, "model.rotary_emb": "cpu", "lm_head": "cpu"}], ids=str)
def test_layers_spread_over_devices_give_the_same(spread: dict[str, str], base: Path, tmp_path: Path) -> None:
    args = {"device_map": json.dumps(spread), "offload_folder": str(tmp_path / "offload")}
    model = resolve(str(base), ModelOptions(args=args))
    assert model.identity == resolve(str(base)).identity
    backend = engine(model)
    assert scores(backend) == pytest.approx(scores(engine(resolve(str(base)))), abs=1e-5)
    assert ("disk" in spread.values()) == any(weight.is_meta for weight in backend.net.module.parameters())


def test_a_device_map_that_is_none_is_one_line(base: Path) -> None:
    with pytest.raises(ModelError, match=r"device_map=.cpu: no JSON object"):
        scores(engine(resolve(str(base), ModelOptions(args={"device_map": "{cpu"}))))
    with pytest.raises(ModelError, match="cannot be loaded on sideways"):
        scores(engine(resolve(str(base), ModelOptions(args={"device_map": "sideways"}))))


def test_an_adapter_and_its_base_in_one_command(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way: `evalsuite run ADAPTER BASE --tasks ...`."""
    from evalsuite.cli import main

    base = build(tmp_path / "wide", max_position_embeddings=512)
    folder = adapter(tmp_path / "tuned", base)

    def run(store: str, *models: Path) -> dict[str, Path]:
        given = [str(model) for model in models]
        task = ["--tasks", "plain_pairs", "--limit", "4", "--store", str(tmp_path / store)]
        assert main(["run", *given, *task]) == 0, capsys.readouterr().err
        files = (tmp_path / store).rglob("manifest.json")
        return {json.loads(file.read_text())["model"]["name"]: file.parent for file in files}

    both, alone = run("both", folder, base), run("alone", base)
    assert set(both) == {"tuned", "wide"}
    # The base stands on the network that the adapter has left, and on one of its own: the same figures to the byte.
    assert (both["wide"] / "metrics.json").read_bytes() == (alone["wide"] / "metrics.json").read_bytes()
    models = [json.loads((path / "manifest.json").read_text())["model"] for path in (both["tuned"], both["wide"])]
    assert models[0]["fingerprint"] != models[1]["fingerprint"]
