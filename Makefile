# make help lists the targets; make sweep and make test set themselves up.
PY ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
UV_VERSION := 0.13.8
TORCH_VERSION := 2.13.0
EXPERIMENT ?= pydocs
DATA ?=
ARGS ?=
PORT ?= 5000
KILLS ?= 20
WORKERS ?= 2
# A variable that nothing reads, as in make run arch=colbert, would change nothing.
KNOWN := PY VENV UV_VERSION TORCH_VERSION EXPERIMENT DATA ARGS PORT KILLS WORKERS RUN UV_FIND_LINKS PIP_FIND_LINKS
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach name,$(filter-out $(KNOWN),$(GIVEN)),$(error \
  $(name) is no variable of this Makefile; overrides go into ARGS: make run ARGS="$(name)=$($(name))"))
# On a machine whose pip knows a folder of wheels, the CPU build of torch there is taken.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help setup audit sweep run plan ui report promote clean-cache test chaos lint lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install everything that requirements.lock pins into .venv

$(READY): requirements.lock pyproject.toml
	@echo "setting up $(VENV) (once; about 2 GB, or several more if the index has torch for CUDA)"
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed, e.g. make PY=python3.11"; exit 2; }
	@$(PY) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install -q torch==$(TORCH_VERSION) -c requirements.lock
	@$(BIN)/uv pip install -q --no-deps -r requirements.lock
	@$(BIN)/uv pip install -q --no-deps -e .
	@touch $@

audit: $(READY) ## look for faults in labelled data before training: DATA=FILE ARGS="--strict"
	@test -n "$(DATA)" || { echo "error: name the file: make audit DATA=FILE"; exit 2; }
	@$(BIN)/python -m pipeline audit "$(DATA)" $(ARGS)

sweep: $(READY) ## train and compare a grid: EXPERIMENT=pydocs (default), smoke or report
	@$(BIN)/python -m pipeline sweep experiment=$(EXPERIMENT) $(ARGS)

run: $(READY) ## one grid point: ARGS="arch=colbert negatives=1 train.learning_rate=1e-4" EXPERIMENT=...
	@$(BIN)/python -m pipeline $(if $(filter-out file,$(origin EXPERIMENT)),experiment=$(EXPERIMENT)) $(ARGS)

plan: $(READY) ## what a grid would do, without doing it: EXPERIMENT=report
	@$(BIN)/python -m pipeline plan experiment=$(EXPERIMENT) $(ARGS)

ui: $(READY) ## browse the runs in the MLflow UI on loopback: PORT=5000, ARGS as for report
	@$(BIN)/python -m pipeline ui --port $(PORT) $(ARGS)

report: $(READY) ## the latest sweep, or ARGS="RUN_A RUN_B", in outputs/report; not pydocs: ARGS=tracking.experiment=beir
	@$(BIN)/python -m pipeline report experiment=$(EXPERIMENT) $(ARGS)

promote: $(READY) ## make a run's model the champion: RUN=NAME ARGS="name=NAME force=true"
	@test -n "$(RUN)" || { echo "error: give a run, as in make promote RUN=NAME" >&2; exit 2; }
	@$(BIN)/python -m pipeline promote $(RUN) $(ARGS)

clean-cache: $(READY) ## remove cached stage outputs that no finished run has used: ARGS=--dry-run
	@$(BIN)/python -m pipeline clean-cache $(ARGS)

test: $(READY) ## every test that needs no hub and no GPU: WORKERS=2 ARGS=tests/test_mine.py
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: $(READY) ## sweeps killed at 20 random moments and resumed, stage files damaged: KILLS=20
	@CHAOS_KILLS=$(KILLS) $(BIN)/python -m pytest -q -m chaos tests/chaos $(ARGS)

lint: $(READY) ## ruff, mypy and the layers of pyproject.toml
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock: ## resolve the dependencies anew (needs uv in .venv)
	UV_FIND_LINKS= $(BIN)/uv lock
	UV_FIND_LINKS= $(BIN)/uv export -q --frozen --prune torch --no-hashes --no-emit-project \
	  --no-header --no-annotate > requirements.lock
