#!/bin/bash
# What create.sh and delete.sh share: printing and running commands, and checking names.
project=
zones=()
dry_run=no

say() {
    printf '# %s\n' "$*"
}

die() {
    echo "${0##*/}: $*" >&2
    exit 2
}

# The comment at a script's head.
usage() { # FILE
    awk 'NR > 1 && !/^#/ {exit} NR > 1 {sub(/^# ?/, ""); print}' "$1"
    exit 0
}

# Prints a command as it can be typed, then runs it; with --dry-run it is only printed.
run() {
    printf '%q ' "$@" | sed 's/ $//'
    printf '\n'
    [ "$dry_run" = yes ] || "$@"
}

# Whether it is there. With --dry-run nothing is asked, and nothing is there.
exists() {
    [ "$dry_run" = no ] && "$@" >/dev/null 2>&1
}

check_names() {
    [ -n "$project" ] || die "--project is missing"
    [ ${#zones[@]} -gt 0 ] || die "--zones is missing"
    [[ $project =~ ^[a-z]([-a-z0-9]{4,28}[a-z0-9])$ ]] || die "'$project' is no project's id"
    local zone
    for zone in "${zones[@]}"; do
        [[ $zone =~ ^[a-z]+-[a-z]+[0-9]+-[a-z]$ ]] || die "'$zone' is no zone like us-east1-b"
    done
    [ "$(printf '%s\n' "${zones[@]}" | sort | uniq -d)" = "" ] || die "a zone is named twice"
}

# 16 to 239, the same for the same name whatever else is asked for: so that address ranges stay when zones come and go. Two names may
# share one, and gcloud says so then: choose the zones otherwise, or make that subnet or cluster by hand.
number_of() { # NAME
    local sum
    sum=$(printf '%s' "$1" | cksum | cut -d ' ' -f 1)
    echo $((16 + sum % 224))
}
