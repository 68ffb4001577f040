# The only commands a developer needs. `make` alone prints them.
.PHONY: help setup demo test fast lowest check fix docs bench clean
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
EXTRAS := codecs,tensorboard,dev
BENCHES := $(sort $(patsubst tests/benchmarks/bench_%.py,%,$(wildcard tests/benchmarks/bench_*.py)))
# Percent of lines and branches that the tests must reach. It only ever rises; 98.7 are reached.
COVERED := 95
# Old versions may warn of each other, and need not be mended for it.
OLD := -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::FutureWarning

help:  ## print these verbs
	@grep -E '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*  ## /\1\t/' | expand -t 18

setup: .setup-done  ## .venv with medgan, its dev tools and every extra, versions held by constraints.txt

.setup-done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("medgan needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	$(BIN)/pip install --constraint constraints.txt --editable ".[$(EXTRAS)]"
	@touch $@

demo: setup  ## set up, then the main job on sample_data: train, balance the classes, show it (5 minutes)
	rm -rf demo-output demo-output.run
	$(BIN)/medgan inspect sample_data/chest_ct
	$(BIN)/medgan balance sample_data/chest_ct --out demo-output --size 64 --window lung --precision fp32 --minutes 3
	@echo
	@echo "Look at next:"
	@echo "  demo-output/contact-sheet.png   real scans beside synthetic ones, a block per class"
	@echo "  demo-output/report.html         the same for a clinician, with class counts and training curves"
	@echo "  demo-output/images/             the balanced data set: every class equally large, with the same share of synthetic images"
	@echo "  demo-output/manifest.csv        which image is real, repeated or synthetic, from which seed and model"
	@echo "  demo-output/README.md           what this data set is and is not"
	@echo "  demo-output.run/grids/          how the images came about, tick by tick; progress.png beside it shows the curves"
	@echo "  docs/quickstart.md              the same on your own scans"

test: setup check  ## set up, check, then every test, with the coverage of branches: what CI runs
	$(BIN)/pytest --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERED)

fast: setup  ## the tests that take a few seconds each at most
	$(BIN)/pytest -m "not slow"

lowest:  ## the fast tests with the lowest versions that pyproject.toml admits, in .venv-lowest
	test -x .venv-lowest/bin/pip || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python .ci/lowest.py > .venv-lowest/floors.txt
	.venv-lowest/bin/pip install --constraint .venv-lowest/floors.txt --editable ".[$(EXTRAS)]"
	.venv-lowest/bin/pytest -m "not slow" $(OLD)

check: setup  ## formatting, lint, types, architecture, generated docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check
	$(BIN)/pytest -q tests/test_architecture.py

fix: setup  ## format and repair what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup  ## regenerate the pages, and parts of pages, that follow from the code, and the pictures
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/pictures.py

bench: setup  ## measure one thing and print its figures: make bench NAME=read; without NAME, the names of all
	@test -f "tests/benchmarks/bench_$(NAME).py" || { echo "make bench NAME=...; names: $(BENCHES)"; exit 1; }
	$(BIN)/pytest -s tests/benchmarks/bench_$(NAME).py

clean:  ## remove what the other verbs made, .venv included
	rm -rf .venv .venv-lowest .setup-done demo-output demo-output.run build dist *.egg-info .coverage .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
