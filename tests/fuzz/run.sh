#!/bin/bash
# Runs each fuzz target for some seconds from its seeds: `run.sh BUILD_DIR SECONDS [NAME]...`, JOBS of them at a time (1). New
# inputs are kept in BUILD_DIR/corpus/NAME, a crashing one in BUILD_DIR/crashes; add it to tests/fuzz/corpus/NAME with the fix.
# FUZZ_SEED fixes what chance decides. With JUNIT=FILE the outcomes are written there as JUnit says it.
set -euo pipefail
build=$1 seconds=$2
shift 2
seeds=$(dirname "$0")/corpus
mkdir -p "$build/crashes" "$build/logs"

# NAME: fuzzes one; its log ends with what was found.
fuzz() {
    local name=$1 inputs=$seeds/$1
    mkdir -p "$build/corpus/$name"
    "$build/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=16384 -entropic=0 -timeout=20 -rss_limit_mb=1024 -seed="${FUZZ_SEED:-0}" \
        -artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" "$inputs" >"$build/logs/$name.log" 2>&1
}

names=()
for program in "$build"/fuzz/fuzz_*; do
    name=${program##*/fuzz_}
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    names+=("$name")
done
[ ${#names[@]} -gt 0 ] || { echo "run.sh: there is no fuzz target in $build/fuzz" >&2 && exit 2; }

echo "fuzzing ${#names[@]} targets, $seconds s each: ${names[*]}"
declare -A names_of=()
failed=()
reap() {
    local pid status=0
    wait -n -p pid || status=$?
    [ $status -eq 0 ] || failed+=("${names_of[$pid]}")
    unset "names_of[$pid]"
}
for name in "${names[@]}"; do
    [ ${#names_of[@]} -lt "${JOBS:-1}" ] || reap
    fuzz "$name" &
    names_of[$!]=$name
done
while [ ${#names_of[@]} -gt 0 ]; do
    reap
done

for name in "${names[@]}"; do
    printf '%-16s %s\n' "$name" "$(grep '^Done' "$build/logs/$name.log" || echo FAILED)"
done
for name in ${failed[@]+"${failed[@]}"}; do
    tail -40 "$build/logs/$name.log"
    echo "$name failed: see $build/logs/$name.log and $build/crashes"
done
if [ -n "${JUNIT:-}" ]; then
    {
        echo '<testsuite name="fuzz">'
        for name in "${names[@]}"; do
            if [[ " ${failed[*]:-} " == *" $name "* ]]; then
                echo "<testcase classname=\"fuzz\" name=\"$name\"><failure>see $build/logs/$name.log</failure></testcase>"
            else
                echo "<testcase classname=\"fuzz\" name=\"$name\"/>"
            fi
        done
        echo '</testsuite>'
    } >"$JUNIT"
fi
[ ${#failed[@]} -eq 0 ]
