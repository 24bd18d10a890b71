"""The openai backend against vLLM's own server (CPU build): log-likelihoods equal a plain computation to 1e-3."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoints import BOS_TEMPLATE, build, tokenizer

from evalsuite.backends.openai.backend import OpenAIBackend
from evalsuite.models import ModelOptions, resolve
from evalsuite.records import Sampling, Unit, user

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="vllm's CPU build compiles with g++ at run time"),
]
STARTS_WITHIN = 420


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # vLLM's CPU attention wants heads of 32 or more.
    return build(
        tmp_path_factory.mktemp("vllm") / "tiny",
        tokens=tokenizer(template=BOS_TEMPLATE),
        hidden_size=128,
        head_dim=32,
        max_position_embeddings=512,
    )


@pytest.fixture(scope="module")
def engine(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAIBackend]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", "tiny", "--dtype", "float32", "--max-model-len", "512", "--enforce-eager"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--generation-config", "vllm"]
    log = tmp_path_factory.mktemp("log") / "vllm.txt"
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    with log.open("w") as lines:
        server = subprocess.Popen(command, stdout=lines, stderr=subprocess.STDOUT, env=environment)
    try:
        _wait(server, f"http://127.0.0.1:{port}/health", log)
        backend = OpenAIBackend(resolve(f"openai:tiny@http://127.0.0.1:{port}", ModelOptions()))
        yield backend
        backend.close()
    finally:
        server.terminate()
        try:
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end:
        if server.poll() is not None:
            pytest.fail(f"vllm ended: {log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(1)
    pytest.fail(f"vllm was not up after {STARTS_WITHIN} s: {log.read_text()[-3000:]}")


CONTEXTS = [
    "Q: What is the capital of France?\nA:",
    "The quick brown",
    "Москва and 東京 are",
    "Once upon a time, ",
    "x",
]
CONTINUATIONS = [
    " Paris",
    " fox jumps over the lazy dog.",
    " cities; so is Αθήνα. 🙂",
    "東京",
    "there were 12 naïve cafés",
]


def test_log_likelihoods_agree_across_engines(engine: OpenAIBackend, folder: Path) -> None:
    """Guards regression item 9 (one model, two engines, the same numbers) within 1e-3 for each token."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    units = [Unit("f", "loglikelihood", (user(c),), prompt=c, continuation=t) for c in CONTEXTS for t in CONTINUATIONS]
    gap = 0.0
    for unit, answer in zip(units, engine.loglikelihood(units), strict=True):
        encoded = tokens((unit.prompt or "") + unit.continuation, return_offsets_mapping=True)
        ids = encoded.input_ids
        first = next(i for i, (_, end) in enumerate(encoded.offset_mapping) if end > len(unit.prompt or ""))
        with torch.no_grad():
            table = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        plain = [float(table[i - 1, ids[i]]) for i in range(first, len(ids))]
        assert len(answer.logprobs) == len(plain), unit
        assert answer.greedy == all(int(table[i - 1].argmax()) == ids[i] for i in range(first, len(ids)))
        gap = max(gap, *(abs(a - b) for a, b in zip(answer.logprobs, plain, strict=True)))
    print(f"largest gap of a token: {gap:.1e} nats over {len(units)} pairs")
    assert gap < 1e-3


def test_generation_agrees_across_engines(engine: OpenAIBackend, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompts = ["How many legs has a spider?", "Name a city.", "Say 東京."]
    sampling = Sampling(max_tokens=12, top_logprobs=5)
    answers = engine.generate([Unit("f", "generate", (user(p),), sampling=sampling) for p in prompts])
    for prompt, answer in zip(prompts, answers, strict=True):
        chat = tokens.apply_chat_template([user(prompt)], add_generation_prompt=True, return_dict=False)
        with torch.no_grad():
            made = model.generate(torch.tensor([chat]), max_new_tokens=12, do_sample=False)[0, len(chat) :].tolist()
            table = model(torch.tensor([chat])).logits[0, -1].log_softmax(-1)
        assert answer.text == tokens.decode(made, skip_special_tokens=True)
        assert answer.prompt_tokens == len(chat)
        assert answer.tokens == len(made)
        assert answer.logprobs[0] == pytest.approx(float(table.max()), abs=1e-3)
        # Pieces of characters share a text, and their probabilities add up.
        assert max(answer.top_logprobs[0].values()) >= float(table.max()) - 1e-3


def test_sampled_draws_are_repeatable(engine: OpenAIBackend) -> None:
    """Guards regression item 10's flavour: a unit's seed decides its draw, and another seed draws another text."""
    sampling = Sampling(max_tokens=12, temperature=1.0)
    units = [Unit("f", "generate", (user("Say something."),), sampling=sampling, seed=s) for s in (1, 2, 1)]
    first, second, again = engine.generate(units)
    assert first.text == again.text != second.text


def test_too_long_is_that_requests_own(engine: OpenAIBackend) -> None:
    long, short = engine.generate(
        [Unit("f", "generate", (user(text),), sampling=Sampling(max_tokens=8)) for text in ("word " * 900, "word")]
    )
    assert (long.error or "").startswith("too_long: ")
    assert short.error is None
