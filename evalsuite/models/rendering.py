"""Messages → text → token ids, once, by rules that every local engine shares.

* **Template.** `auto`: the checkpoint's chat template where it has one, raw text otherwise; `raw`; or a Jinja file.
* **Raw text.** The messages' contents joined by blank lines; a single user message is its text.
* **System prompt.** The plan puts it in front of the messages. Where a template refuses a system message, or drops it
  without a word, it joins the first user turn.
* **BOS.** The tokenizer's own rule says which ids stand before a text; they stand there exactly once, whether the
  template writes them too or not. Nothing (no EOS, no [SEP]) is put after a text that a model may go on with.
* **Finished texts.** A model that does not write (an encoder, a reward model) reads raw text closed as its tokenizer
  closes it; a reward model whose tokenizer does so reads prompt and response as a pair ([CLS] prompt [SEP] response
  [SEP]). An embedder's own chat template, if its decoder brought one, is left out; its prompt stands before the text.
* **Prefill.** A trailing assistant message is continued, not closed.
* **Quoted text.** Judges read what other models wrote. `guarded` messages spell no special token of this tokenizer, so
  that an answer opens no turn in the judge's prompt; a subject's prompt stays as its task wrote it, unless the subject
  is asked to judge (`Request.quotes`).
* **Continuations.** Context and continuation are tokenised as one text; the continuation is what follows the longest
  common prefix with the context's own ids, so a token that spans the boundary counts as continuation. In raw text the
  context's trailing white space belongs to the continuation (as in lm-evaluation-harness, so that figures compare);
  where neither has any, the plan puts a blank between them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evalsuite.errors import InputError
from evalsuite.models.model import ModelOptions, read_template, short_hash
from evalsuite.models.reasoning import find_marks
from evalsuite.models.tokens import Tokens
from evalsuite.records import Message

WORD_START = "\u2581"
"""How SentencePiece vocabularies write the space in front of a word."""

HERE = "\u2063PREFILL\u2063"
"""Stands for a prefill or a system text while a template is probed: text that no template holds or trims."""


@dataclass(frozen=True)
class Reading:
    """How a finished text is read: closed by the tokenizer, with `prompt` before it; `pairs`: a response apart from
    what it answers; `plain`: without the checkpoint's chat template."""

    closed: bool = False
    pairs: bool = False
    plain: bool = False
    prompt: str = ""
    lower: bool = False


class Renderer:
    """How one model reads messages. `template_name` is "chat", "raw" or the template's file."""

    def __init__(
        self,
        tokens: Tokens,
        options: ModelOptions = ModelOptions(),  # noqa: B008
        reading: Reading = Reading(),
    ) -> None:
        self.tokens = tokens
        self.reading = reading
        own = tokens.chat_template if not reading.plain else None
        if options.template == "auto":
            self.template: str | None = own
            self.template_name = "chat" if own is not None else "raw"
        elif options.template == "raw":
            self.template, self.template_name = None, "raw"
        else:
            self.template, self.template_name = read_template(options.template), options.template
        self.template_hash = short_hash(self.template) if self.template is not None else "raw"
        self.bos = self._describe_bos()

    # -- text ---------------------------------------------------------------------------------------------------------

    def render(self, messages: Sequence[Message], raw: bool = False) -> str:
        """The prompt's text, ready for the model to speak next. Raises InputError where the template refuses it."""
        turns = self._turns(messages)
        if raw or self.template is None:
            return "\n\n".join(content for _, content in turns if content)
        if turns and turns[-1][0] == "assistant":
            head, _, _ = self._apply([*turns[:-1], ("assistant", HERE)], prompt=False).partition(HERE)
            return head + turns[-1][1]
        return self._apply(turns, prompt=True)

    def shown(self, messages: Sequence[Message], raw: bool = False) -> str:
        """The prompt's text for people to read; see `evalsuite.models.vision` for images."""
        return self.render(messages, raw)

    def guarded(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The messages with a blank behind the first character of every special token, or mark of the template, that
        their texts spell: `<|im_end|>` is read as the letters that it has. Other text stays as it is."""
        return tuple(_broken(message, self._marks) for message in messages)

    def opens_reasoning(self, prompt: str) -> bool:
        """Whether a rendered prompt ends inside a thought, so that the answer's text begins there."""
        if self.reasoning_marks is None:
            return False
        return prompt.rstrip().endswith(self.reasoning_marks[0])

    # -- token ids ----------------------------------------------------------------------------------------------------

    def prompt_ids(self, messages: Sequence[Message], raw: bool = False) -> tuple[int, ...]:
        """Token ids of the rendered prompt, with the tokenizer's BOS exactly once."""
        return self.tokens.encode(self.render(messages, raw))

    def pair_ids(
        self, messages: Sequence[Message], continuation: str, raw: bool = False
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(context ids, continuation ids), both non-empty. An empty context is the BOS (the EOS where there is none).
        Raises InputError where nothing is left to score."""
        return self.follow(self.render(messages, raw), [continuation], raw)[0]

    def follow(
        self, context: str, continuations: Sequence[str], raw: bool = False
    ) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """`pair_ids` of several continuations of a context that is rendered already."""
        if raw or self.template is None:
            bare = context.rstrip()
            context, space = bare, context[len(bare) :]
            continuations = [space + text for text in continuations]
        return self.tokens.pairs(context, continuations)

    def conversation_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of a finished conversation, as a reward model or an embedder reads it."""
        turns = self._turns(messages)
        if self.template is not None:
            return self.tokens.encode(self._apply(turns, prompt=False))
        texts = [content for _, content in turns if content]
        closed = self.reading.closed and bool(self.tokens.suffix)
        if closed and self.reading.pairs and turns[-1][0] == "assistant" and len(texts) > 1:
            return self.tokens.whole("\n\n".join(texts[:-1]), texts[-1])
        text = "\n\n".join(texts)
        if self.reading.plain:
            text = self.reading.prompt + text.strip()
            text = text.lower() if self.reading.lower else text
        return self.tokens.whole(text) if closed else self.tokens.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids, without special tokens; the marks of reasoning are kept."""
        return self.tokens.decode(ids, keep=self.reasoning_marks or ())

    def named(self, values: Iterable[tuple[int, float]]) -> dict[str, float]:
        """Token text → value, for (id, value), the likeliest first. A token that is no whole text (half a character, a
        special token), or reads like a likelier one, goes by its name in the vocabulary, so that none is lost."""
        named: dict[str, float] = {}
        for token, value in values:
            text, name = self.decode([token]), self.tokens.name(token)
            if name.startswith(WORD_START) and not text.startswith(" "):
                text = f" {text}"  # these tokenizers strip the space of a first word
            whole = text and "\ufffd" not in text and text not in named
            named[text if whole else name] = value
        return named

    @cached_property
    def eos_ids(self) -> tuple[int, ...]:
        """Ids that end a generation: the checkpoint's own, and the token that ends a turn in the template."""
        return tuple(sorted({*self.tokens.eos_ids, *self._turn_end()}))

    @property
    def pad_id(self) -> int:
        return self.tokens.pad_id

    @cached_property
    def reasoning_marks(self) -> tuple[str, str] | None:
        """The pair of marks between which this model thinks, or None."""
        return find_marks(self.template, self.tokens.added) if self.template is not None else None

    # -- inside -------------------------------------------------------------------------------------------------------

    def _turns(self, messages: Sequence[Message]) -> list[tuple[str, str]]:
        """Messages as (role, text). The user's system prompt stands among them already: the plan puts it there."""
        if not messages:
            raise InputError("a request without messages cannot be rendered")
        return [(message["role"], text_of(message)) for message in messages]

    def _apply(self, turns: Sequence[tuple[str, str]], prompt: bool) -> str:
        if turns[0][0] == "system" and not self._shows_system:
            turns = _folded(turns)
        try:
            return self.tokens.apply_template(self.template or "", turns, prompt)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"the chat template ({self.template_name}) refuses a conversation of "
                f"{', '.join(role for role, _ in turns)}: {str(error).splitlines()[0]}"
            ) from error

    @cached_property
    def _shows_system(self) -> bool:
        """Whether the template writes a system message. (Some raise, and some leave it out silently.)"""
        try:
            shown = self.tokens.apply_template(self.template or "", [("system", HERE), ("user", "x")], True)
        except (ValueError, TypeError, KeyError):
            return False
        return HERE in shown

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        """The first character of whatever has a meaning of its own in a prompt: special tokens, and added ones that the
        template writes (`<think>`, `<tool_call>`). Plain words, and what a blank does not break, mean themselves."""
        written = {text for text in self.tokens.added if text in (self.template or "")}
        marks = {t for t in self.tokens.special | written if not t.isalnum() and t not in f"{t[:1]} {t[1:]}"}
        return re.compile(f"(?={'|'.join(map(re.escape, sorted(marks))) or '(?!)'}).", re.DOTALL)

    def _turn_end(self) -> set[int]:
        """The special token that the template writes right after an assistant's words."""
        if self.template is None:
            return set()
        try:
            text = self.tokens.apply_template(self.template, [("user", "x"), ("assistant", HERE)], False)
        except (ValueError, TypeError, KeyError):
            return set()
        ids = self.tokens.plain(text.rpartition(HERE)[2].lstrip())
        return {ids[0]} if ids and ids[0] in self.tokens.special_ids else set()

    def _describe_bos(self) -> str:
        if self.tokens.prefix:
            return f"{' '.join(self.tokens.name(i) for i in self.tokens.prefix)}, added by the tokenizer"
        bos = self.tokens.bos_id
        if bos is not None and self.template is not None:
            ids = self.prompt_ids([Message(role="user", content="x")])
            if ids and ids[0] == bos:
                return f"{self.tokens.name(bos)}, written by the template"
        return "none"


def text_of(message: Mapping[str, Any]) -> str:
    """A message's text; parts of text are joined. Raises InputError for an image (text engines see none)."""
    content = message["content"]
    if isinstance(content, str):
        return content
    for part in content:
        if part.get("type") != "text":
            raise InputError(f"a message holds a part of type '{part.get('type')}', and this model reads text only")
    return "".join(str(part["text"]) for part in content)


def _broken(message: Message, marks: re.Pattern[str]) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return Message(role=message["role"], content=marks.sub(r"\g<0> ", content))
    parts = [{**p, "text": marks.sub(r"\g<0> ", str(p["text"]))} if p.get("type") == "text" else p for p in content]
    return Message(role=message["role"], content=parts)


def _folded(turns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    rest = list(turns[1:])
    if rest and rest[0][0] == "user":
        rest[0] = ("user", f"{turns[0][1]}\n\n{rest[0][1]}")
        return rest
    return [("user", turns[0][1]), *rest]
