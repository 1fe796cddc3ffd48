# Everything a developer or CI needs; only git, make and python3 must be there beforehand.
#
#   make test      every test, on all cores (JOBS=n for fewer; T="tests/core -k names" for some;
#                  ALL=1: as root installs what is large too, so that nothing is skipped)
#   make lint      ruff and mypy
#   make demo      dobby on a small real project, on this machine; demo-ssh: through a real sshd
#   make bench     how long things take
#   make campaign  faults by the thousand (SHORT=1: by the dozen; ARGS="--only NAME --seed N")
#   make clean     remove all that make has made

SHELL := /bin/bash
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
T ?=
BIN := .venv/bin

.PHONY: help test lint format demo demo-ssh bench campaign venv tools clean
.NOTPARALLEL:

help:
	@sed -n 's/^#   //p' Makefile

test: tools venv
	$(BIN)/pytest -n $(JOBS) $(T)

lint: venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: venv
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

demo: venv
	@scripts/demo.sh local

demo-ssh: tools venv
	@scripts/demo.sh ssh

bench: venv
	@scripts/tools.sh dtach:dtach tsp:task-spooler nq:nq
	$(BIN)/python -m bench
	$(BIN)/python -m bench.notices
	if [ "$$(id -u)" -eq 0 ]; then $(BIN)/python -m bench.hosts; fi

campaign: tools venv
	$(BIN)/python -m campaign $(if $(SHORT),--short) $(ARGS)

venv:
	@scripts/venv.sh

tools:
	@scripts/tools.sh $(if $(ALL),podman:podman runc:runc newuidmap:uidmap npm:npm Rscript:r-base-core)

clean:
	rm -rf .venv .demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -prune -exec rm -rf {} +
