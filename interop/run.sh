#!/bin/sh
# Starts `rialto dev` on ports and data of its own and lets real clients at it.
#
#   interop/run.sh [CASE…]      all cases, or those whose names begin so
#
# RIALTO_BIN names the binary (default: target/release/rialto, else target/debug/rialto). A case is
# an executable file in cases/; it gets what it needs in the environment (below), has an empty
# directory of its own as working directory, and passes if it exits 0; 77 says that it cannot run
# here, for the reason that it prints. What it prints is shown where it fails. Each case uses mailboxes
# of its own (user1 …), so that they do not meet.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
binary=${RIALTO_BIN:-$root/target/release/rialto}
[ -x "$binary" ] || binary=$root/target/debug/rialto
[ -x "$binary" ] || { echo "interop: no binary; run cargo build first" >&2; exit 2; }
for tool in swaks mbsync neomutt curl python3; do
    command -v $tool >/dev/null || { echo "interop: no $tool; run interop/install.sh" >&2; exit 2; }
done

work=$(mktemp -d "${TMPDIR:-/tmp}/rialto-interop.XXXXXX")
server=""
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    if [ "${failed:-1}" = 0 ]; then rm -rf "$work"; else echo "interop: transcripts are in $work"; fi
}
trap finish EXIT
trap 'exit 130' INT TERM

RIALTO_BASE=$(python3 "$here/lib/free_ports.py")
RIALTO_DATA=$work/data
RIALTO_CA=$work/data/ca.pem
RIALTO_DOMAIN=rialto.test
RIALTO_PASSWORD=rialto-dev
RIALTO=$binary
LIB=$here/lib
PYTHONPATH=$here/lib
PYTHONDONTWRITEBYTECODE=1
export RIALTO_BASE RIALTO_DATA RIALTO_CA RIALTO_DOMAIN RIALTO_PASSWORD RIALTO LIB PYTHONPATH
export PYTHONDONTWRITEBYTECODE

: >"$work/server.log"
"$binary" dev --data "$RIALTO_DATA" --ports "$RIALTO_BASE" --mailboxes 20 >"$work/server.log" 2>&1 &
server=$!
tries=0
until grep -qx 'rialto: ready' "$work/server.log"; do
    tries=$((tries + 1))
    if [ $tries -gt 600 ] || ! kill -0 "$server" 2>/dev/null; then
        failed=1
        echo "interop: the server did not get ready:"; cat "$work/server.log"; exit 1
    fi
    sleep 0.1
done

failed=0
passed=0
for case in "$here"/cases/*; do
    name=$(basename "$case")
    wanted=$#
    for prefix in "$@"; do case $name in "$prefix"*) wanted=0 ;; esac; done
    [ "$wanted" = 0 ] || continue
    mkdir -p "$work/$name"
    code=0
    (cd "$work/$name" && timeout 180 "$case") >"$work/$name.log" 2>&1 || code=$?
    if [ $code = 0 ]; then
        echo "ok $name"
        passed=$((passed + 1))
    elif [ $code = 77 ]; then
        echo "skipped $name: $(tail -n1 "$work/$name.log")"
    else
        echo "FAILED $name ($code)"
        sed 's/^/    /' "$work/$name.log"
        failed=$((failed + 1))
    fi
done
if grep -n 'panicked at' "$work/server.log"; then
    echo "FAILED the server panicked"
    failed=$((failed + 1))
fi
echo "interop: $passed passed, $failed failed"
[ "$failed" = 0 ]
