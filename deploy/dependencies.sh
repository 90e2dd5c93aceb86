#!/bin/bash
# Installs what Atoll's build and tests need on Debian 12, through apt; says nothing when all is there.
#
#   deploy/dependencies.sh [build] [test] [fuzz] [develop]     default: build test
#   deploy/dependencies.sh --list [GROUP]...            only print the names
#
# Installs as root or through `sudo -n`; when neither is possible it prints the command to run and exits 1.
set -euo pipefail

build=(gcc libc6-dev make cmake ninja-build pkg-config libuv1-dev libcurl4-openssl-dev libssl-dev libyaml-dev
    libcjson-dev libmongoc-dev libbson-dev libc-ares-dev libwebsockets-dev libsqlite3-dev zlib1g-dev libcmocka-dev)
test=(python3 python3-pytest python3-pymongo python3-yaml python3-jsonschema python3-psutil curl procps openssl testssl.sh)
fuzz=(clang libclang-rt-14-dev)
develop=("${fuzz[@]}" clang-format clang-tidy file dpkg-dev shellcheck) # lint, fuzz, format, package

list_only=no
groups=()
for argument in "$@"; do
    case $argument in
    --list) list_only=yes ;;
    build | test | fuzz | develop) groups+=("$argument") ;;
    --help | -h)
        sed -n '2,7s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        echo "dependencies.sh: unknown argument '$argument'; it takes build, test, fuzz, develop, --list" >&2
        exit 2
        ;;
    esac
done
[ ${#groups[@]} -gt 0 ] || groups=(build test)

wanted=()
for group in "${groups[@]}"; do
    declare -n packages=$group
    wanted+=("${packages[@]}")
done
if [ $list_only = yes ]; then
    printf '%s\n' "${wanted[@]}"
    exit 0
fi

if ! command -v dpkg-query >/dev/null; then
    {
        echo "This is no Debian: install what corresponds to these Debian 12 packages, then build with 'make all':"
        echo "  ${wanted[*]}"
    } >&2
    exit 1
fi

missing=()
for package in "${wanted[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        {
            echo "Some packages are missing, and installing them needs root. Please run:"
            echo
            echo "  sudo apt-get update && sudo apt-get install --yes --no-install-recommends ${missing[*]}"
            echo
            echo "and then the same command as before."
        } >&2
        exit 1
    fi
fi

echo "Installing ${#missing[@]} packages: ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${missing[@]}"
