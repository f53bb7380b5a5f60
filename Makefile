# make help lists the targets. The first target that needs .venv installs it.
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
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Refuse unknown variables: "make run arch=colbert" would silently run the default point.
KNOWN := PY VENV UV_VERSION TORCH_VERSION EXPERIMENT DATA ARGS PORT KILLS WORKERS RUN UV_FIND_LINKS PIP_FIND_LINKS
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
$(foreach name,$(filter-out $(KNOWN),$(GIVEN)),$(error \
  $(name) is not a variable of this Makefile;$(if $(filter audit,$(MAKECMDGOALS)), the file is DATA: make audit DATA=FILE,\
  overrides go into ARGS: make $(or $(MAKECMDGOALS),run) ARGS="$(name)=$($(name))")))

# uv reads a local folder of wheels from the setting that pip already has. It may hold the CPU build of torch.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export MLFLOW_DISABLE_TELEMETRY := true
# Many containers set PYTHONDONTWRITEBYTECODE. Every process then compiles torch and transformers again (10 to 20 s).
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup audit plan sweep run ui report promote clean-cache check test chaos bench lint lock

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  ARGS takes overrides and options: make run ARGS="arch=colbert", make sweep ARGS=--help'

setup: $(READY) ## install the versions of requirements.lock into .venv

$(READY): requirements.lock pyproject.toml
	@echo "installing $(VENV) (once; about 2 GB, several more if the index has torch for CUDA)"
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed, e.g. make PY=python3.11" >&2; exit 2; }
	@$(PY) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install -q torch==$(TORCH_VERSION) -c requirements.lock
	@$(BIN)/uv pip install -q --no-deps -r requirements.lock
	@$(BIN)/uv pip install -q --no-deps -e .
	@touch $@

audit: $(READY) ## check labelled data before training: DATA=FILE ARGS=--strict
	@test -n "$(DATA)" || { echo "error: name the file: make audit DATA=FILE" >&2; exit 2; }
	@$(BIN)/python -m pipeline audit "$(DATA)" $(ARGS)

plan: $(READY) ## show what a sweep would do and how long it takes: EXPERIMENT=report
	@$(BIN)/python -m pipeline plan experiment=$(EXPERIMENT) $(ARGS)

sweep: $(READY) ## train and compare a grid: EXPERIMENT=pydocs, pydocs_full, forms, seeds, curve, smoke, report
	@$(BIN)/python -m pipeline sweep experiment=$(EXPERIMENT) $(ARGS)

run: $(READY) ## run one point: ARGS="arch=colbert negatives=2" EXPERIMENT=finetune
	@$(BIN)/python -m pipeline run $(if $(filter-out file,$(origin EXPERIMENT)),experiment=$(EXPERIMENT)) $(ARGS)

ui: $(READY) ## browse the runs in the MLflow UI on loopback: PORT=5000
	@$(BIN)/python -m pipeline ui --port $(PORT) $(ARGS)

report: $(READY) ## compare the latest sweep, or ARGS="RUN_A RUN_B", as a page
	@$(BIN)/python -m pipeline report experiment=$(EXPERIMENT) $(ARGS)

promote: $(READY) ## make a run's model the champion: RUN=NAME ARGS="search=fts order=fused"
	@test -n "$(RUN)" || { echo "error: name the run: make promote RUN=NAME" >&2; exit 2; }
	@$(BIN)/python -m pipeline promote $(RUN) $(ARGS)

clean-cache: $(READY) ## remove cached outputs that no run uses: ARGS=--dry-run
	@$(BIN)/python -m pipeline clean-cache $(ARGS)

check: lint ## lint and the fast tests, in two minutes: ARGS=tests/data
	@$(PYTEST) -m "not slow and not chaos" $(ARGS)

test: $(READY) ## every test that needs no hub and no GPU: WORKERS=8 ARGS=tests/data
	@$(PYTEST) $(ARGS)

chaos: $(READY) ## kill sweeps at random moments and resume them: KILLS=20
	@CHAOS_KILLS=$(KILLS) $(BIN)/python -m pytest -q -m chaos tests/chaos $(ARGS)

bench: $(READY) ## compare the speed with the stock way, as ratios: ARGS="grid overhead"
	@$(BIN)/python -m benchmarks.bench $(ARGS)

lint: $(READY) ## format, ruff, mypy and the layers of pyproject.toml
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

lock: ## resolve the dependencies again (needs uv in .venv)
	UV_FIND_LINKS= $(BIN)/uv lock
	UV_FIND_LINKS= $(BIN)/uv export -q --frozen --prune torch --no-hashes --no-emit-project \
	  --no-header --no-annotate > requirements.lock
