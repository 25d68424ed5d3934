# `make demo` and `make test` do all their own set-up in .venv, with the versions in constraints.txt.
# New versions: delete .venv and constraints.txt, `touch constraints.txt`, `make test`, and then
# `.venv/bin/python -m pip freeze --exclude torch > constraints.txt`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test soak lint bench clean

demo: .venv/ready
	$(BIN)/python tcc_demo.py

# One process for each core and one file at a time; more threads would wait for each other.
test: .venv/ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

soak: .venv/ready-dev
	TCC_SOAK=1 $(BIN)/python -m pytest tests/reliability

lint: .venv/ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/ready-dev
	$(BIN)/python -m benchmarks.bench

.venv/ready: requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Installing PyTorch and the other packages into .venv: 0.5 GB or more of download, 1 to 5 minutes."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt -c constraints.txt
	touch $@

.venv/ready-dev: requirements-dev.txt requirements-pose.txt requirements-cluster.txt .venv/ready
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
