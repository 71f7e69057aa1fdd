#!/bin/sh
# Validates, applies and waits. Ends with 0 when the new revision serves, with 1 when it was given up and
# the old one serves on.
#
#   NAMESPACE=ml MODEL=ranker pipeline.sh production/ranker.yaml
set -eu
kubectl-onnx validate "$@"
for file in "$@"; do kubectl -n "$NAMESPACE" apply --server-side --field-manager=pipeline -f "$file"; done
exec kubectl-onnx wait "$MODEL" -n "$NAMESPACE" --timeout "${TIMEOUT:-2h}"
