"""Requests → units: rendered, tokenised once, fitted to the context window, fingerprinted."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from evalsuite.models import Model, Renderer
from evalsuite.planning.options import Options
from evalsuite.records import Message, Request, Sampling, Unit, system

ROOM_STEP = 64
LEAST_ROOM = 16


@dataclass(frozen=True)
class Planned:
    """A request's units (one, or one for each continuation), or none where the bare question is too long.
    `shortened`: few-shot examples were dropped to fit the window; the question itself never is."""

    units: tuple[Unit, ...]
    shortened: bool = False


class Planner:
    """Makes units for one model. `renderer` is None for servers and files, which get messages as they are."""

    def __init__(self, model: Model, renderer: Renderer | None, options: Options) -> None:
        self.model = model
        self.renderer = renderer
        self.options = options
        self._seen: dict[tuple[object, ...], tuple[int, ...]] = {}

    def plan(self, request: Request, repeat: int = 0) -> Planned:
        sampling = self.options.sampling(request.sampling, repeat)
        request = replace(request, sampling=sampling, repeat=request.repeat + repeat)
        examples = list(request.examples)
        while True:
            messages = self._messages(request, examples)
            units = tuple(self._units(request, messages))
            spare = min((self._spare(unit) for unit in units), default=0)
            if spare >= 0:
                return Planned(units, shortened=len(examples) < len(request.examples))
            if examples:
                # One example is a user turn and the assistant's answer.
                examples = examples[2:]
                continue
            room = self._less_room(request, spare)
            if room is None:
                return Planned(())
            request = replace(request, sampling=replace(request.sampling, max_tokens=room))

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

    def _units(self, request: Request, messages: tuple[Message, ...]) -> list[Unit]:
        if request.kind == "loglikelihood":
            return [self._pair(request, messages, text) for text in request.continuations]
        ids: tuple[int, ...] | None = None
        text: str | None = None
        if self.renderer is not None:
            if request.kind in ("reward", "embed"):
                ids = self.renderer.conversation_ids(messages)
            else:
                ids = self.renderer.prompt_ids(messages, raw=request.raw)
                text = self.renderer.render(messages, raw=request.raw)
        unit = Unit("", request.kind, messages, text, ids, sampling=request.sampling)
        return [self._identified(unit, request)]

    def _pair(self, request: Request, messages: tuple[Message, ...], continuation: str) -> Unit:
        unit = Unit("", "loglikelihood", messages, continuation=continuation)
        if self.renderer is not None:
            ids, tail = self.renderer.pair_ids(messages, continuation, raw=request.raw)
            text = self.renderer.render(messages, raw=request.raw)
            unit = replace(unit, prompt=text, prompt_ids=ids, continuation_ids=tail)
        elif request.raw or all(isinstance(m["content"], str) for m in messages):
            # Servers score a given text through plain completions, so they need it as text.
            unit = replace(unit, prompt="\n\n".join(str(m["content"]) for m in messages))
        return self._identified(unit, request)

    def _identified(self, unit: Unit, request: Request) -> Unit:
        """Fingerprint and seed. Greedy and scoring units do not depend on draw or seed, so repeats of them are one."""
        sampling = unit.sampling
        if unit.kind != "generate":
            sampling = Sampling()
        elif sampling.temperature == 0:
            sampling = replace(sampling, seed=0, top_p=1.0, top_k=0)
        # A file holds its draws: the answers to one prompt are repeats, however they were drawn.
        drawn = unit.kind == "generate" and (sampling.temperature > 0 or self.model.backend == "responses")
        source = unit.prompt_ids if unit.prompt_ids is not None else [dict(m) for m in unit.messages]
        tail = unit.continuation_ids or unit.continuation
        draw = request.repeat if drawn else 0
        identity = [self.model.identity, self.model.engine, unit.kind, source, tail, asdict(sampling), draw]
        if unit.prompt_ids is None and unit.prompt is not None:
            identity.append(unit.prompt)
        digest = hashlib.sha256(_json(identity)).digest()
        # Checkpoints that are compared draw with the same seeds, so the seed leaves the weights out.
        seeded = hashlib.sha256(_json([source, sampling.seed, draw], ordered=False)).digest()
        seed = int.from_bytes(seeded[:4], "big") if drawn else 0
        return replace(unit, fingerprint=digest.hex()[:32], sampling=sampling, seed=seed)

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


def _joined(prompt: str, own: Message) -> Message:
    content = own["content"]
    if isinstance(content, str):
        return system(f"{prompt}\n\n{content}")
    return Message(role="system", content=[{"type": "text", "text": f"{prompt}\n\n"}, *content])


def _json(value: object, ordered: bool = True) -> bytes:
    # A model's own words come back in later stages, and half a surrogate pair among them is no reason to stop.
    return json.dumps(value, ensure_ascii=False, sort_keys=ordered).encode("utf-8", "surrogatepass")
