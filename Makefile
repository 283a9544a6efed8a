# A machine with Python 3.11 (with venv) and make is enough: `make demo`, `make test`. Everything is installed into
# .venv and written under $(OMGOV_HOME).

PYTHON      ?= $(shell command -v python3.11 || command -v python3)
VENV        ?= .venv
OMGOV_HOME  ?= .omgov
DEFINITIONS ?= 20000
INSTANCES   ?= 2000000
SEED        ?= 7
DAY         ?= 2026-11-20
PORT        ?= 3000
SERVE_PORT  ?= 8080
WORKERS     ?= logical
PYTEST_ARGS ?=

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS     += --no-print-directory

# Whatever make starts works on this home, wherever it changes its folder to.
override OMGOV_HOME := $(abspath $(OMGOV_HOME))
export OMGOV_HOME
export DAGSTER_HOME := $(OMGOV_HOME)/dagster
export GX_ANALYTICS_ENABLED := false

BIN   := $(VENV)/bin
OMGOV := $(BIN)/omgov
PIP   := $(BIN)/python -m pip --disable-pip-version-check -qq

# Which firm lies in the landing folder; another size, seed or day is another firm.
FIRM := $(OMGOV_HOME)/.sample-firm-$(DEFINITIONS)-$(INSTANCES)-$(SEED)-$(DAY)

.PHONY: help demo test ui serve bench lint screenshots clean

help: ## what can be made
	@echo "omgov: O&M data governance of a securities firm"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  settings: DEFINITIONS=$(DEFINITIONS) INSTANCES=$(INSTANCES) SEED=$(SEED) DAY=$(DAY)"
	@echo "            OMGOV_HOME=$(OMGOV_HOME) PYTHON=$(PYTHON) PORT=$(PORT)"

demo: $(FIRM) $(DAGSTER_HOME)/dagster.yaml ## a sample firm, one night of governance, its rankings
	@echo
	@echo "==> The night of $(DAY)"
	@# 2 says that something was refused or not delivered: the sample firm sees to that.
	@$(OMGOV) run --day $(DAY) || [ $$? -eq 2 ]
	@for dimension in anomaly_type business_system application support_group owner; do \
	    echo; echo "==> Anomalies by $$dimension"; \
	    $(OMGOV) rankings --by $$dimension --top 5 --day $(DAY); \
	done
	@echo
	@echo "==> What was found of what had been planted"
	@$(OMGOV) evaluate --day $(DAY)
	@echo
	@report=$(OMGOV_HOME)/report/$(DAY)/index.html; \
	    [ -f "$$report" ] && echo "Report:  $$report" || echo "Report:  none was written under $(OMGOV_HOME)/report"
	@echo "UI:      make ui, then http://127.0.0.1:$(PORT)"
	@echo "Service: make serve, then http://127.0.0.1:$(SERVE_PORT): pages for stewards, REST, Delta Sharing"

$(FIRM): | $(VENV)/.installed
	@echo "==> Sample firm: $(DEFINITIONS) definitions, $(INSTANCES) instances, seed $(SEED), $(DAY)"
	@mkdir -p $(OMGOV_HOME)
	@rm -f $(OMGOV_HOME)/.sample-firm-*
	@$(OMGOV) sample-firm --out $(OMGOV_HOME) --definitions $(DEFINITIONS) --instances $(INSTANCES) \
	    --days 1 --day $(DAY) --seed $(SEED)
	@touch $@

test: $(VENV)/.installed-dev ## all tests
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev ## style, types, and the floors of the house
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

ui: $(VENV)/.installed $(DAGSTER_HOME)/dagster.yaml ## the Dagster UI on the same home
	@echo "==> http://127.0.0.1:$(PORT) (Ctrl-C ends it)"
	@$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(PORT)

serve: $(VENV)/.installed ## the interface service on the same home: pages, REST, Delta Sharing, ingest
	@echo "==> http://127.0.0.1:$(SERVE_PORT) (Ctrl-C ends it); who asks brings a token, such as that of"
	@echo "    $(OMGOV) access token create --principal steward --scope read --scope act --as YOU --home $(OMGOV_HOME)"
	@$(OMGOV) serve --port $(SERVE_PORT)

bench: $(VENV)/.installed-bench ## side-by-side measurements
	@ls benchmarks/bench_*.py >/dev/null
	@for benchmark in benchmarks/bench_*.py; do echo "==> $$benchmark"; $(BIN)/python $$benchmark; done

screenshots: $(VENV)/.installed-screenshots $(DAGSTER_HOME)/dagster.yaml ## docs/screenshots/*.png of the last demo, with Chromium
	@$(BIN)/python docs/make_screenshots.py --day $(DAY)

clean: ## remove the environment and what tools left behind; the home stays
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "$(OMGOV_HOME) is kept; remove it yourself if its lake is not needed."

# Only the dagster.yaml under DAGSTER_HOME counts.
$(DAGSTER_HOME)/dagster.yaml:
	@mkdir -p $(@D)
	@ln -sfn $(CURDIR)/dagster.yaml $@

$(BIN)/python:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "omgov needs Python 3.11 or later: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "==> Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "Python's venv is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> Installing omgov (the first time takes a minute)"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "==> Installing the tools for tests and style"
	@$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	@$(PIP) install -c constraints.txt -e '.[bench]'
	@touch $@

$(VENV)/.installed-screenshots: $(VENV)/.installed
	@$(PIP) install -c constraints.txt -e '.[screenshots]'
	@touch $@
