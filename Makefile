# The commands of this project. `make help` lists them; CONTRIBUTING.md says how to work with them.

PORT ?= 8000
JOBS ?= 3
VENV := .venv
PY   := $(VENV)/bin/python
SITE := _build/html
ZIP  := _build/kernel-memory-book.zip
PDF  := _build/kernel-memory-book.pdf

# Everything a page is made from: touch one of these and the next `make html` builds anew.
SOURCES := _config.yml _toc.yml $(shell find book kmm_sim -type f -not -path '*/node_modules/*' -not -path '*/__pycache__/*')

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help book html test lint bench bench-site zip pdf lock pot picture clean distclean
.DEFAULT_GOAL := help

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

book: html  ## build the book and serve it on http://localhost:8000 (PORT=8001 for another port)
	@$(PY) tools/serve_book.py $(SITE) --port $(PORT)

html: $(SITE)/.complete  ## build the book into _build/html

# --all, because outputs come from kmm_sim as much as from the chapter: a chapter that did not change is run again too.
# Only if nothing but the text of chapters has changed, theirs are all that is built.
$(SITE)/.complete: $(VENV)/.book $(SOURCES)
	@echo "Building the book ..."
	@$(PY) tools/build_book.py build . $(if $(filter-out book/%.md,$?),--all) --quiet -W -n --keep-going >/dev/null
	@touch $@
	@echo "Built: $(SITE)/index.html"

test: $(VENV)/.test $(VENV)/.browser  ## run all tests, in a real browser too (ARGS="-k buddy -x" for pytest)
	$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.test  ## check style, spelling and types
	$(PY) -m ruff check .
	$(VENV)/bin/codespell
	$(PY) -m mypy

bench: html  ## time pages and kmalloc() beside toys, and in the Python of the page
	PYTHONPATH=. $(PY) tools/bench_page_alloc.py
	PYTHONPATH=. $(PY) tools/bench_kmalloc.py
	PYTHONPATH=. $(PY) tools/bench_pyodide.py

bench-site: html $(VENV)/.browser  ## time the live page: until Python is up, a restart, a click
	$(PY) tools/bench_site.py $(SITE)

zip: html  ## pack the built book as one file, to read where there is no network
	@$(PY) tools/zip_site.py $(SITE) $(ZIP)

pdf: html $(VENV)/.browser  ## print the built book as one PDF (needs a font with Chinese)
	@$(PY) tools/print_book.py $(SITE) $(PDF)

lock: $(VENV)/.test  ## pin anew what requirements*.txt need in turn
	tools/lock_requirements.sh $(VENV)/bin/uv

pot: $(VENV)/.test  ## collect the words of labs, exercises and the pages' scripts for translators, into _build/kmm_sim.pot
	@mkdir -p _build
	$(VENV)/bin/pybabel extract --mapping tools/babel.cfg --sort-by-file --project kmm_sim --output _build/kmm_sim.pot \
		kmm_sim book/_ext

picture: html $(VENV)/.browser  ## take the picture of a lab that the README shows
	$(PY) tools/take_picture.py $(SITE) book/figures/readme-buddy.png

clean:  ## remove what was built
	rm -rf _build .pytest_cache .hypothesis .ruff_cache .mypy_cache

distclean: clean  ## ... and the environment
	rm -rf $(VENV)

# The environment. A stamp in it is older than a requirement that changed, so each step runs once.

$(PY):
	@tools/make_venv.sh $(VENV)

$(VENV)/.book: requirements.txt requirements.lock pyproject.toml $(wildcard tools/jupyter/etc/jupyter/labconfig/*) | $(PY)
	@echo "Installing what the book needs into $(VENV) (a minute or two, once) ..."
	@$(PY) -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.test: requirements-test.txt $(VENV)/.book
	@echo "Installing what the tests need into $(VENV) ..."
	@$(PY) -m pip install --quiet -r requirements-test.txt
	@touch $@

$(VENV)/.browser: tools/get_chromium.py tools/get_firefox.py $(VENV)/.test
	@$(PY) tools/get_chromium.py
	@$(PY) tools/get_firefox.py
	@touch $@
