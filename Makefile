# Every target does all its own set-up on a fresh machine: scripts/setup_env.py makes the environment (once), then runs
# the command in it. Nothing here needs make: the same lines work by hand, on Windows too.
#
#   make grpo ARGS="--seed 1"               options of the command
#   make speedrun SCALE=micro               how large everything is
#   make grpo PYTHON=/path/to/python        the interpreter to build on; a torch >= 2.9 it has is reused, never replaced
#   make test VENV=/tmp/env FRESH=1         another place for the environment; FRESH=1 reuses nothing

ifeq ($(OS),Windows_NT)
PYTHON ?= python
else
PYTHON ?= python3
endif
VENV ?= .venv
FRESH ?=
ARGS ?=
SCALE ?= nano

SETUP = "$(PYTHON)" scripts/setup_env.py --venv "$(VENV)" $(if $(FRESH),--fresh)

.DEFAULT_GOAL := help
.PHONY: help grpo speedrun test mutants check notebooks lint clean

help:
	@echo "make grpo     teach the shipped base model to reason by reinforcement learning (GRPO on gsm8k-mini)"
	@echo "make speedrun  from random weights through everything, with a report card (SCALE=pico, nano or micro)"
	@echo "make test     run the tests"
	@echo "make mutants  show that each known wrong version of an objective is caught by a test"
	@echo "make check    prove the course: solutions pass, stubs and mutants do not, nothing generated is stale"
	@echo "make notebooks  make the notebooks out of lectures/*/notebook.py and run them (ARGS=--fast: only see that they run)"
	@echo "make lint     check style, layout and types: ruff and mypy"
	@echo "make clean    remove caches and build artefacts (keeps runs/ and $(VENV))"
	@echo
	@echo 'Options: ARGS="--seed 1" for the command; PYTHON=/path/to/python to build on; VENV=folder (now $(VENV))'

grpo:
	@$(SETUP) --run -m minilrm.grpo --task gsm8k-mini $(ARGS)

speedrun:
	@$(SETUP) --run -m minilrm.speedrun --scale $(SCALE) $(ARGS)

test:
	@$(SETUP) --extras dev --run -m pytest -q -n 2 --dist loadfile $(ARGS)

mutants:
	@$(SETUP) --extras dev --run -m tests.mutants

check:
	@$(SETUP) --extras dev --run -m course check $(ARGS)

notebooks:
	@$(SETUP) --extras dev --run scripts/notebooks.py $(ARGS)

lint:
	@$(SETUP) --extras dev --run -m ruff check .
	@$(SETUP) --extras dev --run -m ruff format --check .
	@$(SETUP) --extras dev --run -m mypy

clean:
	rm -rf build dist ./*.egg-info .pytest_cache .ruff_cache .hypothesis
	find minilrm course studies tests scripts -type d -name __pycache__ -prune -exec rm -rf {} +
