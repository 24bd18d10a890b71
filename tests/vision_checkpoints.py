"""Tiny vision-language checkpoints with random weights, saved as ordinary folders: three families that place images
differently. Weights are drawn wide, so that an answer depends visibly on the image.

* llava: one fixed grid of features for each image, a CLIP tower, and a template that takes lists of parts only;
* qwen2_vl: as many features as the image is large, positions in three dimensions, a template that takes text or parts;
* idefics3 (SmolVLM's family): an image cut into tiles with marks around them.
"""

import json
from pathlib import Path
from typing import Any

from checkpoints import SPECIAL, _widen, tokenizer

FAMILIES = ("llava", "qwen2_vl", "idefics3")

PARTS_ONLY = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n"
    "{% for part in m.content %}{% if part.type == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
TEXT_OR_PARTS = (
    "{% for m in messages %}<|{{ m.role }}|>\n{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
TEXT = {
    "hidden_size": 64,  # heads of 32: the smallest that vLLM's CPU attention takes
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}
MARKS = {
    "llava": ["<image>"],
    "qwen2_vl": ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"],
    "idefics3": [
        *("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"),
        *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
    ],
}


def build(folder: Path, family: str, window: int = 512, seed: int = 0) -> Path:
    """Saves a random model of a family with its tokenizer, image processor and chat template."""
    import torch
    from transformers import AutoModelForImageTextToText

    tokens = tokenizer(template=TEXT_OR_PARTS if family == "qwen2_vl" else PARTS_ONLY)
    tokens.add_special_tokens({"additional_special_tokens": [*SPECIAL[4:], *MARKS[family]]})
    torch.manual_seed(seed)
    settings = _config(family, tokens, window)
    model = AutoModelForImageTextToText.from_config(settings, dtype=torch.float32)
    _spread(model)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)
    _save_processor(folder, family)
    return folder


def _config(family: str, tokens: Any, window: int) -> Any:
    from transformers import CLIPVisionConfig, Idefics3Config, LlamaConfig, LlavaConfig, Qwen2VLConfig

    text = {**TEXT, "vocab_size": len(tokens), "max_position_embeddings": window}
    named = {name: tokens.convert_tokens_to_ids(mark) for name, mark in {"image": "<image>"}.items()}
    if family == "llava":
        tower = CLIPVisionConfig(
            **{k: TEXT[k] for k in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")},
            image_size=28,
            patch_size=7,
            initializer_range=0.4,
        )
        return LlavaConfig(
            vision_config=tower,
            text_config=LlamaConfig(**text),
            image_token_index=named["image"],
            vision_feature_layer=-1,
            vision_feature_select_strategy="default",
            image_seq_length=16,
        )
    if family == "idefics3":
        tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
        return Idefics3Config(
            vision_config={**tower, "image_size": 32, "patch_size": 4, "initializer_range": 0.4},
            text_config=LlamaConfig(**text),
            image_token_id=named["image"],
            scale_factor=2,
        )
    return Qwen2VLConfig(
        text_config={**text, "rope_scaling": {"type": "mrope", "mrope_section": [8, 4, 4]}},
        vision_config={"depth": 1, "embed_dim": 32, "hidden_size": 64, "num_heads": 4, "patch_size": 4, "mlp_ratio": 2},
        image_token_id=tokens.convert_tokens_to_ids("<|image_pad|>"),
        video_token_id=tokens.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokens.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokens.convert_tokens_to_ids("<|vision_end|>"),
    )


def _save_processor(folder: Path, family: str) -> None:
    """Image processor and processor settings, as the families' folders on the Hub have them."""
    from transformers import CLIPImageProcessorPil, Idefics3ImageProcessorPil, Qwen2VLImageProcessorPil

    if family == "llava":
        size = {"height": 28, "width": 28}
        CLIPImageProcessorPil(size=size, crop_size=size).save_pretrained(folder)
        more: dict[str, Any] = {
            "processor_class": "LlavaProcessor",
            "patch_size": 7,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
        }
    elif family == "idefics3":
        Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32}).save_pretrained(
            folder
        )
        more = {"processor_class": "Idefics3Processor", "image_seq_len": 16}
    else:
        Qwen2VLImageProcessorPil(
            patch_size=4, merge_size=2, size={"shortest_edge": 64, "longest_edge": 2304}
        ).save_pretrained(folder)
        more = {"processor_class": "Qwen2VLProcessor"}
    (folder / "processor_config.json").write_text(json.dumps(more), encoding="utf-8")


def _spread(model: Any) -> None:
    """Wide logits, and image features as large as the words' embeddings."""
    import torch

    _widen(model)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if any(part in name for part in ("projector", "connector", "merger")) and weight.ndim == 2:
                weight.normal_(0, 0.4, generator=torch.Generator().manual_seed(3))


def picture(seed: int, width: int, height: int) -> Any:
    """A coloured pattern as a PIL image; another seed is another picture."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)
