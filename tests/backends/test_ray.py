"""The `ray` backend on real workers: the answers of one process, each once, in order, whoever dies meanwhile."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from checkpoints import build
from hypothesis import given
from hypothesis import strategies as st

from evalsuite import __version__
from evalsuite.backends.hf.backend import HFBackend
from evalsuite.backends.ray.backend import RayBackend, chunks, engine_model
from evalsuite.backends.ray.pool import TRIES, Pool
from evalsuite.backends.ray.worker import Answered, Setup, Started, Worker
from evalsuite.errors import BackendError, InputError, MissingExtra, ModelError
from evalsuite.models import Model, ModelOptions, renderer, resolve
from evalsuite.planning import Options, Planner
from evalsuite.records import Completion, Request, Sampling, Unit, user

ARGS = {"workers": "2", "cpus": "1", "chunk": "400"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A small Ray on this machine; backends use it as they find it, and leave it."""
    ray = pytest.importorskip("ray", reason="the package ray is not installed (pip install evalsuite[ray])")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local", num_cpus=4, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False,
        logging_level="error",
    )  # fmt: skip
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two checkpoints of one shape."""
    folder = tmp_path_factory.mktemp("ray")
    return tuple(build(folder / f"tiny{i}", max_position_embeddings=512, seed=i) for i in range(2))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def two(cluster: Any, shapes: tuple[Path, Path]) -> Iterator[RayBackend]:
    """Two workers on the first checkpoint."""
    backend = sharded(shapes[0])
    backend.loglikelihood(scored(backend.model, 1))
    both_there(backend)
    yield backend
    backend.close()
    assert cluster.is_initialized(), "a Ray that others started is theirs to end"


def sharded(folder: Path, **args: str) -> RayBackend:
    model = resolve(str(folder), ModelOptions(args={**ARGS, **args}), backend="ray")
    return RayBackend(model, renderer(model))


def build_adapter(folder: Path, base: Path) -> Path:
    """A LoRA adapter with random weights on a base."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    settings = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings).save_pretrained(folder)
    return folder


def both_there(backend: RayBackend) -> set[int]:
    """Process ids of two workers, as soon as there are two: a quick one may have answered all before the other woke."""
    deadline = time.monotonic() + 120
    while len(backend.workers) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    pids = {worker.pid for worker in backend.workers}
    assert len(pids) == 2
    return pids


def settled(backend: RayBackend) -> dict[str, float]:
    """The backend's counts with both workers in them: it learns of a worker's loading with the next answer, so of one
    that woke after the last chunk was answered only now."""
    both_there(backend)
    backend.loglikelihood(scored(backend.model, 1))
    return dict(backend.counts)


def alone(folder: Path) -> HFBackend:
    model = resolve(str(folder))
    return HFBackend(model, renderer(model))


def scored(model: Model, count: int = 40) -> list[Unit]:
    """Questions of differing lengths, three choices each: no two have the same log-probabilities."""
    texts = [f"Question {i}: how many legs has {'a very ' * (i % 7)}old spider?" for i in range(count)]
    requests = [Request("loglikelihood", (user(t),), continuations=(" eight", " seven legs", " 12")) for t in texts]
    return planned(model, requests)


def spoken(model: Model, sampling: Sampling, count: int = 24) -> list[Unit]:
    texts = [f"{'Once upon a time. ' * (i % 4)}Story {i}:" for i in range(count)]
    return planned(model, [Request("generate", (user(t),), sampling=sampling) for t in texts])


def planned(model: Model, requests: list[Request]) -> list[Unit]:
    planner = Planner(model, renderer(model), Options())
    return [unit for request in requests for unit in planner.plan(request).units]


def assert_close(found: list[Completion], wanted: list[Completion]) -> None:
    """House rule on sameness inside one engine: 1e-4 for each token."""
    assert len(found) == len(wanted)
    for mine, other in zip(found, wanted, strict=True):
        assert mine.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert mine.greedy == other.greedy


def test_two_workers_answer_as_one_process_in_the_units_order(two: RayBackend, shapes: tuple[Path, Path]) -> None:
    """Regression 15 (lm-eval PR#1477): data parallel workers return rows in the plan's order; `done` hears of each row
    once, at its place."""
    units = scored(two.model)
    heard: list[tuple[int, Completion]] = []
    found = two.loglikelihood(units, lambda place, completion: heard.append((place, completion)))
    assert_close(found, alone(shapes[0]).loglikelihood(units))
    assert len({c.logprobs for c in found}) == len(units), "the rows can be told apart"
    assert sorted(place for place, _ in heard) == list(range(len(units)))
    assert all(found[place] == completion for place, completion in heard)
    assert len(chunks(units, 400)) > 4
    assert os.getpid() not in both_there(two)


def test_the_number_of_workers_changes_no_bit(two: RayBackend, shapes: tuple[Path, Path]) -> None:
    """Chunks are cut by what they hold: one worker and two give the same floats and the same sampled texts."""
    drawn = spoken(two.model, Sampling(max_tokens=12, temperature=1.0, top_logprobs=2))
    one = sharded(shapes[0], workers="1")
    try:
        assert two.loglikelihood(scored(two.model)) == one.loglikelihood(scored(two.model))
        assert two.generate(drawn) == one.generate(drawn)
        assert len(one.workers) == 1
    finally:
        one.close()
    assert [c.text for c in two.generate(drawn)] == [c.text for c in alone(shapes[0]).generate(drawn)]


def test_a_worker_killed_in_mid_run_costs_time_only(two: RayBackend, shapes: tuple[Path, Path]) -> None:
    """Nothing lost, nothing doubled: the chunk of a worker that dies is done by another, and its place is filled."""
    units = spoken(two.model, Sampling(max_tokens=40), count=60)
    before = both_there(two)
    retries = two.counts["retries"]
    heard: Counter[int] = Counter()

    def done(place: int, completion: Completion) -> None:
        if not heard:
            for pid in before:
                os.kill(pid, signal.SIGKILL)
        heard[place] += 1

    found = two.generate(units, done)
    assert heard == Counter(range(len(units)))
    assert [c.text for c in found] == [c.text for c in alone(shapes[0]).generate(units)]
    two.loglikelihood(scored(two.model))
    assert two.counts["retries"] > retries
    assert not before & {w.pid for w in two.workers}, "the dead are replaced"


def test_workers_go_on_with_the_next_checkpoint(two: RayBackend, shapes: tuple[Path, Path]) -> None:
    """The processes stay, and their engines take weights of the same shape in place: nothing is loaded anew."""
    model = resolve(str(shapes[1]), ModelOptions(args=ARGS), backend="ray")
    units = scored(model)
    first = two.loglikelihood(units)
    before, pids = settled(two), both_there(two)
    assert two.switch(model, renderer(model))
    second = two.loglikelihood(units)
    assert_close(second, alone(shapes[1]).loglikelihood(units))
    assert second != first
    back = resolve(str(shapes[0]), ModelOptions(args=ARGS), backend="ray")
    assert two.switch(back, renderer(back))
    assert_close(two.loglikelihood(units), first)
    assert both_there(two) == pids
    after = settled(two)
    assert after["loads"] == before["loads"]
    assert after["forwarded_tokens"] > before["forwarded_tokens"]


def test_workers_take_adapters_of_their_base(two: RayBackend, shapes: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="adapters need the package peft")
    adapter = build_adapter(tmp_path / "adapter", shapes[0])
    model = resolve(str(adapter), ModelOptions(args=ARGS), backend="ray")
    units = scored(model)
    plain, loads = two.loglikelihood(units), settled(two)["loads"]
    assert two.switch(model, renderer(model))
    adapted = two.loglikelihood(units)
    assert_close(adapted, alone(adapter).loglikelihood(units))
    assert adapted != plain
    back = resolve(str(shapes[0]), ModelOptions(args=ARGS), backend="ray")
    assert two.switch(back, renderer(back))
    assert_close(two.loglikelihood(units), plain)
    assert settled(two)["loads"] == loads


def test_another_size_of_workers_is_another_backend(two: RayBackend) -> None:
    other = replace(two.model, options=ModelOptions(args={**ARGS, "workers": "3"}))
    assert not two.switch(other, renderer(other))


def test_a_folder_that_workers_do_not_see_is_one_line(cluster: Any, shapes: tuple[Path, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(shapes[0], tmp_path / "gone")
    backend = sharded(folder, workers="1")
    units = scored(backend.model, 2)
    shutil.rmtree(folder)
    try:
        with pytest.raises(ModelError, match=r"gone: is not on .* file system that all machines") as caught:
            backend.loglikelihood(units)
        assert "\n" not in str(caught.value)
    finally:
        backend.close()


def test_other_weights_under_the_same_path_are_refused(shapes: tuple[Path, Path]) -> None:
    """A machine whose folder holds another model than the driver's would mix two models' answers in one run."""
    model = engine_model(resolve(str(shapes[0]), backend="ray"))
    setup, probe = Setup(replace(model, fingerprint="0" * 16), "another machine", {}), scored(model, 1)[0]
    with pytest.raises(ModelError, match="holds another model"):
        Worker().start(setup, probe)
    with pytest.raises(InputError, match=f"has evalsuite {__version__}, the driver 0.0"):
        Worker().start(replace(setup, version="0.0"), probe)


@pytest.fixture
def pool(cluster: Any, shapes: tuple[Path, Path]) -> Iterator[Pool]:
    class Troubled:  # here and not outside, so that it travels whole: workers cannot import a test
        """An actor as the pool knows them; the messages of its units say what befalls it."""

        def start(self, setup: Setup, probe: Unit) -> Started:
            return Started(os.getpid(), "here", True, {"chunk_tokens": os.getpid()})

        def answer(self, kind: str, units: list[Unit], limits: dict[str, int]) -> Answered:
            for unit in units:
                if unit.prompt == "die":
                    os._exit(1)
                if unit.prompt == "break":
                    raise RuntimeError("CUDA error: an illegal memory access")
                if unit.prompt == "refuse":
                    raise InputError("line 3: no such thing")
            return Answered([Completion(text=f"{limits}") for _ in units], {}, limits)

    setup = Setup(engine_model(resolve(str(shapes[0]), backend="ray")), "here", {})
    made = Pool(2, setup, cluster.remote(Troubled).options(num_cpus=1).remote, cluster.kill)
    yield made
    made.close()


def asked(prompt: str) -> list[Unit]:
    return [Unit(prompt, "generate", (), prompt=prompt)]


def test_work_that_kills_its_workers_ends_after_some(pool: Pool) -> None:
    fine = [pool.submit("generate", asked(f"{i}"), {}) for i in range(5)]
    deadly = pool.submit("generate", asked("die"), {})
    broken = pool.submit("generate", asked("break"), {})
    refused = pool.submit("generate", asked("refuse"), {})
    with pytest.raises(BackendError, match=f"{TRIES} workers were lost over the same 1 requests"):
        deadly.result(60)
    with pytest.raises(BackendError, match="illegal memory access"):
        broken.result(60)
    with pytest.raises(InputError, match=r"^line 3: no such thing$"):
        refused.result(60)
    assert [len(f.result(60).completions) for f in fine] == [1] * 5
    assert pool.submit("generate", asked("again"), {}).result(60).completions
    assert pool.counts["retries"] == 2 * (TRIES - 1)


def test_what_one_worker_measured_holds_for_all(pool: Pool) -> None:
    """Two workers that calibrate to different budgets would batch equal chunks differently."""
    answers = [pool.submit("generate", asked(f"{i}"), {}).result(60) for i in range(4)]
    answers += [f.result(60) for f in [pool.submit("generate", asked(f"{i}"), {}) for i in range(20)]]
    assert len({c.text for a in answers for c in a.completions}) == 1


def test_an_abandoned_chunk_is_taken_back(pool: Pool) -> None:
    futures = [pool.submit("generate", asked(f"{i}"), {}) for i in range(8)]
    taken = [future for future in futures if future.cancel()]
    assert all(future.result(60).completions for future in futures if future not in taken)
    pool.close()
    late = pool.submit("generate", asked("late"), {})
    assert not late.done()


lengths = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60), st.integers(1, 9)), max_size=60)


@given(lengths, st.integers(1, 400))
def test_chunks_hold_every_unit_once_in_order(shape: list[tuple[int, int, int]], budget: int) -> None:
    """Law: chunks are a partition of the units in their order, and one with several units is within its budget."""
    units = [
        Unit(f"{i}", "loglikelihood", (), prompt_ids=(head,) * length, continuation_ids=(9,) * tail)
        for i, (head, length, tail) in enumerate(shape)
    ]
    cut = chunks(units, budget)
    assert [place for chunk in cut for place in chunk] == list(range(len(units)))
    for chunk in cut:
        if len(chunk) > 1:
            texts = {u.prompt_ids + u.continuation_ids for u in (units[i] for i in chunk)}
            assert len({text[: k + 1] for text in texts for k in range(len(text))}) <= budget


def test_chunks_end_where_the_least_is_shared() -> None:
    """Four choices of one question stay together, though the budget is full in the middle of a question."""
    units = [
        Unit(f"{i}{k}", "loglikelihood", (), prompt_ids=(1, 2, i, *(7,) * 30), continuation_ids=(k,))
        for i in range(6)
        for k in range(4)
    ]
    cut = chunks(units, 90)
    assert len(cut) > 1
    assert all(len(chunk) % 4 == 0 for chunk in cut)
    assert chunks(units) == [list(range(24))], "a small call is one chunk"
    assert chunks([]) == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"engine": "openai"}, "engine=openai: known are hf, vllm"),
        ({"chunk": "0"}, "chunk=0: a whole number of at least 1"),
    ],
)
def test_arguments_are_checked_before_anything_starts(shapes: Any, args: dict[str, str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        sharded(shapes[0], **args)


def test_arguments_of_the_cluster_change_no_answer(shapes: tuple[Path, Path]) -> None:
    """Where a run computes is not what it computes: the cache is shared with the engine alone."""
    plain = resolve(str(shapes[0]))
    spread = resolve(str(shapes[0]), ModelOptions(args={**ARGS, "address": "auto", "gpus": "0"}), backend="ray")
    assert spread.identity == plain.identity
    assert spread.engine == plain.engine
    assert planned(spread, [Request("generate", (user("x"),))]) == planned(plain, [Request("generate", (user("x"),))])
    inner = engine_model(spread)
    assert (inner.backend, dict(inner.options.args), inner.options.dtype) == ("hf", {}, "float32")


def test_without_ray_there_is_one_line(shapes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install evalsuite\[ray\]"):
        sharded(shapes[0])


def test_importing_the_backend_imports_no_ray() -> None:
    code = "import sys, evalsuite.backends.ray; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
