# Everything works on a fresh machine with Python 3.11 and make; nothing has to be done before.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TIMES ?= 10
FAULTS := tests/cluster/test_faults.py tests/cluster/test_restart.py \
	tests/services/test_training_killed.py tests/services/test_disk_full.py

.PHONY: demo test test-faults check serve clean

demo: $(STAMP)  ## train and predict on real data with a server of its own, and show the calls
	$(BIN)/python examples/demo.py

test: $(STAMP)  ## all tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --ignore tests/cluster
	$(BIN)/python -m pytest -q tests/cluster

test-faults: $(STAMP)  ## what happens when processes are killed and disks are full, TIMES times in a row
	for i in $$(seq $(TIMES)); do $(BIN)/python -m pytest -q $(FAULTS) || exit 1; done

check: $(STAMP)  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

serve: $(STAMP)  ## the server on port 8080, until Ctrl-C
	$(BIN)/dd-ray serve

$(STAMP): pyproject.toml
	command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON): set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[all,dev]'
	touch $(STAMP)

clean:  ## the virtual environment and what tools left
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
