# `make` lists the targets. Settings (HOST, PORT, DATA_DIR, DATABASE_URL and the rest of .env.example) come from the
# command line (`make up PORT=9000`), else the environment, else a file .env in the form that `docker --env-file` reads.
PYTHON ?= python3
ENGINE ?= docker
BENCH ?= *
ARGS ?=
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help up test proof lint format bench lock image clean prod-environment dev-environment bench-environment

# ENVIRONMENT FOLDER LOCK [BASE]: FOLDER has exactly what requirements/LOCK.txt says, and the app from this folder.
# The stamp is written last and holds what it was made from, so a changed lock, a moved checkout, a replaced Python
# and a half-made environment are all noticed. With BASE's stamp in place its packages are only added to.
define ENVIRONMENT
set -eu
folder=$$1; lock=$$2; base=$${3:-}
state() { cksum "requirements/$$1.txt" pyproject.toml; pwd; "$$folder/bin/python" -V 2>&1 || echo broken; }
fits() { [ "$$(cat "$$folder/.stamp-$$1" 2>/dev/null)" = "$$(state "$$1")" ]; }
ready() { fits "$$lock" || { [ "$$lock" = prod ] && fits dev; }; }
ready && exit 0
exec 9>.stamp-lock
if command -v flock >/dev/null; then flock -n 9 || { echo "another make is at work on the environment; waiting"; flock 9; }; fi
ready && exit 0
check='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
if ! "$$PYTHON" -c "$$check" 2>/dev/null; then
  found=$$("$$PYTHON" -V 2>&1 | head -n 1) || true
  echo "Tridesk needs Python 3.11, 3.12 or 3.13; '$$PYTHON' is: $$found" >&2
  echo "Name one that is installed, for example: PYTHON=python3.12 make up" >&2
  exit 1
fi
if ! "$$PYTHON" -c 'import venv, ensurepip' 2>/dev/null; then
  echo "'$$PYTHON' lacks the module that makes environments: install it (Debian, Ubuntu: apt install python3-venv)" >&2
  echo "or name another Python, for example: PYTHON=python3.12 make up" >&2
  exit 1
fi
if [ -z "$$base" ] || ! fits "$$base"; then
  echo "making $$folder with $$("$$PYTHON" -V)"
  rm -f "$$folder"/.stamp-*
  "$$PYTHON" -m venv --clear "$$folder"
fi
rm -f "$$folder"/.stamp-*
echo "installing the packages of requirements/$$lock.txt (about a minute)"
pip() { "$$folder/bin/python" -m pip --disable-pip-version-check --no-input -q install "$$@"; }
pip --require-hashes -r "requirements/$$lock.txt"
pip --no-deps --no-build-isolation -e .
state "$$lock" > "$$folder/.stamp-new"
mv "$$folder/.stamp-new" "$$folder/.stamp-$$lock"
endef
export ENVIRONMENT

# Settings of .env that neither the command line nor the environment has; values verbatim, no quoting.
define SETTINGS
if [ -f .env ]; then
  while IFS= read -r line || [ -n "$$line" ]; do
    key=$${line%%=*}
    case $$key in ''|'#'*|"$$line") continue ;; *[!A-Z_]*) echo "make: .env: '$$key' is no setting" >&2; exit 1 ;; esac
    eval "[ -n \"\$${$$key:-}\" ]" || export "$$key=$${line#*=}"
  done < .env
fi
export SAMPLE_COMPANY="$${SAMPLE_COMPANY:-true}"
exec .venv/bin/tridesk up
endef
export SETTINGS

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

up: prod-environment ## install, start Postgres, load the sample company, serve until Ctrl-C
	@exec sh -c "$$SETTINGS"

test: dev-environment ## the whole suite on its own embedded Postgres (ARGS='-k name' for a part)
	@PATH="$$PWD/.venv/bin:$$PATH" .venv/bin/python -m pytest -m "not proof" $(ARGS)

proof: dev-environment ## the full-size race, crash and property runs
	@PATH="$$PWD/.venv/bin:$$PATH" .venv/bin/python -m pytest -m proof -o faulthandler_timeout=0 $(ARGS)

lint: dev-environment ## style, types, direction of imports, locks against pyproject.toml
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy
	@.venv/bin/lint-imports --no-logo
	.venv/bin/python requirements/check.py

format: dev-environment ## put the code into the house's format
	.venv/bin/python -m ruff check --fix-only .
	.venv/bin/python -m ruff format .

bench: bench-environment ## the measurements of tests/bench (BENCH=chunking for one)
	@for each in tests/bench/bench_$(BENCH).py; do \
	  name=$$(basename "$$each" .py); echo "== $$name"; \
	  PATH="$$PWD/.venv-bench/bin:$$PATH" .venv-bench/bin/python -m "tests.bench.$$name" $(ARGS) || exit 1; \
	done

# dev first: the others take its versions, so that what is tested is what is deployed.
COMPILE = .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --quiet $(ARGS)
lock: dev-environment ## compile the locks from pyproject.toml (ARGS=--upgrade for newer versions)
	$(COMPILE) --extra dev -o requirements/dev.txt
	$(COMPILE) --extra prod -c requirements/dev.txt -o requirements/prod.txt
	$(COMPILE) -c requirements/dev.txt -o requirements/base.txt
	$(COMPILE) --extra bench -c requirements/prod.txt -o requirements/bench.txt

image: ## build the container image as tridesk (ENGINE=podman for another builder)
	$(ENGINE) build -t tridesk .

clean: ## remove environments and caches; data stays
	rm -rf .venv .venv-bench .stamp-lock .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache \
	  build tridesk.egg-info
	find app db tests requirements -name __pycache__ -prune -exec rm -rf {} +

prod-environment:
	@exec sh -c "$$ENVIRONMENT" make .venv prod
dev-environment:
	@exec sh -c "$$ENVIRONMENT" make .venv dev prod
bench-environment:
	@exec sh -c "$$ENVIRONMENT" make .venv-bench bench
