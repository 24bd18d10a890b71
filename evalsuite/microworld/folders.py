"""The small models as objects: new ones with seeded weights, and those in a checkpoint's folder."""

from pathlib import Path
from typing import Any

from evalsuite.microworld import tokenizer
from evalsuite.microworld.recipes import Recipe
from evalsuite.training.machine import quiet


def new_model(made: Recipe, tok: Any, seed: int) -> Any:
    """A Llama with tied embeddings and random weights that depend on the seed only."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tok),
        hidden_size=made.hidden,
        intermediate_size=made.inner,
        num_hidden_layers=made.layers,
        num_attention_heads=made.heads,
        tie_word_embeddings=True,
        max_position_embeddings=tokenizer.MAX_LENGTH,
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
        initializer_range=0.02,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).float().to(device())


def load(folder: Path) -> tuple[Any, Any]:
    """(model, tokenizer) of a checkpoint, in float32 and evaluation mode, on a GPU where there is one."""
    import torch
    from transformers import AutoModelForCausalLM

    with quiet():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval().to(device()), load_tokenizer(folder)


def device() -> str:
    """Where the world's own models are built and asked. Weights made on a GPU differ in the last digits."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
