"""The microworld's tokenizer: byte-level BPE trained on generated text, with a chat template.

    tokenizer = train(world, vocabulary=1500)
    tokenizer.apply_chat_template([user("Hello.")], add_generation_prompt=True, tokenize=False)
    # "<|bos|><|user|> Hello.<|end|><|assistant|>"

Lossless on any text. Raw text gets one BOS from the post-processor; rendered templates write it themselves, so encode
those with `add_special_tokens=False`. The space before each message's content gives a first word the same token as the
same word in mid-sentence, without which copying a word from the prompt is not learned. Digits are single tokens.
"""

import random
from typing import Any

from evalsuite.microworld import words
from evalsuite.microworld.dialogue import row
from evalsuite.microworld.text import base_document
from evalsuite.microworld.world import World

PAD, BOS, END = "<|pad|>", "<|bos|>", "<|end|>"
SPECIALS = (PAD, BOS, END, "<|system|>", "<|user|>", "<|assistant|>")
MAX_LENGTH = 2048

# The Llama-3 pattern glues a quote or a dash to the next word ("Tess), which then has another token than in the prompt.
SPLIT = r" 's|'t| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ ' ' + message['content'] | trim + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ ' ' + message['content'] | trim + '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train(world: World, vocabulary: int, texts: int = 12_000) -> Any:
    """A `PreTrainedTokenizerFast`. `vocabulary` is an upper bound (merges may run out): read `len(tokenizer)`."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(_corpus(world, texts), trainer)
    core.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A",
        pair=f"{BOS} $A $B",
        special_tokens=[(BOS, core.token_to_id(BOS))],
    )
    # padding_side set after construction would not be saved: a reloaded folder would pad right and generate rubbish.
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        additional_special_tokens=list(SPECIALS[3:]),
        padding_side="left",
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE,
    )


def _corpus(world: World, texts: int) -> list[str]:
    """Base and fine-tuning text in equal parts, and the lexicon often enough that each of its words is one token
    (capitals before small letters, where a vocabulary is too small for both)."""
    rng = random.Random(f"tokenizer:{world.seed}")
    lines = [base_document(world, rng) for _ in range(texts // 2)]
    for _ in range(texts - len(lines)):
        lines.extend(f" {message['content']}" for message in row(world, rng))
    lexicon = [*world.lexicon, *(w for phrase in words.ENDINGS for w in phrase.split())]
    small = [w.lower() for w in lexicon if w != w.lower()]
    return [*lines, *[" " + " ".join(lexicon)] * 1000, *[" " + " ".join(small)] * 30]
