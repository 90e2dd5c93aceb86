#!/bin/bash
# clang-tidy over all C files of the programs, with the checks of .clang-tidy: `tidy.sh [JOBS]`. Fails on errors, not on warnings.
set -euo pipefail
cd "$(dirname "$0")/../.."
jobs=${1:-$(nproc)}
[ -f build/tidy/compile_commands.json ] || cmake --preset tidy -DCMAKE_C_CLANG_TIDY= >/dev/null
/usr/bin/python3 tests/lint/check_style.py --list-c | grep '\.c$' | grep -v '^tests/fuzz/' |
    xargs -P "$jobs" -n 8 clang-tidy --quiet -p build/tidy 2> >(grep -v 'warnings generated\|^Suppressed\|^Use -header' >&2)
