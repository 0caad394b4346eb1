#!/usr/bin/env bash
# Sets everything up and builds the documentation into site/, without a network: bash scripts/docs.sh
source "$(dirname "$0")/setup.sh"
.venv/bin/python scripts/build_site.py "$@"
echo "open site/index.html"
