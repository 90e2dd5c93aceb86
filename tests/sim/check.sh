#!/bin/bash
# Runs the simulator as a test: many histories without a bug, each decision reached, and each planted bug caught.
# usage: check.sh ATOLL_SIM HISTORIES [plants] [coverage]
set -uo pipefail
sim=$1
histories=$2
shift 2
failed=0

output=$("$sim" --histories "$histories" --seed 1 2>&1) || failed=1
printf '%s\n' "$output" | tail -n 400

for what in "$@"; do
    case $what in
    coverage)
        "$sim" --histories "$histories" --seed 1 --coverage 2>&1 | grep -E 'NEVER|never reached' && failed=1
        ;;
    plants)
        for plant in $("$sim" --plant list); do
            output=$("$sim" --plant "$plant" --histories 2000 2>&1)
            status=$?
            if [ $status -ne 1 ] || ! grep -q '^VIOLATION of invariant' <<<"$output"; then
                echo "the planted bug $plant was not caught (exit $status)"
                failed=1
            else
                echo "caught: $plant, $(grep -m1 '^VIOLATION of invariant' <<<"$output" | cut -c1-100), $(grep -m1 '^seed' <<<"$output" | cut -d' ' -f1,2)"
            fi
        done
        ;;
    *) echo "check.sh: there is no check '$what'" >&2 && exit 2 ;;
    esac
done
exit $failed
