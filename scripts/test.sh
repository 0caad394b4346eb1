#!/usr/bin/env bash
# Sets everything up, checks the style and the types, and runs the tests: bash scripts/test.sh
source "$(dirname "$0")/setup.sh"
unset PYTHONDONTWRITEBYTECODE  # Tests start many processes: what these import is compiled once.
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
exec .venv/bin/python -m pytest --numprocesses 2 --dist worksteal "$@"
