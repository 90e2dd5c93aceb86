#!/bin/bash
# All tests that run in minutes, fastest first: unit tests, lint, then whole programs; first the release build, then the
# one with AddressSanitizer and UBSan. Goes on after a failure, says a total at the end, fails when anything failed.
# `make test` calls this. JOBS, PYTHON and PHASES (a list of the phases below) may be set.
set -uo pipefail
cd "$(dirname "$0")/.."

jobs=${JOBS:-$(nproc)}
python=${PYTHON:-/usr/bin/python3}
results=$PWD/build/test-results
rm -rf "$results"
mkdir -p "$results"

say() {
    printf '\n== %s\n' "$*"
}

# The total names it, so that nobody takes silence for success.
not_run() { # PHASE WHY
    echo "not run: $2"
    echo "$2" >"$results/$1.not-run"
}

# Nothing can be tested that isn't built, so this one stops.
build() {
    say "building: $1"
    [ -f "build/$1/build.ninja" ] || cmake --preset "$1" >"$results/configure-$1.log" 2>&1 ||
        { cat "$results/configure-$1.log" && exit 1; }
    cmake --build "build/$1" --parallel "$jobs" || exit 1
}

unit() {
    say "unit tests: $1"
    ctest --test-dir "build/$1" --output-on-failure --parallel "$jobs" --timeout 900 --output-junit "$results/unit-$1.xml" |
        grep -v -e '^ *[0-9/]* Test *#.* Passed ' -e '^ *Start ' -e '^$'
}

lint() {
    say "lint"
    "$python" tests/lint/check_layers.py --symbols build/release --junit "$results/lint-layers.xml"
    "$python" tests/lint/check_style.py --junit "$results/lint-style.xml"
    "$python" -m pytest -c tests/pytest.ini tests/lint --quiet --junitxml "$results/lint-itself.xml"
}

whole_programs() { # FOLDER NAME BINARIES [pytest's arguments]
    local folder=$1 name=$2 binaries=$3
    shift 3
    ATOLL_BIN=$PWD/$binaries "$python" -m pytest -c tests/pytest.ini "tests/$folder" --quiet \
        --junitxml "$results/$folder-$name.xml" "$@"
    local status=$?
    [ $status -le 1 ] || [ $status -eq 5 ] || echo "pytest itself failed ($status)" >"$results/$folder-$name.broken"
}

integration() { # NAME BINARIES [pytest's arguments]
    say "integration tests: $1"
    whole_programs integration "$@"
}

# Real control planes, where they are or can be built: that takes a quarter of an hour, once. KUBERNETES=no leaves them out.
kubernetes() {
    say "zones on real Kubernetes control planes"
    local binaries="$python tests/kubernetes/binaries.py"
    if [ "${KUBERNETES:-}" = no ] || ! tests/kubernetes/packages.sh || ! $binaries current helm >"$results/kubernetes-build.log"; then
        not_run kubernetes "KUBERNETES=no, or kube-apiserver is not here and can't be built; see above, and tests/kubernetes/README.md"
        return
    fi
    if ! $binaries --only-found older >/dev/null 2>&1; then
        echo "with the current version alone; \`make test-kubernetes\` builds the older one too"
        export KUBERNETES_OLDER=no
    fi
    whole_programs kubernetes release build/bin
}

# New inputs for every parser of outside data, some seconds each; what was found before is replayed by the unit tests.
fuzz() {
    say "fuzzing: ${FUZZ_SECONDS:-6} s for each target"
    if ! deploy/dependencies.sh fuzz || ! echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, long n){return d && n < 0;}' |
        clang -fsanitize=fuzzer -x c - -o "$results/probe" 2>"$results/fuzz-clang.log"; then
        not_run fuzz "there is no clang with libFuzzer here, and it can't be installed (deploy/dependencies.sh fuzz)"
        return
    fi
    [ -f build/fuzz/build.ninja ] || cmake --preset fuzz >"$results/configure-fuzz.log" 2>&1 ||
        { cat "$results/configure-fuzz.log" && exit 1; }
    cmake --build build/fuzz --parallel "$jobs" --target fuzz_all || exit 1
    FUZZ_SEED=${FUZZ_SEED:-1} JOBS=$jobs JUNIT=$results/fuzz.xml tests/fuzz/run.sh build/fuzz "${FUZZ_SECONDS:-6}" ||
        [ -f "$results/fuzz.xml" ] || echo "tests/fuzz/run.sh itself failed" >"$results/fuzz.broken"
}

# Only this program is needed of the other builds: the same seed must give the same trace in each.
sim() {
    local build
    for build in debug asan; do
        say "building: atoll-sim, $build"
        [ -f "build/$build/build.ninja" ] || cmake --preset "$build" >"$results/configure-$build.log" 2>&1
        cmake --build "build/$build" --parallel "$jobs" --target atoll-sim || exit 1
    done
    say "simulated histories"
    SIM_BUILDS="$PWD/build/debug/bin $PWD/build/asan/bin" whole_programs sim release build/bin
}

# Every unit test, fuzz target and some simulated histories again, with one allocation or effect failing. Always the same ones.
torture() {
    say "torture: what fails once in a while"
    "$python" tests/torture/torture.py build/asan --jobs "$jobs" --each "${TORTURE_EACH:-6}" --seconds "${TORTURE_SECONDS:-200}" \
        --junit "$results/torture.xml" || [ -f "$results/torture.xml" ] || echo "torture.py itself failed" >"$results/torture.broken"
}

# A sandbox under random faults for a minute, always the same ones (SOAK_SEED: others).
soak() {
    say "soak"
    "$python" tests/soak/soak.py build/bin --seconds "${SOAK_SECONDS:-60}" --seed "${SOAK_SEED:-1}" --junit "$results/soak.xml" ||
        [ -f "$results/soak.xml" ] || echo "soak.py itself failed" >"$results/soak.broken"
}

for phase in ${PHASES:-unit lint kubernetes integration asan torture soak fuzz sim}; do
    case $phase in
    unit) build release; unit release ;;
    lint) build release; lint ;;
    integration) build release; integration release build/bin ;;
    kubernetes) build release; kubernetes ;;
    torture) build asan; torture ;;
    soak) build release; soak ;;
    fuzz) fuzz ;;
    sim) build release; sim ;;
    asan) build asan; unit asan; integration asan build/asan/bin -m asan ;;
    *) echo "run.sh: there is no phase '$phase'" >&2 && exit 2 ;;
    esac
done

say "total"
exec "$python" tests/total.py "$results"
