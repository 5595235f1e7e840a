#!/bin/bash
# The tests of the services over another store than the simulated one:
#
#   services.sh embedded|foundationdb [arguments of cargo test that chose what was built]
#
# Runs the binaries that `cargo test --workspace` has built, because cargo would build much of the
# workspace anew for three crates alone (other features).
set -euo pipefail
store=$1
shift
cd "$(dirname "$0")/../../.."
built=$(${CARGO:-cargo} test "$@" --workspace --no-run --quiet --message-format=json)
# Each test removes what its store wrote when it ends; what is left behind would fill disks.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ran=0
for service in directory mailbox transport; do
    program=$(printf '%s\n' "$built" | grep -F "crates/service/$service/Cargo.toml" \
        | grep -F '"kind":["test"]' | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
    test -x "$program" || { echo "no test binary of service-$service" >&2; exit 1; }
    printf '     Running service-%s over %s (%s)\n' "$service" "$store" "$program"
    (cd "crates/service/$service" \
        && TMPDIR=$folder RIALTO_TEST_STORE=$store RIALTO_STANDIN_QUIET=1 "$program")
    left=$(find "$folder" -mindepth 1 -maxdepth 1 -name 'rialto-embedded-*')
    test -z "$left" || { echo "service-$service left stores behind: $left" >&2; exit 1; }
    ran=$((ran + 1))
done
test "$ran" = 3
