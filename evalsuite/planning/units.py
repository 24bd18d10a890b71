"""Requests → units: rendered once, tokenised together, fitted to the context window, fingerprinted."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache

from evalsuite.data.images import has_images, image_hashes, keyed, settled, urls_allowed
from evalsuite.models import Model, Renderer
from evalsuite.planning.options import Options
from evalsuite.records import Message, Request, Sampling, Unit, system

ROOM_STEP = 64
LEAST_ROOM = 16

TOGETHER = 512
"""Requests that are rendered, and whose texts are tokenised, in one go."""


@dataclass(frozen=True)
class Planned:
    """A request's units (one, or one for each continuation), or none where the bare question is too long.
    `shortened`: few-shot examples were dropped to fit the window; the question itself never is."""

    units: tuple[Unit, ...]
    shortened: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A conversation as the model reads it; `text` is None where that is made elsewhere (servers, rewards). `shown` is
    the same for people: images by their hashes."""

    messages: tuple[Message, ...]
    text: str | None
    shown: str | None


class Planner:
    """Makes units for one model. `renderer` is None for servers and files, which get messages as they are."""

    def __init__(self, model: Model, renderer: Renderer | None, options: Options) -> None:
        self.model = model
        self.renderer = renderer
        self.options = options
        self._sampling = cache(lambda asked: options.sampling(asked, 0))

    def plan_all(
        self, wanted: Sequence[tuple[Request, int]], progress: Callable[[int, int, str], None] | None = None
    ) -> Iterator[Planned]:
        """What `plan` gives for each (request, repeat), in order; rendered once for all repeats of a request."""
        for start in range(0, len(wanted), TOGETHER):
            if progress is not None:
                progress(start, len(wanted), "tokenising")
            part = wanted[start : start + TOGETHER]
            drafts = {id(request): self._draft(request, request.examples) for request, _ in part}
            for request, repeat in part:
                yield self._plan(request, repeat, drafts[id(request)])

    def plan(self, request: Request, repeat: int = 0) -> Planned:
        return self._plan(request, repeat, self._draft(request, request.examples))

    def _plan(self, request: Request, repeat: int, draft: Draft) -> Planned:
        asked = replace(request, sampling=self._sampling(request.sampling), repeat=request.repeat + repeat)
        examples = request.examples
        while True:
            units = tuple(self._units(asked, draft))
            spare = min((self._spare(unit) for unit in units), default=0)
            if spare >= 0:
                return Planned(units, shortened=len(examples) < len(request.examples))
            if examples:
                # One example is a user turn and the assistant's answer.
                examples = examples[2:]
                draft = self._draft(request, examples)
                continue
            room = self._less_room(asked, spare)
            if room is None:
                return Planned(())
            asked = replace(asked, sampling=replace(asked.sampling, max_tokens=room))

    def _draft(self, request: Request, examples: Sequence[Message]) -> Draft:
        messages = self._with_images(self._messages(request, examples))
        if self.renderer is not None and (request.quotes or request.role in ("judge", "auxiliary")):
            messages = self.renderer.guarded(messages)  # they quote what other models wrote
        if self.renderer is None or request.kind in ("reward", "embed"):
            return Draft(messages, None, None)
        text = self.renderer.render(messages, raw=request.raw)
        return Draft(messages, text, self.renderer.shown(messages, request.raw) if has_images(messages) else text)

    def _with_images(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Images that are still URLs are fetched, where the user allows it. A file of answers needs none."""
        if self.model.backend == "responses" or not has_images(messages):
            return messages
        return settled(messages, urls=urls_allowed(self.model.options.args))

    def _messages(self, request: Request, examples: Sequence[Message]) -> tuple[Message, ...]:
        """The conversation as it is rendered: system message, demonstrations, then the request's own turns.

        The command's system prompt (`--system`) joins a sample's own system message, in front of it and a blank line
        apart: templates take one system message, and neither may be lost. A request in raw text (`raw`) is defined to
        the letter by its protocol, so it takes none; nor does a model in another role than the subject's.
        """
        first, rest = request.messages[0], request.messages[1:]
        prompt = self.model.options.system
        if request.raw or request.role != "subject":
            prompt = None
        if first["role"] != "system":
            return (*((system(prompt),) if prompt else ()), *examples, first, *rest)
        return (_joined(prompt, first) if prompt else first, *examples, *rest)

    def _units(self, request: Request, draft: Draft) -> list[Unit]:
        if request.kind == "loglikelihood":
            return self._pairs(request, draft)
        ids: tuple[int, ...] | None = None
        if self.renderer is not None:
            ids = (
                self.renderer.conversation_ids(draft.messages)
                if draft.text is None
                else self.renderer.tokens.encode(draft.text)
            )
        unit = Unit("", request.kind, draft.messages, draft.shown, ids, sampling=request.sampling)
        return [self._identified(unit, request.repeat)]

    def _pairs(self, request: Request, draft: Draft) -> list[Unit]:
        bare = Unit("", "loglikelihood", draft.messages, draft.shown)
        if self.renderer is not None and draft.text is not None:
            apart = request.continuations if self.renderer.template is not None else _apart(draft.text, request)
            pairs = self.renderer.follow(draft.text, apart, request.raw)
            units = [
                replace(bare, continuation=text, prompt_ids=ids, continuation_ids=tail)
                for text, (ids, tail) in zip(request.continuations, pairs, strict=True)
            ]
        else:
            if request.raw or all(isinstance(m["content"], str) for m in draft.messages):
                # Servers score a given text through plain completions, so they need it as text.
                bare = replace(bare, prompt="\n\n".join(str(m["content"]) for m in draft.messages))
            units = [replace(bare, continuation=text) for text in _apart(bare.prompt or "", request)]
        return [self._identified(unit, request.repeat) for unit in units]

    def _identified(self, unit: Unit, repeat: int) -> Unit:
        """Fingerprint and seed. Greedy and scoring units do not depend on draw or seed, so repeats of them are one."""
        sampling = _that_matters(unit.kind, unit.sampling)
        # A file holds its draws: the answers to one prompt are repeats, however they were drawn.
        file = self.model.backend == "responses"
        drawn = unit.kind == "generate" and (sampling.temperature > 0 or file)
        draw = repeat if drawn else 0
        source = _text(unit.prompt_ids) if unit.prompt_ids is not None else _ordered(keyed(unit.messages))
        if unit.prompt_ids is not None and has_images(unit.messages):
            source = _text([unit.prompt_ids, image_hashes(unit.messages)])  # ids say where images stand, not which
        tail = _text(unit.continuation_ids or unit.continuation)
        parts = [*self._head(unit.kind), source, tail, _settings(sampling), str(draw)]
        if unit.prompt_ids is None and unit.prompt is not None:
            parts.append(_text(unit.prompt))
        seed = draw if file else 0
        if drawn and not file:
            # Checkpoints that are compared draw with the same seeds, so the seed leaves the weights out.
            given = source if unit.prompt_ids is not None else _text(keyed(unit.messages))
            seed = int.from_bytes(_digest([given, str(sampling.seed), str(draw)])[:4], "big")
        return replace(unit, fingerprint=_digest(parts).hex()[:32], sampling=sampling, seed=seed)

    def _head(self, kind: str) -> tuple[str, str, str]:
        return _text(self.model.identity), _text(self.model.engine), _text(kind)

    def _spare(self, unit: Unit) -> int:
        """Tokens left in the context window beside the prompt and the answer's whole budget; negative: too long."""
        window = self.model.context_window
        if window is None or self.renderer is None or unit.kind == "embed":
            return 0  # what is too long for an embedding is cut by the backend, which says so
        budget = unit.sampling.max_tokens + unit.sampling.reasoning_tokens if unit.kind == "generate" else 0
        return window - len(unit.prompt_ids or ()) - len(unit.continuation_ids) - budget

    def _less_room(self, request: Request, spare: int) -> int | None:
        """A smaller budget for an answer that a small window cannot hold in full; None where nothing useful is left.
        Whole steps, so that few different budgets arise and rows still share batches. What runs into it is counted
        as truncated."""
        room = request.sampling.max_tokens + spare
        room -= room % ROOM_STEP if room > ROOM_STEP else 0
        least = min(LEAST_ROOM, request.sampling.max_tokens)
        return room if request.kind == "generate" and room >= least else None


def _apart(context: str, request: Request) -> Sequence[str]:
    """The continuations as they follow raw text: behind a blank where neither side has white space, so that
    "question?Answer" is never scored (lm-eval's `target_delimiter`). A protocol that is raw by definition, and an
    answer that is begun already, are continued to the letter."""
    if request.raw or request.messages[-1]["role"] == "assistant" or not context or context[-1].isspace():
        return request.continuations
    return [text if text[:1].isspace() else f" {text}" for text in request.continuations]


def _joined(prompt: str, own: Message) -> Message:
    content = own["content"]
    if isinstance(content, str):
        return system(f"{prompt}\n\n{content}")
    return Message(role="system", content=[{"type": "text", "text": f"{prompt}\n\n"}, *content])


_text = json.JSONEncoder(ensure_ascii=False).encode
_ordered = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def _digest(parts: Sequence[str]) -> bytes:
    """Hash of a JSON list out of the texts of its items."""
    # A model's own words come back in later stages, and half a surrogate pair among them is no reason to stop.
    return hashlib.sha256(f"[{', '.join(parts)}]".encode("utf-8", "surrogatepass")).digest()


@cache
def _settings(sampling: Sampling) -> str:
    return _ordered(asdict(sampling))


@cache
def _that_matters(kind: str, sampling: Sampling) -> Sampling:
    """The sampling without what cannot move this answer."""
    if kind != "generate":
        return Sampling()
    return replace(sampling, seed=0, top_p=1.0, top_k=0) if sampling.temperature == 0 else sampling
