#!/bin/bash
# Runs each fuzz target for some seconds from its seeds: `run.sh BUILD_DIR SECONDS [NAME]...`. New inputs are kept in
# BUILD_DIR/corpus/NAME, a crashing one in BUILD_DIR/crashes; add it to tests/fuzz/corpus/NAME with the fix.
set -euo pipefail
build=$1 seconds=$2
shift 2
seeds=$(dirname "$0")/corpus
failed=0
for program in "$build"/fuzz/fuzz_*; do
    name=${program##*/fuzz_}
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    mkdir -p "$build/corpus/$name" "$build/crashes"
    inputs=$seeds/$name
    [ -d "$inputs" ] || inputs=
    echo "fuzzing $name for $seconds s"
    if ! "$program" -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" ${inputs:+"$inputs"} >"$build/fuzz/$name.log" 2>&1; then
        tail -40 "$build/fuzz/$name.log"
        echo "$name failed: see $build/fuzz/$name.log and $build/crashes"
        failed=1
    fi
    grep '^Done' "$build/fuzz/$name.log" || true
done
exit $failed
