#!/usr/bin/env bash
# Fuzzes the API by its OpenAPI document: schemathesis, all its phases, more than 10,000 requests, against
# a control plane and a home folder of its own that are gone afterwards. Fails on whatever it finds.
#
#   scripts/fuzz-api.sh                   a quarter of an hour on two busy cores
#   scripts/fuzz-api.sh --seed 7          other random cases
#   scripts/fuzz-api.sh --only models     the paths that match a regular expression
set -euo pipefail
cd "$(dirname "$0")/.."

exec .venv/bin/python -m tests.integration.api.schema_fuzz --examples 30 "$@"
