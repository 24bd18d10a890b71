"""How vision-language checkpoints read messages: places of images, marks in words, templates, pixels."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vision_checkpoints
from PIL import Image
from vision_checkpoints import FAMILIES, picture

from evalsuite.data.images import image_hash, settled
from evalsuite.errors import InputError, ModelError
from evalsuite.models import ModelOptions, renderer, resolve
from evalsuite.models.vision import VisionRenderer, reads_images
from evalsuite.planning import Options
from evalsuite.planning.units import Planner
from evalsuite.records import Message, Part, Request, Sampling

Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    home, made = tmp_path_factory.mktemp("vision"), {}

    def find(family: str) -> Path:
        if family not in made:
            made[family] = vision_checkpoints.build(home / family, family, window=160)
        return made[family]

    return find


def sight(path: Path, **options: Any) -> VisionRenderer:
    made = renderer(resolve(str(path), ModelOptions(**options)))
    assert isinstance(made, VisionRenderer)
    return made


def image(seed: int = 1, width: int = 30, height: int = 30) -> Part:
    return {"type": "image", "image": picture(seed, width, height)}


def words(text: str) -> Part:
    return {"type": "text", "text": text}


def user(*parts: Part) -> Message:
    return Message(role="user", content=[*parts])


def said(role: str, text: str) -> Message:
    return Message(role=role, content=text)


@pytest.mark.parametrize("family", FAMILIES)
def test_text_reads_as_it_would_without_a_processor(family: str, folder: Folder) -> None:
    see = sight(folder(family))
    turns = [said("system", "Be brief."), said("user", "Hello"), said("assistant", "The answer")]
    assert see.render(turns).endswith("<|assistant|>\nThe answer")
    assert see.render(turns[:2]) == "<s>" * (family != "qwen2_vl") + (
        "<|system|>\nBe brief.<|end|>\n<|user|>\nHello<|end|>\n<|assistant|>\n"
    )
    assert see.tokens.name(see.prompt_ids(turns)[0]) == "<s>"
    assert see.prompt_ids(turns).count(see.prompt_ids(turns)[0]) == 1
    assert {see.tokens.name(i) for i in see.eos_ids} == {"</s>", "<|end|>"}


@pytest.mark.parametrize("family", FAMILIES)
def test_images_stand_where_the_template_puts_them(family: str, folder: Folder) -> None:
    see = sight(folder(family))
    [message] = settled([user(words("Before "), image(1), words(" between "), image(2, 90, 30), words(" after"))])
    shown = see.shown([message])
    names = [f"[image {image_hash(part)[:12]}…]" for part in message["content"] if part["type"] == "image"]
    places = [shown.index(text) for text in ("Before ", names[0], " between ", names[1], " after")]
    assert places == sorted(places)
    ids = see.prompt_ids([message])
    marked = see.collapsed(ids, [message])
    assert see.tokens.plain(see.marked([message])) == marked[-len(see.tokens.plain(see.marked([message]))) :]
    assert marked.count(see.tokens.plain(see.mark)[0]) == 2
    assert len(ids) > len(marked) + 10


@pytest.mark.parametrize("family", FAMILIES)
def test_marks_in_words_are_no_images(family: str, folder: Folder) -> None:
    see = sight(folder(family))
    mark = see.mark
    for messages in ([said("user", f"Is {mark} a tag?")], [said("system", mark), user(image(), words(f"Is {mark}?"))]):
        messages = list(settled(messages))
        pictured = any(not isinstance(m["content"], str) for m in messages)
        assert see.marked(messages).count(mark) == int(pictured)
        assert see.marked(messages, raw=True).count(mark) == int(pictured)
        assert "a tag?" in see.render(messages) or pictured


@pytest.mark.parametrize("family", FAMILIES)
def test_pairs_and_prompts_agree(family: str, folder: Folder) -> None:
    see = sight(folder(family))
    messages = settled([user(image(), words("Who?"))])
    context, tail = see.pair_ids(messages, " Paris")
    assert context == see.prompt_ids(messages)
    assert see.decode(tail) == " Paris"
    raw, _ = see.pair_ids(messages, " Paris", raw=True)
    assert raw == see.tokens.encode(see.render(messages, raw=True))


def test_a_system_message_that_a_template_drops_joins_the_images_turn(folder: Folder, tmp_path: Path) -> None:
    file = tmp_path / "users.jinja"
    file.write_text(
        "{% for m in messages %}{% if m.role == 'user' %}"
        "{% for part in m.content %}{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
        "{% endfor %}{% endif %}{% endfor %}"
    )
    see = sight(folder("llava"), template=str(file))
    messages = settled([said("system", "Be brief."), user(image(), words("Who?"))])
    assert see.marked(messages) == "Be brief.\n\n<image>Who?"


def test_a_template_without_a_place_is_refused_in_one_line(folder: Folder, tmp_path: Path) -> None:
    file = tmp_path / "blind.jinja"
    file.write_text("{% for m in messages %}{% if m.content is string %}{{ m.content }}{% endif %}{% endfor %}")
    see = sight(folder("llava"), template=str(file))
    with pytest.raises(InputError, match="makes room for 0 images, and the messages hold 1"):
        see.render(settled([user(image())]))


def test_an_image_that_the_processor_refuses_is_named(folder: Folder) -> None:
    see = sight(folder("qwen2_vl"))
    messages = settled([user({"type": "image", "image": Image.new("RGB", (900, 2))})])
    with pytest.raises(
        InputError, match=r"\[image [0-9a-f]{12}…\]: Qwen2VLProcessor refuses \(.*aspect ratio"
    ) as caught:
        see.render(messages)
    assert "\n" not in str(caught.value)


def test_assistants_show_no_images(folder: Folder) -> None:
    with pytest.raises(InputError, match="assistant's message holds an image"):
        sight(folder("llava")).render(settled([said("user", "x"), Message(role="assistant", content=[image()])]))


@pytest.mark.parametrize("family", FAMILIES)
def test_examples_with_images_are_dropped_to_fit_the_window(family: str, folder: Folder) -> None:
    model = resolve(str(folder(family)))
    planner = Planner(model, renderer(model), Options())
    shots = tuple(
        m for seed in range(8) for m in (user(image(seed, 60, 30), words("Who?")), said("assistant", "A fox."))
    )
    request = Request("generate", (user(image(9), words("And who?")),), examples=shots, sampling=Sampling(max_tokens=8))
    planned = planner.plan(request)
    assert planned.shortened
    assert len(planned.units[0].prompt_ids or ()) + 8 <= 160
    assert len(planned.units[0].messages) < len(shots) + 1


@pytest.mark.parametrize("family", FAMILIES)
def test_pixels_of_a_batch_are_those_of_its_conversations(family: str, folder: Folder) -> None:
    import torch

    see = sight(folder(family))
    batch = [settled([user(image(1), words("a"))]), settled([user(image(2, 60, 30), image(3), words("b"))])]
    together, [one, two] = see.pixels(batch), [see.pixels([messages]) for messages in batch]
    if family == "idefics3":  # rows of tiles, padded to the longest
        together.tensors["pixel_values"] = together.tensors["pixel_values"].flatten(0, 1)
        alone = torch.cat([part.tensors["pixel_values"].flatten(0, 1) for part in (one, two)])
        kept = together.tensors["pixel_values"].flatten(1).abs().sum(-1) > 0
        assert torch.equal(together.tensors["pixel_values"][kept], alone)
    else:
        for name, value in together.tensors.items():
            assert torch.equal(value, torch.cat([one.tensors[name], two.tensors[name]]))


def test_a_processor_is_part_of_the_fingerprint(folder: Folder, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder("llava"), copy)
    assert resolve(str(copy)).fingerprint == resolve(str(folder("llava"))).fingerprint
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").write_text(json.dumps({**settings, "image_mean": [0.5, 0.5, 0.5]}))
    assert resolve(str(copy)).fingerprint != resolve(str(folder("llava"))).fingerprint


def test_only_folders_with_tower_and_processor_see(folder: Folder, tiny: Path, tmp_path: Path) -> None:
    assert not reads_images(tiny)
    assert all(reads_images(folder(family)) for family in FAMILIES)
    blind = tmp_path / "blind"
    shutil.copytree(folder("llava"), blind)
    for name in ("preprocessor_config.json", "processor_config.json"):
        (blind / name).unlink()
    assert not reads_images(blind)
    (blind / "preprocessor_config.json").write_text("{")
    with pytest.raises(ModelError, match="its processor cannot be loaded"):
        renderer(resolve(str(blind)))
