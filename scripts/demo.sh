#!/usr/bin/env bash
# Sets everything up and explains photographs with the real ResNet50: bash scripts/demo.sh
source "$(dirname "$0")/setup.sh"
exec .venv/bin/python scripts/demo.py "$@"
