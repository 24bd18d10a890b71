"""Checkpoints that see: messages with images → text in which each image's places stand → token ids; pixels for a batch.

A checkpoint's chat template writes one mark for each image, and its processor says which text stands in that place (so
many `<image>` tokens, tiles and their marks, ...). `VisionRenderer` renders that text, so that prompt ids, counts,
window and continuations come from it by the same rules as for text alone (`evalsuite.models.rendering`). Templates
that take only lists of parts get them. A mark in somebody's own words is broken up by a space: no image is meant there.

transformers' image processors run on Pillow and numpy where torchvision is absent. Processors that also want a video
processor (Qwen2-VL and later, LLaVA-OneVision, ...), which only torchvision has, are then loaded without it.

>>> see = vision_renderer(model)
>>> ids = see.prompt_ids([{"role": "user", "content": [{"type": "image", "image": "chart.png"}, ...]}])
>>> see.pixels([messages]).tensors                 # what the network takes beside the ids
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evalsuite.data.images import has_images, image_hashes, image_parts, is_image, pil, read_image, text_with_images
from evalsuite.errors import InputError, ModelError
from evalsuite.models.files import read_json
from evalsuite.models.model import Model, ModelOptions, read_template
from evalsuite.models.rendering import HERE, Renderer, text_of
from evalsuite.models.tokens import Tokens, end_ids
from evalsuite.records import Message, Part

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")

REMEMBERED = 1024
"""Prompts' images whose written-out places are kept."""

PER_TOKEN = ("mm_token_type_ids", "token_type_ids")
"""What a network may want for each token: 1 where an image stands. Families name it differently."""


def reads_images(path: Path) -> bool:
    """Whether a folder is a vision-language checkpoint that can be fed: its config has a tower, and it a processor."""
    config = read_json(path / "config.json") if (path / "config.json").is_file() else {}
    if not isinstance(config, dict) or not isinstance(config.get("vision_config"), dict):
        return False
    named = next(iter(config.get("architectures") or ["ForConditionalGeneration"]))
    return named.endswith("ForConditionalGeneration") and any((path / name).is_file() for name in PROCESSOR_FILES)


class VisionTokens(Tokens):
    """A tokenizer whose chat template may take lists of parts only. `parts`: whether text must be given so."""

    parts = False

    def apply_template(self, template: str, turns: Sequence[tuple[str, Any]], prompt: bool) -> str:
        if self.parts:
            turns = [(r, [{"type": "text", "text": c}] if isinstance(c, str) else c) for r, c in turns]
        return super().apply_template(template, turns, prompt)


@dataclass(frozen=True)
class Pixels:
    """What a batch of prompts gives the network beside ids and mask. `per_token`: the name of a 0/1 row for each token
    (see `VisionRenderer.image_places`), or None."""

    tensors: dict[str, Any]
    per_token: str | None


class VisionRenderer(Renderer):
    """How a vision-language checkpoint reads messages."""

    def __init__(self, tokens: VisionTokens, processor: Any, options: ModelOptions = ModelOptions()) -> None:  # noqa: B008
        self.processor = processor
        self._places: dict[tuple[str, ...], list[str]] = {}
        own = tokens.chat_template if options.template == "auto" else None
        template = own if options.template in ("auto", "raw") else read_template(options.template)
        tokens.parts = template is not None and not _takes_text(tokens, template)
        super().__init__(tokens, options)
        self.mark  # noqa: B018  (found once; from now on, words that look like it are broken up)

    # -- text ---------------------------------------------------------------------------------------------------------

    def render(self, messages: Sequence[Message], raw: bool = False) -> str:
        """The prompt's text with every image's place written out, ready to be tokenised."""
        text = self.marked(messages, raw)
        return self._written_out(text, messages) if has_images(messages) else text

    def marked(self, messages: Sequence[Message], raw: bool = False) -> str:
        """The prompt's text with one mark for each image: what engines with a processor of their own take."""
        if raw or self.template is None:
            if not messages:
                raise InputError("a request without messages cannot be rendered")
            return "\n\n".join(text for message in messages if (text := self._spelled(message)))
        return super().render(messages)

    def shown(self, messages: Sequence[Message], raw: bool = False) -> str:
        """The prompt's text for people: `[image 1a2b3c…]` in each mark's place."""
        pieces = self.marked(messages, raw).split(self.mark)
        names = [text_with_images([part]) for part in image_parts(messages)]
        return "".join(piece + name for piece, name in zip(pieces, [*names, ""], strict=False))

    @cached_property
    def mark(self) -> str:
        """What stands for one image in a rendered prompt."""
        known = [str(m) for n in ("boi_token", "image_token") if (m := getattr(self.processor, n, None)) is not None]
        return next((m for m in known if m in self._image_text), known[-1] if known else "<image>")

    @cached_property
    def _image_text(self) -> str:
        """What the template writes for an image, marks around it included; empty without a template."""
        if self.template is None:
            return ""
        text: Part = {"type": "text", "text": HERE}
        with_image, without = (
            self.tokens.apply_template(self.template, [("user", parts)], True)  # type: ignore[list-item]
            for parts in ([{"type": "image"}, text], [text] if self._parts else HERE)
        )
        return with_image.removesuffix(without[without.index(HERE) :])[without.index(HERE) :]

    @property
    def _parts(self) -> bool:
        return isinstance(self.tokens, VisionTokens) and self.tokens.parts

    # -- pixels -------------------------------------------------------------------------------------------------------

    def pixels(self, batch: Sequence[Sequence[Message]]) -> Pixels:
        """The images of a batch of conversations (each has at least one) as the network takes them."""
        marks = [self.mark * len(list(image_parts(messages))) for messages in batch]
        out = self._processed(marks, batch, padding=True, return_tensors="pt")
        shape = out["input_ids"].shape
        tensors = {k: v for k, v in out.items() if getattr(v, "shape", None) != shape and k != "input_ids"}
        return Pixels(tensors, next((name for name in PER_TOKEN if name in out), None))

    def image_places(self, ids: Sequence[int]) -> list[int]:
        """1 for each id that stands for a part of an image, 0 for text."""
        return list(self.processor.create_mm_token_type_ids([list(ids)])[0])

    def collapsed(self, ids: Sequence[int], messages: Sequence[Message]) -> tuple[int, ...]:
        """Prompt ids with one mark in each image's place again: engines that have a processor of their own (vLLM)
        write places out themselves, and take these ids with the images."""
        mark, left = self.tokens.plain(self.mark), tuple(ids)
        made: tuple[int, ...] = ()
        for place in self._places_of(messages):
            spelled = self.tokens.plain(place)
            at = next(i for i in range(len(left)) if left[i : i + len(spelled)] == spelled)
            made, left = (*made, *left[:at], *mark), left[at + len(spelled) :]
        return (*made, *left)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _turns(self, messages: Sequence[Message]) -> list[tuple[str, Any]]:
        if not messages:
            raise InputError("a request without messages cannot be rendered")
        return [(m["role"], self._bare(m) if has_images([m]) else self._broken(text_of(m))) for m in messages]

    def _bare(self, message: Message) -> list[Part]:
        """A message's parts as a template reads them: images without their content, marks in words broken up."""
        if message["role"] == "assistant":
            raise InputError("an assistant's message holds an image, and models write text only")
        return [
            {"type": "image"} if is_image(part) else {"type": "text", "text": self._broken(text_of(_alone(part)))}
            for part in message["content"]
            if isinstance(part, dict)
        ]

    def _spelled(self, message: Message) -> str:
        """A message as raw text: an image is what the template would write for it."""
        content = message["content"]
        if isinstance(content, str):
            return self._broken(content)
        image = self._image_text or self.mark
        return "".join(image if is_image(part) else self._broken(text_of(_alone(part))) for part in content)

    def _broken(self, text: str) -> str:
        for mark in {self.mark, str(getattr(self.processor, "image_token", self.mark))} if "mark" in vars(self) else ():
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        return text

    def _apply(self, turns: Sequence[tuple[str, Any]], prompt: bool) -> str:
        if turns[0][0] == "system" and len(turns) > 1 and isinstance(turns[1][1], list) and not self._shows_system:
            opening: Part = {"type": "text", "text": f"{turns[0][1]}\n\n"}
            turns = [("user", [opening, *turns[1][1]]), *turns[2:]]
        return super()._apply(turns, prompt)

    def _written_out(self, text: str, messages: Sequence[Message]) -> str:
        pieces, held = text.split(self.mark), len(list(image_parts(messages)))
        if len(pieces) - 1 != held:
            raise InputError(
                f"the chat template ({self.template_name}) makes room for {len(pieces) - 1} images, and the messages "
                f"hold {held}; give --template FILE"
            )
        return "".join(a + b for a, b in zip(pieces, [*self._places_of(messages), ""], strict=True))

    def _places_of(self, messages: Sequence[Message]) -> list[str]:
        """What stands in each image's place."""
        key = tuple(image_hashes(messages))
        if key not in self._places:
            if len(self._places) >= REMEMBERED:
                self._places.pop(next(iter(self._places)))
            self._places[key] = self._found_places(messages, len(key))
        return self._places[key]

    def _found_places(self, messages: Sequence[Message], count: int) -> list[str]:
        out = self._processed([self.mark * count], [messages], return_text_replacement_offsets=True)
        offsets = out.get("text_replacement_offsets")
        if not offsets or len(offsets[0]) != count:
            raise ModelError(
                f"{type(self.processor).__name__} does not say how it writes images out; "
                "give the model to a server and run openai:NAME@URL"
            )
        return [str(place["replacement"]) for place in offsets[0]]

    def _processed(self, texts: list[str], batch: Sequence[Sequence[Message]], **settings: Any) -> Any:
        images = [[pil(read_image(part)) for part in image_parts(messages)] for messages in batch]
        try:
            return self.processor(text=texts, images=images, add_special_tokens=False, **settings)
        except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            names = ", ".join(dict.fromkeys(text_with_images([p]) for m in batch for p in image_parts(m)))
            why = next(iter(str(error).splitlines()), type(error).__name__)
            raise InputError(f"{names[:200]}: {type(self.processor).__name__} refuses ({why})") from error


def vision_renderer(model: Model) -> VisionRenderer:
    """The renderer of a local vision-language checkpoint. Imports transformers. Raises ModelError where its processor
    cannot be loaded."""
    if model.path is None:
        raise ModelError(f"{model.address}: has no folder, so no processor")
    options = model.options
    processor = load_processor(model.path, options.trust_remote_code)
    tokenizer = processor.tokenizer
    if tokenizer.chat_template is None and getattr(processor, "chat_template", None):
        tokenizer.chat_template = processor.chat_template
    if tokenizer.pad_token is None:  # batches of marks are padded; what pads them is thrown away
        tokenizer.pad_token = tokenizer.eos_token
    tokens = VisionTokens(tokenizer, end_ids(model.path), options.template_arguments())
    return VisionRenderer(tokens, processor, options)


def load_processor(path: Path, trust_remote_code: bool = False) -> Any:
    """A folder's processor (tokenizer and image processor). Raises ModelError (one line) where there is none."""
    from transformers import AutoProcessor
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # of which library resizes images it speaks at length
    try:
        try:
            made = AutoProcessor.from_pretrained(str(path), trust_remote_code=trust_remote_code)
        except ImportError as error:
            if "torchvision" not in str(error).lower():
                raise
            made = _without_video(path, trust_remote_code)
    except (OSError, ValueError, KeyError, TypeError, ImportError, AttributeError) as error:
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"{path}: its processor cannot be loaded ({first})") from error
    finally:
        logging.set_verbosity(before)
    if not hasattr(made, "image_processor") or not hasattr(made, "tokenizer"):
        raise ModelError(f"{path}: its processor reads no images ({type(made).__name__})")
    return made


def _without_video(path: Path, trust_remote_code: bool) -> Any:
    """A processor whose part for videos stays empty: only torchvision has one, and images need none."""
    import transformers
    from transformers import AutoImageProcessor, AutoTokenizer
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    files = [path / name for name in (*PROCESSOR_FILES, "tokenizer_config.json") if (path / name).is_file()]
    model_type = read_json(path / "config.json").get("model_type")
    name = next((n for f in files if (n := read_json(f).get("processor_class"))), PROCESSOR_MAPPING_NAMES[model_type])
    base = getattr(transformers, name)

    def check(self: Any, argument_name: str, argument: Any) -> Any:
        return None if argument is None else base.check_argument_for_proper_class(self, argument_name, argument)

    still: Any = type(name, (base,), {"check_argument_for_proper_class": check})
    given = {"trust_remote_code": trust_remote_code}
    parts = {
        "image_processor": AutoImageProcessor.from_pretrained(str(path), backend="pil", **given),
        "tokenizer": AutoTokenizer.from_pretrained(str(path), **given),
    }
    settings, _ = base.get_processor_dict(str(path))
    return still.from_args_and_dict([parts.get(part) for part in base.get_attributes()], settings)


def _takes_text(tokens: Tokens, template: str) -> bool:
    """Whether a chat template writes a message whose content is a text, not a list of parts."""
    try:
        return HERE in tokens.apply_template(template, [("user", HERE)], True)
    except (ValueError, TypeError, KeyError):
        return False


def _alone(part: Part) -> Message:
    return Message(role="user", content=[part])
