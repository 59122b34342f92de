# Two commands for a newcomer: `make run` and `make test`. Everything else is for those who work on the library.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test lint types architecture coverage bench check clean

# Set-up happens once, and again when pyproject.toml changes.
.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

run: .venv/ready
	$(BIN)/python -m app

test: .venv/ready
	$(BIN)/python -m pytest -q

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready
	$(BIN)/mypy
	$(BIN)/pyright

architecture: .venv/ready
	$(BIN)/lint-imports

coverage: .venv/ready
	$(BIN)/python -m pytest -q --cov --cov-report=term-missing

bench: .venv/ready
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m benchmarks

check: lint types architecture coverage

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
