#!/bin/bash
# Installs what packages.txt lists and this machine lacks, through apt, as root or with `sudo -n`; else says what to run. Says
# nothing when all is there. Only the Kubernetes targets of make call it.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
while read -r package unless command; do
    [ "$unless" = unless ] && command -v "$command" >/dev/null && continue
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done < <(grep -v -e '^#' -e '^$' packages.txt)
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        echo "The Kubernetes test bed needs packages that are missing. Please run:" >&2
        echo "  sudo apt-get update && sudo apt-get install --yes --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
fi
echo "Installing ${#missing[@]} packages: ${missing[*]}"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends "${missing[@]}"
