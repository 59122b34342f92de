# Two commands for a newcomer: `make run` and `make test`. Everything else is for those who work on the library.
PYTHON ?= python3
BIN := .venv/bin

# What is compiled is kept: tests are rewritten by pytest, which takes three times as long as collecting them, and many tests
# start Python anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run run-workers test lint types architecture coverage wheel lowest compatibility kill fuzz bench check clean

# Set-up happens once, and again when pyproject.toml changes.
.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

run: .venv/ready
	$(BIN)/python -m app

# The same shop in three processes: one serves, one sends what happened to RabbitMQ, one (with two children) handles it.
run-workers: export BOOKSHOP_BROKER_URL ?= amqp://guest:guest@127.0.0.1:5672/
run-workers: .venv/ready
	$(BIN)/python -m app.prepare
	@trap : INT TERM; \
	$(BIN)/python -m interceptors relay app.main:events & relay=$$!; \
	$(BIN)/taskiq worker app.main:broker & worker=$$!; \
	BOOKSHOP_RELAY=no $(BIN)/python -m app; status=$$?; \
	kill $$relay $$worker; wait; exit $$status

# The SOAP tests talk to a server in Node.js; without npm they say so and are skipped.
SOAP_SERVER := tests/integration/connectors/soap_server
$(SOAP_SERVER)/node_modules: $(SOAP_SERVER)/package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund --prefix $(SOAP_SERVER); fi

# All but what takes many seconds: faults of servers, kills, brokers, fuzzing, thousands of requests; `make coverage` has
# them, too. More workers than cores, because much of it waits for a server.
test: .venv/ready $(SOAP_SERVER)/node_modules
	$(BIN)/python -m pytest -q -n 3 -m "not slow"

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy
	$(BIN)/pyright

architecture: .venv/ready
	$(BIN)/lint-imports

# Coverage that follows greenlets (SQLAlchemy's) was seen to hang: its tracer spins in a weak reference's callback. So only
# the tests of what runs in greenlets are measured so, a second time, and all others as usual.
IN_GREENLETS := tests/integration/connectors/test_sql_*.py tests/property/test_events_after_commit.py \
    tests/integration/events/test_outbox.py $(addprefix tests/integration/events/,\
    $(addprefix test_connections.py::test_,on_sqlite_deliveries_do_not_lock_each_other_out \
    on_sqlite_a_lost_race_at_the_end_is_settled_again on_sqlite_a_failure_is_stored_when_it_is_our_turn \
    a_row_that_is_gone_when_its_last_attempt_fails a_database_in_memory_is_relayed_by_its_only_connection) \
    test_taskiq.py::test_a_database_that_is_down_when_a_message_comes \
    test_relays.py::test_a_delivery_whose_row_is_gone_is_rolled_back \
    test_what_handlers_say.py::test_an_attempt_that_takes_too_long_has_failed) \
    $(addprefix tests/integration/resources/test_,life_cycles.py \
    hook_changes.py routes_and_options.py errors_and_transactions.py)
coverage: .venv/ready $(SOAP_SERVER)/node_modules
	$(BIN)/python -m pytest -q -n auto --cov --cov-report= --cov-fail-under=0
	$(BIN)/python -m pytest -q -n auto --cov --cov-append --cov-config=tests/greenlet.coveragerc --cov-report= --cov-fail-under=0 -k "not mysql and not postgresql" $(IN_GREENLETS)
	$(BIN)/coverage report

# The wheel holds the library and nothing else.
wheel: .venv/ready
	rm -rf dist
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	$(BIN)/python -c "import sys, zipfile; names = zipfile.ZipFile(sys.argv[1]).namelist(); \
	    strays = [n for n in names if not n.startswith(('interceptors/', 'interceptors-'))]; sys.exit(f'strays: {strays}' if strays else 0)" dist/*.whl

# The oldest FastAPI that we claim to support.
.venv-lowest/ready: pyproject.toml
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check -e '.[dev]' 'fastapi==0.142.1'
	@touch $@

lowest: .venv-lowest/ready
	.venv-lowest/bin/python -m pytest -q -n auto -m "not slow" tests/integration tests/parity

# Applications with libraries that others use with FastAPI: with us they do what they do without us.
.venv-compatibility/ready: pyproject.toml
	$(PYTHON) -m venv .venv-compatibility
	.venv-compatibility/bin/pip install --quiet --disable-pip-version-check -e '.[compatibility]'
	@touch $@

compatibility: .venv-compatibility/ready
	.venv-compatibility/bin/python -m pytest -q -n auto tests/compatibility tests/integration/test_fastapi_traps_telemetry.py

# Long campaigns; a short run of each is part of the tests. `kill` kills processes 300 times, on PostgreSQL and SQLite.
kill: .venv/ready
	INTERCEPTORS_KILL_ROUNDS=50 $(BIN)/python -m pytest -q -s tests/integration/events/test_killed_processes.py

fuzz: .venv/ready
	INTERCEPTORS_FUZZ_EXAMPLES=200 $(BIN)/python -m pytest -q tests/integration/resources/test_fuzzed_over_http.py

# BENCH="chain http" chooses, `--quick` takes two minutes.
bench: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH)

check: lint types architecture coverage

clean:
	rm -rf .venv .venv-lowest .venv-compatibility dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
