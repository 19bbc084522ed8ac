# The one entry to the project. `make` alone lists what there is.
#
# Variables: PYTHON=python3.13  the interpreter for a new environment
#            VENV=.venv-3.13    another environment beside the usual one
#            P=3                one benchmark instead of all
#            WORKERS=4          test processes

VENV    ?= .venv
WORKERS ?= 2
PEERS   := .venv-peers
RUN     := $(VENV)/bin/python

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install demo test check bench bench-peers chaos lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.installed-dev ## Make the environment, with everything the tests need

demo: $(VENV)/.installed-run ## Evaluate, optimize, evaluate again, compare: offline, no key needed
	@$(RUN) examples/quickstart.py

test: $(VENV)/.installed-dev ## Pass the tests
	@$(RUN) -m pytest -n $(WORKERS) $(ARGS)

check: $(VENV)/.installed-dev ## Check format, style and types
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/basedpyright --pythonpath $(RUN)

bench: $(VENV)/.installed-dev ## Measure: all aims, or one with P=3
	@$(RUN) -m benchmarks $(P)

bench-peers: $(VENV)/.installed-dev $(PEERS)/.installed ## Measure against other libraries, in an environment of theirs
	@$(RUN) -m benchmarks --peers

chaos: $(VENV)/.installed-dev ## Kill, cut and fill up what the project stands on
	@$(RUN) -m pytest -m chaos $(ARGS)

lock: ## Resolve both lock files again (needs uv)
	@$(COMPILE) pyproject.toml --output-file requirements.lock
	@$(COMPILE) pyproject.toml --group dev --output-file requirements-dev.lock

clean: ## Remove caches and build output; the environments stay
	@rm -rf build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -path './.venv*' -prune -o -name __pycache__ -type d -exec rm -rf {} +

# --- environments --------------------------------------------------------------------------------
#
# Each step ends by touching its stamp, so an interrupted step runs again and a finished one costs
# nothing. An environment without its first stamp is half made and is made anew.
#
# The project itself is put on the path by a .pth file and not by an editable install: that needs
# no build backend in the lock files and no network, and the entry is relative, so it names the
# checkout wherever the checkout is.

COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11

define PTH
import os, sysconfig
site = sysconfig.get_path("purelib")
with open(os.path.join(site, "dspex.pth"), "w") as file:
    file.write(os.path.relpath(os.getcwd(), site) + "\n")
endef
export PTH

# $(call create,folder): by the interpreter in PYTHON, by the first one on PATH that is new enough,
# or by uv, which brings its own.
define create
	@set -eu; found=; old=; \
	for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	    version=$$($$python -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue; \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then found=$$python; break; fi; \
	    old="$$old $$python ($$version)"; \
	done; \
	if command -v uv >/dev/null && [ -n "$${found}$(if $(PYTHON),,uv)" ]; then \
	    uv venv --quiet --clear --python "$${found:-3.13}" $(1); \
	elif [ -n "$$found" ]; then \
	    $$found -m venv --clear $(1); \
	else \
	    echo "dspex needs Python 3.11 or newer and found$${old:- none}; name one: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi
endef

# $(call install,folder,requirements): hashes are checked by both installers.
define install
	@echo "installing $(2) into $(1)"
	@set -eu; \
	if command -v uv >/dev/null; then \
	    uv pip install --quiet --python $(1)/bin/python $(3) --requirement $(2); \
	else \
	    $(1)/bin/python -m pip --version >/dev/null 2>&1 || $(1)/bin/python -m ensurepip >/dev/null; \
	    $(1)/bin/python -m pip --disable-pip-version-check install --quiet $(3) --requirement $(2); \
	fi
endef

$(VENV)/.created:
	$(call create,$(VENV))
	@$(RUN) -c "$$PTH"
	@touch $@

$(VENV)/.installed-run: requirements.lock | $(VENV)/.created
	$(call install,$(VENV),$<,--require-hashes)
	@touch $@

# The development lock holds the other one, so it fulfils both stamps.
$(VENV)/.installed-dev: requirements-dev.lock | $(VENV)/.created
	$(call install,$(VENV),$<,--require-hashes)
	@touch $(VENV)/.installed-run $@

$(PEERS)/.created:
	$(call create,$(PEERS))
	@touch $@

$(PEERS)/.installed: benchmarks/requirements-peers.txt | $(PEERS)/.created
	$(call install,$(PEERS),$<,)
	@touch $@
