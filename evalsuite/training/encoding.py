"""Conversations → token sequences, by the checkpoint's own template: the prompt as `run` renders it, then the answer
with the mark that ends it, and nothing behind that mark."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.errors import InputError
from evalsuite.models import Renderer
from evalsuite.records import Message, assistant
from evalsuite.training.contract import Tokenised, Unusable

NO_ROOM = "'prompt' leaves no room for an answer"


@dataclass(frozen=True)
class Encoder:
    """`max_length` is the longest sequence; answers are cut to fit, prompts never. `whole`: the conversation as reward
    models are asked about it, with what the template writes behind the end mark."""

    renderer: Renderer
    max_length: int
    where: str = ""
    whole: bool = False

    def __call__(self, messages: Sequence[Message], answer: str) -> Tokenised:
        """The sequence of a prompt and its answer. Raises Unusable where nothing of the answer would be learned."""
        prompt = self.renderer.prompt_ids(messages)
        whole = self._closed(messages, answer)
        start = _common(prompt, whole)
        if start < len(prompt) - 1 and not self.whole:
            # Templates may merge the last prompt token with the answer's first; more than one means another prompt.
            raise InputError(f"{self.where}: the chat template writes the prompt otherwise once it is answered")
        if start >= self.max_length:
            raise too_long(self.where, f"{start} tokens", self.max_length)
        ids = array("i", whole[: self.max_length])
        return Tokenised(ids, array("b", (i >= start for i in range(len(ids)))))

    def _closed(self, messages: Sequence[Message], answer: str) -> tuple[int, ...]:
        """Prompt, answer and its end mark."""
        tokens, ends = self.renderer.tokens, self.renderer.tokens.eos_ids
        if self.whole:
            return self.renderer.conversation_ids((*messages, assistant(answer)))
        if self.renderer.template is None:
            return (*self.renderer.prompt_ids((*messages, assistant(answer))), *ends[:1])
        ids = self.renderer.conversation_ids((*messages, assistant(answer)))
        last = max((i for i, t in enumerate(ids) if t in tokens.special_ids), default=-1)
        tail = tokens.decode(ids[last + 1 :]).strip() if last >= 0 else "."
        return ids[: last + 1] if not tail else (*ids, *ends[:1])


def too_long(where: str, length: str, longest: int, mend: str = "shorten it") -> Unusable:
    """The error for a prompt that does not fit with an answer."""
    about = f"({length}; the longest sequence is {longest}, by max_length or the model's window)"
    return Unusable(where, f"{NO_ROOM} {about}", mend)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
