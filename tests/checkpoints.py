"""Tiny checkpoints built on the spot: tokenizers trained here, models with random weights, saved as ordinary folders.

Weights are drawn wide (initializer_range 0.4), so that log-probabilities differ by nats and a wrong position shows.
"""

from pathlib import Path
from typing import Any

CORPUS = [
    "The quick brown fox jumps over the lazy dog.",
    "Q: What is the capital of France?\nA: Paris",
    "Question: how many legs has a spider? Answer: eight legs.",
    "user system assistant Once upon a time, in 1984, there were 12 naïve cafés.",
    "Überraschung! 東京 and Москва are cities; so is Αθήνα. 🙂",
    "def main():\n    return 42\n",
    "She said: 'I don't know', and   left.",
] * 20

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
BOS_TEMPLATE = "{{ bos_token }}" + TEMPLATE
SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
KINDS = ("llama", "qwen2", "gpt2", "gemma2", "gemma3")


def tokenizer(kind: str = "bpe", bos: bool = True, template: str | None = TEMPLATE, **named: str) -> Any:
    """A transformers tokenizer trained on `CORPUS`. `kind`: bpe (byte-level), unigram (metaspace) or wordpiece
    (whose BOS rule is BERT's: [CLS] before, [SEP] behind, here written <s> and </s>)."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    if kind == "bpe":
        raw = Tokenizer(models.BPE())
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        raw.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=420, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        )
    elif kind == "unigram":
        raw = Tokenizer(models.Unigram())
        raw.pre_tokenizer = pre_tokenizers.Metaspace()
        raw.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=SPECIAL, unk_token="<unk>")
    else:
        raw = Tokenizer(models.WordPiece(unk_token="<unk>"))
        raw.normalizer = normalizers.BertNormalizer(lowercase=True)
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        raw.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=SPECIAL)
    raw.train_from_iterator(CORPUS, trainer)
    if bos:
        behind = " </s>" if kind == "wordpiece" else ""
        ids = [("<s>", raw.token_to_id("<s>")), ("</s>", raw.token_to_id("</s>"))]
        raw.post_processor = processors.TemplateProcessing(single=f"<s> $A{behind}", special_tokens=ids)
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", **named
    )
    made.add_special_tokens({"additional_special_tokens": SPECIAL[4:]})
    made.chat_template = template
    return made


def config(kind: str, vocabulary: int) -> Any:
    """A tiny configuration of one architecture: two layers, 32 wide, a window of 128 (Gemma's slides over 8)."""
    from transformers import (
        BertConfig,
        BloomConfig,
        Gemma2Config,
        Gemma3TextConfig,
        GPT2Config,
        LlamaConfig,
        MambaConfig,
        Qwen2Config,
    )

    common = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    wide = {"initializer_range": 0.4}
    if kind == "gpt2":
        return GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128, **common, **wide)
    if kind == "mamba":  # no key-value cache
        return MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=8, **common)
    if kind == "bloom":  # ALiBi: attention by distance, positions of nobody's choosing
        return BloomConfig(hidden_size=32, n_layer=2, n_head=4, **common, **wide)
    if kind == "bert":  # an encoder with a language head: it sees later tokens
        return BertConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, **common, **wide
        )
    shape = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
    }
    if kind == "llama":
        return LlamaConfig(**shape, **common, **wide)
    if kind == "qwen2":
        return Qwen2Config(**shape, **common, **wide, tie_word_embeddings=True)
    gemma = {**shape, **common, **wide, "head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 8}
    if kind == "gemma2":  # caps its logits: the head alone would be wrong
        return Gemma2Config(**gemma, final_logit_softcapping=5.0, attn_logit_softcapping=20.0)
    return Gemma3TextConfig(**gemma, layer_types=["sliding_attention", "full_attention"])


def build(folder: Path, kind: str = "llama", tokens: Any = None, seed: int = 0, **changes: Any) -> Path:
    """Saves a random causal model and its tokenizer as an ordinary folder."""
    import torch
    from transformers import AutoModelForCausalLM

    tokens = tokens if tokens is not None else tokenizer()
    settings = config(kind, len(tokens))
    for key, value in changes.items():
        setattr(settings, key, value)
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(settings, dtype=torch.float32)
    _widen(model)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def build_reward(folder: Path, kind: str = "llama", tokens: Any = None, labels: int = 1, **changes: Any) -> Path:
    """Saves a random sequence classifier, as reward models are published."""
    import torch
    from transformers import AutoModelForSequenceClassification

    tokens = tokens if tokens is not None else tokenizer()
    settings = config(kind, len(tokens))
    settings.num_labels = labels
    for key, value in changes.items():
        setattr(settings, key, value)
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_config(settings, dtype=torch.float32)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def _widen(model: Any) -> None:
    """Gives logits a spread of a few nats, whatever an architecture's own initialisation does to its embeddings."""
    import torch

    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        table = model.get_output_embeddings().weight
        table.copy_(torch.randn(table.shape, generator=generator) * 0.4)
