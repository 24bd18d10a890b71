"""Prefix trees, slots and budgets: equal to the plain computation, each distinct prefix once, visible where not."""

import logging
from pathlib import Path
from typing import Any

import pytest
from checkpoints import KINDS, build
from hypothesis import given, settings
from hypothesis import strategies as st

from evalsuite.backends.hf import memory, sharing
from evalsuite.backends.hf.backend import HFBackend
from evalsuite.backends.hf.score import score_rows, score_tree
from evalsuite.backends.hf.tree import Tree, walk
from evalsuite.errors import BackendError
from evalsuite.models import ModelOptions, renderer, resolve
from evalsuite.planning.groups import distinct_tokens
from evalsuite.records import Completion, Sampling, Unit, user

Sequences = list[tuple[int, ...]]


def engine(folder: Path, **args: str) -> HFBackend:
    model = resolve(str(folder), ModelOptions(args=args))
    made = renderer(model)
    assert made is not None
    return HFBackend(model, made)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> HFBackend:
    return engine(build(tmp_path_factory.mktemp("sharing") / "tiny", max_position_embeddings=512))


def pair(context: tuple[int, ...], wanted: tuple[int, ...]) -> Unit:
    return Unit(f"{context}{wanted}", "loglikelihood", (), prompt_ids=context, continuation_ids=wanted)


ids = st.lists(st.integers(3, 6), min_size=1, max_size=12).map(tuple)


@given(st.lists(ids, min_size=1, max_size=20))
def test_a_tree_holds_each_distinct_prefix_once(sequences: Sequences) -> None:
    """Law: sorted sequences make a tree of as many nodes as there are distinct prefixes, and every path spells its
    sequence."""
    tree = Tree()
    paths = {s: list(tree.add(s)) for s in sorted(sequences)}
    assert tree.size == len({s[: k + 1] for s in sequences for k in range(len(s))})
    token = {seg.first + i: t for seg in tree.segments for i, t in enumerate(seg.tokens)}
    for sequence, path in paths.items():
        assert tuple(token[node] for node in path) == sequence
        assert tree.path_to(path[-1]) == path


@settings(max_examples=40)
@given(pairs=st.lists(st.tuples(ids, ids), min_size=1, max_size=12), chunk=st.sampled_from([1, 3, 7, 64]))
def test_a_tree_scores_as_rows_do(shared: HFBackend, pairs: list[Any], chunk: int) -> None:
    """Law: whatever is shared and wherever chunks are cut, log-probabilities are those of padded rows."""
    tree: dict[int, Completion] = {}
    rows: dict[int, Completion] = {}
    score_tree(shared.net, pairs, chunk, 5, tree.__setitem__)
    score_rows(shared.net, pairs, range(len(pairs)), rows.__setitem__)
    assert sorted(tree) == list(range(len(pairs)))
    for i in rows:
        assert tree[i].logprobs == pytest.approx(rows[i].logprobs, abs=1e-4)
        assert (tree[i].greedy, tree[i].tokens) == (rows[i].greedy, rows[i].tokens)


def test_logits_come_in_parts_where_they_would_be_large(shared: HFBackend) -> None:
    tree = Tree()
    path = list(tree.add(tuple(range(3, 40))))
    chunks = list(walk(shared.net, tree, path, 16, 5))
    assert all(len(chunk.read) <= 5 and chunk.end - chunk.first <= 16 for chunk in chunks)
    assert [node for chunk in chunks for node in chunk.read] == path


def test_every_distinct_prefix_is_forwarded_once(shared: HFBackend) -> None:
    """Few-shot prefix → question → choices: forwarded tokens are the trie's, without the last token of each leaf."""
    prefix = tuple(range(3, 60))
    asked = [pair((*prefix, q, q + 1), (c, c + 1)) for q in range(60, 70) for c in range(80, 84)]
    shared.loglikelihood(asked[:1])  # the first call tries whether prefixes may be shared
    before = shared.net.tokens
    shared.loglikelihood(asked)
    assert shared.net.tokens - before == distinct_tokens(asked) - len(asked)
    assert shared.counts["forwarded_tokens"] == shared.net.tokens


def test_one_token_choices_share_one_forward(shared: HFBackend) -> None:
    asked = [pair((5, 6, 7), (c,)) for c in range(10, 30)]
    before = shared.net.tokens
    answers = shared.loglikelihood(asked)
    assert shared.net.tokens - before == 3
    assert len({a.logprob for a in answers}) == 20


def test_samples_of_one_prompt_share_its_prefill(shared: HFBackend) -> None:
    """16 draws of a prompt prefill it once; each draw is what it would be alone."""
    prompt = tuple(range(3, 43))
    sampling = Sampling(max_tokens=6, temperature=1.0)
    asked = [Unit(str(i), "generate", (), prompt_ids=prompt, sampling=sampling, seed=i) for i in range(16)]
    before = shared.net.prefilled
    together = shared.generate(asked)
    assert shared.net.prefilled - before == len(prompt)
    assert together == [shared.generate([unit])[0] for unit in asked]
    assert len({answer.text for answer in together}) > 8


def test_waiting_rows_take_the_place_of_finished_ones(shared: HFBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four slots, twenty texts of unequal length: no step runs empty slots while texts wait."""
    counts: list[int] = []
    step = sharing.step

    def watch(net: Any, tokens: Any, slots: Any) -> Any:
        counts.append(len(tokens))
        return step(net, tokens, slots)

    monkeypatch.setattr("evalsuite.backends.hf.generate.step", watch)
    small = engine(Path(shared.model.address), batch_size="4")
    asked = [
        Unit(str(i), "generate", (), prompt_ids=(3 + i, 4, 5), sampling=Sampling(max_tokens=2 + i % 7))
        for i in range(20)
    ]
    answers = small.generate(asked)
    assert counts[0] == 4
    assert counts == sorted(counts, reverse=True)  # fewer rows only once nobody waits
    assert sum(counts) == sum(a.tokens - 1 for a in answers)
    assert [a.text for a in answers] == [shared.generate([unit])[0].text for unit in asked]


@pytest.mark.parametrize("kind", [*KINDS, "mamba", "bloom"])
def test_where_sharing_cannot_be_it_falls_back_and_says_so(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """ALiBi (BLOOM) ignores our positions, Mamba has no cache; Gemma's window of 8 bounds what may be shared."""
    backend = engine(build(tmp_path / kind, kind))
    with caplog.at_level(logging.WARNING, "evalsuite"):
        sharing = backend.sharing
    if kind in ("mamba", "bloom"):
        assert sharing.reason
        assert sharing.reason in caplog.text
    else:
        assert not sharing.reason
        assert not caplog.records
        assert (sharing.longest == 8) == kind.startswith("gemma")
    plain = engine(tmp_path / kind, share="false")
    asked = [pair(tuple(range(3, 3 + n)), (20, 21, 22)) for n in (2, 5, 9, 30)]
    for a, b in zip(backend.loglikelihood(asked), plain.loglikelihood(asked), strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
    said = [
        Unit(str(n), "generate", (user("x"),), prompt_ids=tuple(range(3, 3 + n)), sampling=Sampling(5)) for n in (2, 9)
    ]
    assert [a.text for a in backend.generate(said)] == [a.text for a in plain.generate(said)]


def test_out_of_memory_halves_and_goes_on(
    shared: HFBackend, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network refuses forwards of more than 24 tokens, as an allocator would; the rest of the group is done with
    halved budgets, the answers are the same, and the halving is said and kept."""
    small = engine(Path(shared.model.address), batch_tokens="256", slot_tokens="256")
    net = small.net
    run = net.module.forward

    def tight(*args: Any, **given: Any) -> Any:
        if given["input_ids"].numel() > 24:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        return run(*args, **given)

    small.sharing  # noqa: B018
    monkeypatch.setattr(net.module, "forward", tight)
    asked = [pair((q, *range(3, 20)), (c, c + 1)) for q in range(40, 46) for c in range(50, 53)]
    with caplog.at_level(logging.WARNING, "evalsuite"):
        answers = small.loglikelihood(asked)
    assert small.limits["chunk_tokens"] == 16
    assert "chunk_tokens halved to 16" in caplog.text
    for a, b in zip(answers, shared.loglikelihood(asked), strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)
    spoken = [Unit(str(i), "generate", (), prompt_ids=(i, 4), sampling=Sampling(3)) for i in range(3, 40)]
    assert [a.text for a in small.generate(spoken)] == [a.text for a in shared.generate(spoken)]
    monkeypatch.setattr(net.module, "forward", lambda **given: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(BackendError, match="out of memory"):
        small.loglikelihood(asked)


def test_budgets_are_powers_of_two_within_what_is_free(shared: HFBackend) -> None:
    found = memory.calibrate(shared.net)
    made = memory.budgets(shared.net, found)
    for tokens in made.values():
        assert tokens & (tokens - 1) == 0
    tight = memory.budgets(shared.net, memory.Calibration(found.cache, found.work, 1 << 20))
    assert tight["slot_tokens"] * found.cache <= 1 << 20
    assert tight["chunk_tokens"] < made["chunk_tokens"]
