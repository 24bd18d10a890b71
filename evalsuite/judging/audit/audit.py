"""How far a judge can be trusted: every figure of its report card, from annotations alone.

    rows, people = read_any(Path("judge.jsonl")), read_any(Path("people.jsonl"))
    card = audit(rows, people)
    card.judge.without_ties.value, card.coin.without_ties.value, card.ceiling.person.value

Definitions stand with the functions (`agreement`, `behaviour`, `family`); what a model does when it is
attacked is measured by `attacks`. Every figure has n and interval, or a reason why there is none.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from evalsuite.errors import InputError
from evalsuite.judging.audit import agreement as agreeing
from evalsuite.judging.audit import behaviour
from evalsuite.judging.audit.agreement import Agreement, Ceiling
from evalsuite.judging.audit.behaviour import Liking
from evalsuite.judging.audit.family import Overlap, Relative, overlaps, relatives
from evalsuite.judging.audit.figures import Figure, difference, of_interval
from evalsuite.judging.audit.items import Item, Rule, Vote, by_judge, label, match, outcome
from evalsuite.judging.biases import length_bias, noise, position_bias
from evalsuite.judging.contract import Annotation


@dataclass(frozen=True, slots=True)
class Profile:
    """One judge (or naive judge) on the pairs: agreement of each single verdict and of its outcomes with every vote,
    kappa with the majority of votes, and its liking for a place and for length."""

    name: str
    kind: str  # "judge", "beside" (another recorded judge), "naive"
    each: Figure
    with_ties: Figure
    without_ties: Figure
    kappa: Figure
    flips: Figure
    first: Figure
    longer: Figure
    unparsed: Figure


@dataclass(frozen=True, slots=True)
class Identity:
    """Which judge this is: its name is part of every figure's name. Fields that a file does not tell are empty."""

    judge: str
    model: str
    protocol: str
    modes: Mapping[str, int]
    orders: Mapping[str, int]
    seeds: int
    rows: int
    fingerprint: str = ""
    revision: str = ""
    prompt_hash: str = ""
    sampling: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """`rule`: how two orders become one outcome. `preferences_judge` labelled the data that contestants were trained
    on, `reward_model` served as their reward. `model` is the judge's model where its rows do not name it."""

    rule: Rule = "mean"
    preferences_judge: str = ""
    reward_model: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Audit:
    """The report card's figures. `profiles` has the judge first, then judges beside it, then coin, longest and first;
    `gains` are paired differences of the judge's credit from the naive judges' (see `gain`)."""

    identity: Identity
    pairs: int
    judged: int
    shared: int
    votes: int
    people: int
    profiles: tuple[Profile, ...]
    both_orders: Agreement
    majority: Agreement
    kappa_decided: Figure
    groups: Mapping[str, Agreement]
    among_people: Agreement
    ceiling: Ceiling
    ranks: Figure
    win_rates: Mapping[str, Mapping[str, float]]
    gains: Mapping[str, Figure]
    sure: Figure
    first_preference: Figure
    length: Liking
    lists: Liking
    markup: Liking
    ties: Figure
    distribution: Sequence[tuple[str, int]]
    draws: Figure
    grade_spread: Figure
    why_unparsed: Mapping[str, int]
    cost: Figure
    tokens: Figure
    relatives: tuple[Relative, ...]
    overlaps: tuple[Overlap, ...]
    constants: Mapping[str, Figure]
    logits: Mapping[str, Figure]

    @property
    def judge(self) -> Profile:
        return self.profiles[0]

    @property
    def coin(self) -> Profile:
        return next(p for p in self.profiles if p.name == "a coin")


def audit(
    rows: Sequence[Annotation],
    people: Sequence[Annotation],
    beside: Sequence[Annotation] = (),
    options: Options | None = None,
    identity: Identity | None = None,
) -> Audit:
    """Rows of one judge against people's, which may be empty. `beside` holds other judges' rows on the same pairs.

    Raises InputError where the rows are of several judges, or share no pair with people's.
    """
    options = options or Options()
    rule = options.rule
    if not rows:
        raise InputError("no row of this judge to audit")
    if len(found := by_judge(rows)) > 1:
        raise InputError(f"rows of {len(found)} judges: choose one")
    items = match(rows, people)
    both = [item for item in items if item.judge and item.people]
    if people and not both:
        raise InputError(_strangers(rows, people))
    identity = identity or identify(rows, options.model)
    why = behaviour.unparsed(rows)[1]
    decided = [c for c in agreeing.with_majority(items, rule) if c.a and c.b]
    return Audit(
        identity=identity,
        pairs=len(items),
        judged=sum(outcome(i.judge, rule) is not None for i in items),
        shared=len(both),
        votes=sum(v.label is not None for i in items for v in i.people),
        people=len({v.voter for i in items for v in i.people}),
        profiles=_profiles(identity, items, beside, people, rule),
        both_orders=agreeing.agreement(agreeing.with_people(items, "both")),
        majority=agreeing.agreement(agreeing.with_majority(items, rule)),
        kappa_decided=agreeing.kappa(decided),
        groups=agreeing.grouped(items, rule),
        among_people=agreeing.agreement(agreeing.among_people(items), "no pair has the votes of two people"),
        ceiling=agreeing.ceiling(items, rule),
        ranks=agreeing.rank_agreement(items, rule),
        win_rates={
            "judge": agreeing.win_rates([v for i in items for v in i.judge]),
            "people": agreeing.win_rates([v for i in items for v in i.people]),
        },
        gains={name: gain(items, naive, rule) for name, naive in {"a coin": None, **naive_judges(items)}.items()},
        sure=sure(items),
        first_preference=behaviour.first_preference(items),
        length=behaviour.length_liking(items),
        lists=behaviour.list_liking(items),
        markup=behaviour.markup_liking(items),
        ties=behaviour.ties(items),
        distribution=behaviour.distribution(rows),
        draws=behaviour.draws(items),
        grade_spread=behaviour.grade_spread(rows),
        why_unparsed=why,
        cost=behaviour.cost(rows)[0],
        tokens=behaviour.cost(rows)[1],
        relatives=tuple(relatives(items, identity.model, rule)),
        overlaps=tuple(overlaps(items, identity.model, options.preferences_judge, options.reward_model)),
        constants=behaviour.constant_contestants(items),
        logits=_logits(items),
    )


def _logits(items: Sequence[Item]) -> dict[str, Figure]:
    """Position, length and noise of the verdicts on one scale (biases.py): what a simulated judge is made of."""
    rows = [_like_the_key(v) for i in items for v in i.judge]
    votes = [_like_the_key(v) for i in items for v in i.people]
    both = "no pair was judged in both orders"
    return {
        "position": of_interval(position_bias(rows), "logit", both),
        "length": of_interval(length_bias(rows, votes), "logit", f"{both} with known lengths that differ"),
        "noise": of_interval(noise(rows), "logit", "verdicts in words do not say how near they were"),
    }


def _like_the_key(vote: Vote) -> Annotation:
    """A row under the names by which both files were matched."""
    a, b = reversed(vote.key[2:]) if vote.turned else vote.key[2:]
    return replace(vote.row, task=vote.key[0], model_a=a, model_b=b)


def identify(rows: Sequence[Annotation], model: str = "") -> Identity:
    """What the rows themselves say about their judge."""
    first = rows[0]
    return Identity(
        judge=first.judge,
        model=model or first.judge_model,
        protocol=first.protocol,
        modes=dict(Counter(r.mode for r in rows if r.mode != "none").most_common()),
        orders=dict(Counter(r.order or "not told" for r in rows).most_common()),
        seeds=len({r.seed for r in rows}),
        rows=len(rows),
        prompt_hash=first.judge.partition("#")[2],
    )


def naive_judges(items: Sequence[Item]) -> dict[str, list[Item]]:
    return {"the longest answer": behaviour.longest(items), "the first answer": behaviour.first(items)}


def sure(items: Sequence[Item]) -> Figure:
    """Agreement with votes, without ties, on the pairs where both orders name the same winner."""
    steady = []
    for item in items:
        orders = {v.first_shown for v in item.judge if v.label is not None}
        winners = {v.label for v in item.judge}
        if len(orders - {None}) == 2 and len(winners) == 1 and winners <= {1, -1}:
            steady.append(item)
    reason = "no pair was judged in both orders with one winner"
    return agreeing.agreement(agreeing.with_people(steady), reason).without_ties


def _profiles(
    identity: Identity, items: Sequence[Item], beside: Sequence[Annotation], people: Sequence[Annotation], rule: Rule
) -> tuple[Profile, ...]:
    found = [profile(" · ".join(filter(None, (identity.judge, identity.model))), "judge", items, rule)]
    for (judge, model), rows in by_judge(beside).items():
        on_same = {i.key for i in items if i.judge}
        others = [i for i in match(rows, people) if i.key in on_same]
        found.append(profile(" · ".join(filter(None, (judge, model))), "beside", others, rule))
    found.append(_coin(items))
    found += [profile(name, "naive", naive, rule) for name, naive in naive_judges(items).items()]
    return tuple(found)


def profile(name: str, kind: str, items: Sequence[Item], rule: Rule = "mean") -> Profile:
    """One judge's line of the table."""
    told = agreeing.agreement(agreeing.with_people(items, rule))
    return Profile(
        name=name,
        kind=kind,
        each=agreeing.agreement(agreeing.each_verdict(items)).with_ties,
        with_ties=told.with_ties,
        without_ties=told.without_ties,
        kappa=agreeing.kappa(agreeing.with_majority(items, rule)),
        flips=behaviour.flips(items),
        first=behaviour.first_share(items),
        longer=behaviour.length_liking(items).judge,
        unparsed=behaviour.unparsed([v.row for i in items for v in i.judge])[0],
    )


def _coin(items: Sequence[Item]) -> Profile:
    """A fair coin, by its definition."""
    told = behaviour.coin(items)
    half = told["without_ties"]
    return Profile(
        name="a coin",
        kind="naive",
        each=told["each"],
        with_ties=told["with_ties"],
        without_ties=half,
        kappa=Figure(0.0, unit="correlation", reason="by its definition"),
        flips=Figure(0.5, reason="by its definition"),
        first=Figure(0.5, reason="by its definition"),
        longer=Figure(0.5, reason="by its definition"),
        unparsed=Figure(0.0, reason="by its definition"),
    )


def gain(items: Sequence[Item], naive: Sequence[Item] | None, rule: Rule) -> Figure:
    """Credit for the votes that name a winner (1 met, 0.5 where the judge ties, 0 missed), judge minus naive judge, on
    the pairs that both judged; None stands for a coin, whose credit is one half. A judge that names places ties on
    average, and gains nothing."""
    a, b, clusters = [], [], []
    for number, item in enumerate(items):
        one = label(outcome(item.judge, rule))
        two = 0 if naive is None else label(outcome(naive[number].judge, rule))
        for said in (v.label for v in item.people if v.label):
            if one is not None and two is not None:
                a.append((1 + one * said) / 2)
                b.append((1 + two * said) / 2)
                clusters.append(item.cluster)
    return difference(a, b, clusters, "no vote names a winner on a pair that both judged")


def _strangers(rows: Sequence[Annotation], people: Sequence[Annotation]) -> str:
    def some(found: Sequence[Annotation]) -> str:
        return f"sample {found[0].sample!r} of {found[0].model_a!r} and {found[0].model_b!r}"

    return (
        f"the judge's rows and people's share no pair: the first ones are {some(rows)}, and {some(people)}; "
        "both files must name samples and models alike"
    )
