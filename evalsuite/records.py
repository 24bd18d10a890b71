"""The vocabulary: small typed records that every room reads and writes.

A task turns a `Sample` into `Request`s; the plan turns requests into deduplicated `Unit`s; a backend answers
each unit with a `Completion`; a scorer turns completions into `Score`s; samples' scores become `Metric`s.

Missing data is never a number: a `Score` without a value carries the reason, one of `REASONS`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, TypedDict

Kind = Literal["generate", "loglikelihood", "reward", "embed"]
Role = Literal["subject", "judge", "auxiliary", "reference", "encoder", "entailment"]
"""Which model answers: the one that is evaluated; one that grades; one that extracts facts or writes queries; the
policy that an implicit reward is measured from; an embedder; a classifier of premise and hypothesis (NLI)."""
REASONS = (
    "truncated",  # the answer ran into its token limit before anything could be read
    "empty",  # the model said nothing
    "unparsable",  # the answer has no verdict, letter or number where the protocol wants one
    "too_long",  # the bare question does not fit into the model's context window
    "judge_parse",
    "judge_refusal",
    "backend_error",
    "no_target",  # the sample has no truth to compare with
    "no_answer",  # a responses file has no row for this sample
)

Part = dict[str, Any]
"""One part of a message: {"type": "text", "text": str} or {"type": "image", "image": path, url or data URI}."""


class Message(TypedDict):
    """One chat turn. `content` is text, or a list of parts where images take part."""

    role: str
    content: str | list[Part]


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(text: str) -> Message:
    return Message(role="assistant", content=text)


def system(text: str) -> Message:
    return Message(role="system", content=text)


@dataclass(frozen=True, slots=True)
class Sample:
    """One benchmark item. `target` and `metadata` are plain JSON values."""

    id: str
    messages: tuple[Message, ...]
    target: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How text is drawn. `temperature` 0 is greedy. `top_k` 0 and `top_p` 1 are off.
    `reasoning_tokens` is the extra budget that a thinking model has before its answer."""

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int = 0
    top_logprobs: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One unit of model work as a task asks for it. `key` names it among the requests of one sample.

    For `loglikelihood`, `continuations` are scored after the rendered messages; for `reward`, the last message is
    the response that is rewarded. `examples` are few-shot turns that stand before the messages: the only part that
    may be dropped (oldest pair first) where a prompt does not fit the context window.
    `raw` forces raw text (no chat template), for protocols that are defined so. `repeat` tells draws apart.
    `quotes`: the messages show what other models wrote, as a judge's do, whoever answers: the special tokens that they
    spell are broken up (always so in what judges and auxiliaries are asked).
    """

    kind: Kind
    messages: tuple[Message, ...]
    key: str = "answer"
    continuations: tuple[str, ...] = ()
    sampling: Sampling = Sampling()
    role: Role = "subject"
    repeat: int = 0
    raw: bool = False
    examples: tuple[Message, ...] = ()
    quotes: bool = False

    def plain(self) -> dict[str, Any]:
        """Its fields as JSON values, for hashes of what is asked: `quotes` only says how the text is shown."""
        found = asdict(self)
        del found["quotes"]
        return found


@dataclass(frozen=True, slots=True)
class Unit:
    """One deduplicated piece of model work, as a backend receives it.

    `fingerprint` identifies model, input, sampling and draw: equal fingerprints have equal answers. Local engines
    read `prompt_ids` (and `continuation_ids`), servers read `messages` or `prompt`. `seed` is this unit's own.
    """

    fingerprint: str
    kind: Kind
    messages: tuple[Message, ...]
    prompt: str | None = None
    prompt_ids: tuple[int, ...] | None = None
    continuation: str = ""
    continuation_ids: tuple[int, ...] = ()
    sampling: Sampling = Sampling()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completion:
    """A backend's answer to one unit.

    generate: `text`, `tokens` (completion tokens), `finish_reason` ("stop", "length", "error").
    loglikelihood: `logprobs` of the continuation's tokens (natural log), `greedy` whether each was the argmax.
    reward: `rewards`, named numbers ("reward"; a head's labels; "step 1", "step 2", ... of a process reward).
    embed: `embedding`, one row of floats (pooled), or one for each token.
    `top_logprobs`: for each generated token the likeliest tokens' log-probabilities.
    `reasoning` is a thinking model's split-off part, `reasoning_closed` false where its end mark never came.
    """

    text: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    tokens: int = 0
    logprobs: tuple[float, ...] = ()
    greedy: bool | None = None
    rewards: Mapping[str, float] = field(default_factory=dict)
    embedding: tuple[tuple[float, ...], ...] = ()
    top_logprobs: tuple[Mapping[str, float], ...] = ()
    reasoning: str | None = None
    reasoning_tokens: int = 0
    reasoning_closed: bool = True
    error: str | None = None

    @property
    def logprob(self) -> float:
        """Summed log-probability of the continuation (or of the generated tokens, where they were asked for)."""
        return sum(self.logprobs)


class Completions:
    """The completions of one sample, by request key; what a task's `score` and `follow_up` receive."""

    def __init__(self, by_key: Mapping[str, Sequence[Completion]]) -> None:
        self._by_key = {key: tuple(values) for key, values in by_key.items()}

    def __getitem__(self, key: str) -> Completion:
        """The first completion of a request: the one text of a `generate` request."""
        return self._by_key[key][0]

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_key)

    def of(self, key: str) -> tuple[Completion, ...]:
        """All completions of a request: one for each continuation of a `loglikelihood` request, in its order."""
        return self._by_key[key]

    @property
    def text(self) -> str:
        """The text of the request called `answer`."""
        return self["answer"].text

    @property
    def logprobs(self) -> tuple[float, ...]:
        """Summed log-probability of each continuation of the request called `answer`."""
        return tuple(c.logprob for c in self.of("answer"))


@dataclass(frozen=True, slots=True)
class Score:
    """A scorer's value for one sample, or None with a reason. A metric is Σ weight·value / Σ weight, so a score over
    several checks of one sample, or one that holds only for some samples (precision), sets its weight."""

    value: float | None
    reason: str | None = None
    weight: float = 1.0
    answer: str | None = None  # what the parser read out of the completion
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is None and self.reason not in REASONS:
            raise ValueError(f"a score without a value needs a reason out of {REASONS}, not {self.reason!r}")


def missing(reason: str, answer: str | None = None) -> Score:
    return Score(None, reason=reason, answer=answer)


@dataclass(frozen=True, slots=True)
class Health:
    """Shares of completions (0 to 1) that ran into the limit, said nothing, refused, looped, or could not be parsed;
    mean completion tokens; how many prompts lost few-shot examples to fit. None where nothing was generated."""

    n: int
    truncated: float | None = None
    empty: float | None = None
    refused: float | None = None
    repeated: float | None = None
    unparsable: float | None = None
    mean_tokens: float | None = None
    shortened: int = 0
    unclosed_reasoning: float | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure with its n and interval. `n` counts samples with a value, `missing` those without.
    `interval` names the method ("wilson", "t", "bootstrap", "cluster"). `unit` is "share" (0 to 1) or a word."""

    task: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    missing: int = 0
    interval: str = "wilson"
    unit: str = "share"
    primary: bool = False
    baselines: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend takes, as data. `input` is "ids" or "messages"; `loglikelihood_input` where it differs."""

    kinds: frozenset[Kind]
    input: Literal["ids", "messages"]
    images: bool = False
    seeds: bool = True
    top_logprobs: bool = False


Done = Callable[[int, Completion], None]
"""Called with a unit's place among those given and its completion, as soon as that one is finished."""


class Backend(Protocol):
    """Answers units in batches: one completion for each, in their order. Knows no task and no rank.

    `done` hears of each completion early, in any order, from any thread; what is returned counts. `counts` are work
    done so far (tokens forwarded, seconds inside the model). `limits` is what the engine has learnt about its machine
    (token budgets, halved where memory ran out): the store keeps it, so that a resumed run batches as before.
    `switch` takes another checkpoint in place (an adapter of the same base, weights of the same shape) and says
    whether it could.
    """

    capabilities: Capabilities
    counts: dict[str, float]
    limits: dict[str, int]

    def generate(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]: ...

    def loglikelihood(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]: ...

    def reward(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]: ...

    def embed(self, units: Sequence[Unit], done: Done | None = None) -> list[Completion]: ...

    def switch(self, model: Any, renderer: Any) -> bool: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Lineage:
    """Which checkpoint this one came from, by what method, on which data; read from `lineage.json` in its folder."""

    parent: str | None = None  # fingerprint of the parent's weights
    parent_name: str | None = None
    method: str | None = None
    data: str | None = None


Progress = Callable[[int, int, str], None]
"""Called with (done, total, what) as work proceeds."""
