#!/bin/sh
# Fuzzes the codecs: fuzz/run.sh SECONDS [TARGET…], each target for so many seconds (default: all).
#
# Needs cargo-fuzz (`cargo install --locked cargo-fuzz`) and a C++ compiler. RUSTC_BOOTSTRAP lets the stable compiler
# take the sanitiser's flags, so that no second toolchain is needed. What is found lands in
# fuzz/artifacts/TARGET; copy it into the codec's tests, then fix the codec. The corpus grows in
# fuzz/corpus/TARGET and is not committed.
set -eu
seconds=${1:?usage: fuzz/run.sh SECONDS [TARGET…]}
shift
cd "$(dirname "$0")/.."
if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz: cargo-fuzz is not installed; run: cargo install --locked cargo-fuzz" >&2
    exit 2
fi
export RUSTC_BOOTSTRAP=1
# cargo-fuzz guesses the target it was built for itself, which may be musl: no sanitiser there.
host=$(rustc -vV | sed -n 's/^host: //p')
[ $# -gt 0 ] || set -- $(cargo fuzz list)
failed=0
for target in "$@"; do
    if cargo fuzz run --target "$host" "$target" -- -max_total_time="$seconds" -max_len=16384 -rss_limit_mb=2048 \
        -timeout=20 -print_final_stats=1 -verbosity=0 >"/tmp/rialto-fuzz-$target.$$" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "/tmp/rialto-fuzz-$target.$$")
        echo "ok $target ($runs runs in $seconds s)"
        rm -f "/tmp/rialto-fuzz-$target.$$"
    else
        echo "FAILED $target; the whole output is in /tmp/rialto-fuzz-$target.$$"
        tail -n 40 "/tmp/rialto-fuzz-$target.$$" | sed 's/^/    /'
        failed=1
    fi
done
exit $failed
