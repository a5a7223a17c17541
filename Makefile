# Everything starts here; a bare `make` lists the targets. The set-up needs Python 3.11 or newer and make, nothing else.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
KEEP ?=
PROCESSES ?= 4
TASKS ?=
TIMES ?= 20
VERSIONS ?=

# Where this is set, each of the many processes that the targets start compiles Airflow anew, which takes it seconds.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-celery test test-kill test-kill-slice test-waiting test-browser test-matrix test-clocks test-shared-limit test-mutations test-histories test-security test-lowest test-openlineage dist lint type format bench sandbox docs constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the virtual environment; the other targets do it when it is missing or old

demo: $(STAMP) ## Run every example DAG in a real Airflow against the sandbox (KEEP=1 leaves it running)
	$(BIN)/python -m demo $(if $(filter-out 0,$(KEEP)),--keep)

demo-celery: $(STAMP) ## Airflow on Celery, of which one worker and the triggerer are killed under load (TASKS=300)
	$(BIN)/python -m demo.celery $(if $(TASKS),--tasks $(TASKS))

test: lint type ## Run the whole test suite: linters, types, and every test with the system tests
	$(BIN)/python -m pytest -n $(PROCESSES) --durations=10

test-kill: $(STAMP) ## Kill tasks of a real Airflow at every step (VERSIONS="3.2 2.11": of older ones), and renew docs/exactly-once.md
	$(BIN)/python -m tests.kill $(if $(VERSIONS),--airflow $(VERSIONS))

test-kill-slice: $(STAMP) ## A part of test-kill that fits continuous integration
	$(BIN)/python -m tests.kill --slice

test-waiting: $(STAMP) ## Kill the triggerer of a real Airflow while two hundred sensors wait and assets are watched
	$(BIN)/python -m tests.triggerer_kill

test-browser: $(STAMP) ## Look at forms, tasks and the Meetings pages in a real browser (SCREENSHOTS=docs/images renews the docs' pictures)
	SCREENSHOTS=$(SCREENSHOTS) $(BIN)/python -m pytest tests/browser

test-matrix: $(STAMP) ## Install and try the wheel on every Airflow (VERSIONS="2.11 3.2" on some), and renew docs/compatibility.md
	$(BIN)/python -m tests.compatibility $(VERSIONS)

test-clocks: $(STAMP) ## Run the quick suites with the clock a month and a year ahead, and at changes of clocks and years
	$(BIN)/python -m tests.clocks

test-shared-limit: $(STAMP) ## Let 64 processes share a rate limit over a real Redis for a minute
	AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR $(BIN)/python -m tests.shared_limit

test-mutations: $(STAMP) ## Take the clauses of exactly-once and of sets away one by one, and see a test fail each time
	$(BIN)/python -m tests.exactly_once.mutations

test-histories: $(STAMP) ## Try twenty times as many histories of tries, kills and overlapping runs as `make test`, at random (TIMES=20)
	HYPOTHESIS_TIMES=$(TIMES) $(BIN)/python -m pytest -n $(PROCESSES) --timeout=3600 tests/exactly_once/test_histories.py \
	  tests/exactly_once/test_overlapping_runs.py tests/sets/test_set_histories.py

test-security: $(STAMP) ## Search all that a real Airflow leaves behind for secrets; a part of `make test`
	$(BIN)/python -m pytest tests/security tests/system/test_secrets.py

test-openlineage: $(STAMP) ## See what the provider of OpenLineage tells of a whole run in a real Airflow
	$(BIN)/python -m tests.openlineage

test-lowest: $(STAMP) ## Run the unit and hook tests with the oldest versions that pyproject.toml allows
	$(BIN)/python -m tests.release.lowest

dist: $(STAMP) ## Build sdist and wheel reproducibly, check them, and try them in an empty environment
	$(BIN)/python -m tests.release

lint: $(STAMP) ## Check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(STAMP) ## Put the code into the house format and mend what the linter can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

type: $(STAMP) ## Check the types
	$(BIN)/mypy -p airflow_provider_meetings -p demo

bench: $(STAMP) ## Measure us beside the peers
	$(BIN)/python tests/benchmarks/run.py

sandbox: $(STAMP) ## Run the sandbox of both APIs until Ctrl-C
	$(BIN)/python -m airflow_provider_meetings.sandbox

docs: $(STAMP) ## Build the documentation into build/docs; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

constraints: $(STAMP) ## Renew constraints.txt with the newest versions that fit together
	printf '%s\n' uv 'hatchling>=1.27' editables | $(BIN)/uv pip compile --universal --python-version 3.11 --no-header \
	  --no-annotate --no-emit-index-url --all-extras pyproject.toml - -o constraints.txt --upgrade

clean: ## Remove the virtual environment and every cache
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@sh .ci/venv $(VENV)
	@touch $@
