"""The small models as objects: new ones with seeded weights, and those in a checkpoint's folder."""

from pathlib import Path
from typing import Any

from evalsuite.microworld import tokenizer
from evalsuite.microworld.recipes import Recipe
from evalsuite.training.loop import quiet


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
        return LlamaForCausalLM(config).float()


def load(folder: Path) -> tuple[Any, Any]:
    """(model, tokenizer) of a checkpoint, in float32 and evaluation mode."""
    import torch
    from transformers import AutoModelForCausalLM

    with quiet():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), load_tokenizer(folder)


def load_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)
