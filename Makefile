# What CI runs is what you run. Every target does its own set-up; nothing is installed outside .venv but
# the Debian packages that tests need, where the machine lets us.

PYTHON ?= python3
BIN := .venv/bin
RUN_STAMP := .venv/.run
DEV_STAMP := .venv/.dev
WORKERS ?= 4  # more than cores: many tests wait for servers
PIP := $(BIN)/pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help install run test check golden docs servers stack stack-stop demo-cluster bench bench-engine bench-correlation bench-cluster bench-listeners bench-parse faults lock clean

help:  ## Show the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

install: $(RUN_STAMP)  ## Make .venv from the hash-locked list.

$(RUN_STAMP): requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Almena needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --require-hashes --only-binary :all: -r requirements/run.txt
	$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements/dev.txt
	$(PIP) --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

run: install  ## Run the demo: everything on this machine, with simulated traffic.
	@$(BIN)/almena demo

test: $(DEV_STAMP)  ## Run all tests but the long fault runs.
	@sh tests/servers.sh
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not faults"

check: $(DEV_STAMP)  ## Lint, types, rules.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/almena rules check
	$(BIN)/almena rules test

golden: $(DEV_STAMP)  ## Rewrite the parsers' expected events; review the diff.
	ALMENA_GOLDEN=write $(BIN)/python -m pytest -q tests/collectors/parsers

docs: $(DEV_STAMP)  ## Rewrite the generated reference pages under docs/.
	$(BIN)/python -m docs.generate

servers:  ## Install what tests need beside Python: Chromium, Prometheus, Java and Maven.
	@sh tests/servers.sh

BROKERS ?=

stack: $(DEV_STAMP) servers  ## Start Kafka and Elasticsearch here; BROKERS=3: a cluster. See deploy/dev/README.md.
	@$(BIN)/python -m deploy.dev.stack start $(if $(BROKERS),--brokers $(BROKERS))

stack-stop: $(DEV_STAMP)  ## Stop them; their data stay.
	@$(BIN)/python -m deploy.dev.stack stop

demo-cluster: stack  ## Run the demo on them: two detectors, two correlators, one desk, one console.
	@$(BIN)/almena demo --data data/cluster --bus kafka://127.0.0.1:9092 --store http://127.0.0.1:9200

bench: $(DEV_STAMP)  ## Measure; the figures go to stdout.
	$(BIN)/python -m bench

LANES ?= otrf,structured,sysmon_file,cisco,raw
ROUNDS ?= 5

bench-engine: $(DEV_STAMP)  ## The Sigma engine beside RSigma, to docs/benchmarks.md; LANES=otrf ROUNDS=1: a look.
	$(BIN)/python -m bench.engine --lanes "$(LANES)" --rounds "$(ROUNDS)"

bench-correlation: $(DEV_STAMP)  ## Correlations, beside RSigma too, to docs/benchmarks.md; a quarter of an hour.
	$(BIN)/python -m bench correlation --rounds "$(ROUNDS)"

bench-cluster: $(DEV_STAMP) servers  ## The product on Kafka and Elasticsearch, to docs/benchmarks.md; ROUNDS=3: 20 minutes.
	$(BIN)/python -m bench cluster --rounds "$(ROUNDS)"

bench-listeners: $(DEV_STAMP)  ## Syslog over UDP and TCP at a pace, to docs/benchmarks.md; five minutes.
	$(BIN)/python -m bench listeners

bench-parse: $(DEV_STAMP)  ## Parsers beside the least there is to do and rsyslog, to docs/benchmarks.md; three minutes.
	$(BIN)/python -m bench parse

faults: $(DEV_STAMP)  ## The long runs: kill -9 a hundred times under load, and many more examples of properties.
	$(BIN)/python -m pytest -q -m faults -s
	ALMENA_EXAMPLES=10 $(BIN)/python -m pytest -q -n $(WORKERS) -m properties

lock:  ## Write both locks anew; needs uv.
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-build --python-version 3.11 \
		--custom-compile-command "make lock" requirements/run.in -o requirements/run.txt
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-build --python-version 3.11 \
		--custom-compile-command "make lock" requirements/dev.in -o requirements/dev.txt

clean:  ## Remove the environment and the demo's data.
	-$(BIN)/python -m deploy.dev.stack forget
	rm -rf .venv .stack data
