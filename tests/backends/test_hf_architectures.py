"""Every architecture that loads is scored as a plain forward would, over shared prefixes where it can share."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from checkpoints import tokenizer

from evalsuite.backends.hf.backend import HFBackend
from evalsuite.models import renderer, resolve
from evalsuite.records import Sampling, Unit, user

SHARED = (
    *("cohere", "codegen", "ctrl", "deepseek_v3", "ernie4_5", "falcon", "gemma", "glm4", "gpt_bigcode", "gpt_neox"),
    *("gptj", "granite", "helium", "nemotron", "olmo2", "olmoe", "opt", "persimmon", "phi", "qwen2_moe", "qwen3"),
    *("qwen3_moe", "smollm3", "stablelm", "xglm"),
)
WINDOWED = ("cohere2", "exaone4", "gpt_oss", "ministral", "mistral", "mixtral", "phi3", "starcoder2")
PLAIN = ("bamba", "bloom", "falcon_mamba", "gpt_neo", "jamba", "mamba2", "minimax", "mpt", "qwen3_next", "rwkv")
SMALL: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "word_embed_proj_dim", "ffn_dim", "lru_width"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_experts_per_tok"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "attention_heads"), 4),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "rotary_dim"), 4),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 128),
    **dict.fromkeys(("head_dim", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "sliding_window"), 8),
    **dict.fromkeys(("mamba_n_heads", "mamba_d_head", "mamba_d_state", "state_size"), 8),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank", "moe_intermediate_size"), 16),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace", "mamba_n_groups", "eos_token_id"), 1),
    **{"intermediate_size": 64, "num_key_value_heads": 2, "bos_token_id": 0, "pad_token_id": 2},
    "initializer_range": 0.3,
}
OWN: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "deepseek_v3": {"num_key_value_heads": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_heads": 4, "window_size": 8},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "use_mamba_kernels": False},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"]},
}


def small(kind: str, folder: Path) -> Path:
    """A random checkpoint of two layers, saved as an ordinary folder."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    made, tokens = CONFIG_MAPPING[kind], tokenizer()
    known = {*inspect.signature(made.__init__).parameters, *getattr(made, "__dataclass_fields__", {})}
    chosen = {key: value for key, value in SMALL.items() if key in known} | OWN.get(kind, {})
    if kind == "deepseek_v3":
        chosen.pop("head_dim", None)
    torch.manual_seed(0)
    net = AutoModelForCausalLM.from_config(made(vocab_size=len(tokens), **chosen), dtype=torch.float32)
    net.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", [*SHARED, *WINDOWED, *PLAIN])
def test_scored_as_a_plain_forward(kind: str, tmp_path: Path) -> None:
    """Log-probabilities of prompts with and without shared prefixes, and a short greedy text, are transformers' own."""
    import torch
    from transformers import AutoModelForCausalLM

    model = resolve(str(small(kind, tmp_path / kind)))
    made = renderer(model)
    assert made is not None
    backend = HFBackend(model, made)
    sharing = backend.sharing
    assert bool(sharing.reason) == (kind in PLAIN), sharing
    assert (sharing.longest < 1 << 60) == (kind in WINDOWED), sharing
    asked = []
    for question in ("The quick", "The quick brown fox jumps over", "x"):
        for answer in (" Paris", " eight legs"):
            context, wanted = made.pair_ids([user(question)], answer, raw=True)
            asked.append(Unit(question + answer, "loglikelihood", (), prompt_ids=context, continuation_ids=wanted))
    answers = backend.loglikelihood(asked)
    plain: Any = AutoModelForCausalLM.from_pretrained(str(model.path), dtype=torch.float32).eval()
    with torch.no_grad():
        for unit, answer in zip(asked, answers, strict=True):
            context, wanted = unit.prompt_ids or (), unit.continuation_ids
            logits = plain(torch.tensor([[*context, *wanted]])).logits[0].log_softmax(-1)
            expected = [float(logits[len(context) - 1 + k, token]) for k, token in enumerate(wanted)]
            assert answer.logprobs == pytest.approx(expected, abs=1e-4)
        prompts = [made.prompt_ids([user(text)], raw=True) for text in ("The quick", "lazy dog and so on")]
        spoken = backend.generate(
            [Unit(str(p), "generate", (), prompt_ids=p, sampling=Sampling(max_tokens=6)) for p in prompts]
        )
        for prompt, answer in zip(prompts, spoken, strict=True):
            ids = list(prompt)
            for _ in range(6):
                ids.append(int(plain(torch.tensor([ids])).logits[0, -1].argmax()))
                if ids[-1] in made.eos_ids:
                    ids.pop()
                    break
            assert answer.text == made.decode(ids[len(prompt) :])
