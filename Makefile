# The two commands are `make lab` and `make test`; `make help` lists the rest.
#
#   PYTHON=...      the interpreter that makes the environment (3.11 is the one that is tested)
#   PIP_FLAGS=...   more flags for pip, e.g. to choose another torch build (see the README)
#   LAB_FLAGS=...   more flags for JupyterLab, e.g. --no-browser
#   LESSON=03       with `make test`, `rebuild`, `spread`, `slides`, `frames`: only this lesson
#   LEARNERS=10     with `make class`: how many learners
#   STILL=1         with `make site`: panels as still pictures, at once (drawing them runs the lessons once)
#   BENCH=panels    with `make bench`: only this part (panels, steps or lessons)

PYTHON    ?= $(shell command -v python3.11 || command -v python3 || command -v python)
PIP_FLAGS ?=
LAB_FLAGS ?=
LESSON    ?=
BENCH     ?=
LEARNERS  ?= 10

VENV  := .venv
BIN   := $(VENV)/bin
READY := $(VENV)/ready

# Sphinx has an environment of its own: what it brings along must not change the lessons'.
SITE_VENV  := .venv-site
SITE_READY := $(SITE_VENV)/ready

# JupyterLab refuses to start for root. In a container root is often the only user there is.
ifeq ($(shell id -u),0)
override LAB_FLAGS += --allow-root
endif

# Two processes are enough for the lessons, and more than four only wait for the slowest.
WORKERS := -n auto --maxprocesses=4 --dist loadfile

.PHONY: help lab test unit bench class lint format rebuild spread slides frames site clean

help:
	@echo "make lab       open the lessons in JupyterLab (on this machine only, with a token)"
	@echo "make test      lint, unit tests, and every lesson executed from a fresh kernel (LESSON=03 for one)"
	@echo "make unit      lint, and the quick tests: no kernel, no browser, no long training"
	@echo "make bench     measure panels, training steps and lessons on this machine, and renew the README's table"
	@echo "make class     try a class of LEARNERS=10 in a JupyterHub on this machine, and renew the README's table (needs npm)"
	@echo "make rebuild   execute the lessons again and save them with their outputs (LESSON=03 for one)"
	@echo "make spread    measure how far the claims' numbers move between arithmetics (LESSON=03 for one)"
	@echo "make slides    make each lesson's slides, slides/03.html and so on (LESSON=03 for one); needs npm"
	@echo "make frames    draw the pictures of the panels for pages without a kernel (LESSON=03 for one)"
	@echo "make site      the lessons as web pages in _build/html, with panels that move (STILL=1: without)"
	@echo "make format    format helpers, tests and lessons"
	@echo "make clean     remove the virtual environments, the site and the caches"

lab: $(READY)
	$(BIN)/jupyter lab --config=jupyter_lab_config.py $(LAB_FLAGS)

test: $(READY) lint
	$(BIN)/python -m pytest $(WORKERS) $(if $(LESSON),-k "$(LESSON)_ or $(LESSON)b_ or $(LESSON)c_")

unit: $(READY) lint
	$(BIN)/python -m pytest $(WORKERS) -m "not slow" tests/unit tests/exercises tests/lessons

lint: $(READY)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python tools/bench.py $(BENCH)

class: $(READY)
	$(BIN)/python tools/class_trial.py --learners $(LEARNERS)

rebuild: $(READY)
	$(BIN)/python tools/rebuild.py $(LESSON)

spread: $(READY)
	$(BIN)/python tools/spread.py $(LESSON)

slides: $(READY) node_modules/reveal.js
	$(BIN)/python tools/slides.py $(LESSON)

node_modules/reveal.js: package-lock.json
	npm ci --no-audit --no-fund
	@touch $@

frames: $(READY)
	$(BIN)/python tools/frames.py $(LESSON)

site: $(READY) $(SITE_READY)
	$(if $(STILL),,$(BIN)/python tools/frames.py)
	$(BIN)/python tools/pages.py $(SITE_VENV)/bin/python $(if $(STILL),--still)

clean:
	rm -rf $(VENV) $(SITE_VENV) _build node_modules slides .pytest_cache .ruff_cache .hypothesis __pycache__ */__pycache__ */*/__pycache__

# The stamp is newer than both files exactly when the environment was made from them as they are now.
$(READY): requirements.txt constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"Python 3.11 or newer is needed, and this is " + sys.version.split()[0] + ". Name one: make lab PYTHON=/path/to/python3.11")'
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -r requirements.txt
	@touch $@

$(SITE_READY): requirements-site.txt constraints.txt
	"$(PYTHON)" -m venv $(SITE_VENV)
	$(SITE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-site.txt
	@touch $@
