#!/bin/bash
# Takes away the clusters that deploy/gke/create.sh made, one for each zone, after their names were typed. The members' disks and reserved
# addresses stay, and so do network, NAT and identity: what is left is listed, with the commands to remove it by hand.
#
#   deploy/gke/delete.sh --project ID --zones us-east1-b,… [--dry-run]
#
# Take the zone's members out of the federation's spec first (`state: absent`), so that they are drained.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

while [ $# -gt 0 ]; do
    case $1 in
    --project | --zones)
        [ $# -gt 1 ] || die "$1 needs a value"
        if [ "$1" = --project ]; then project=$2; else IFS=, read -r -a zones <<<"$2"; fi
        shift
        ;;
    --dry-run) dry_run=yes ;;
    --help | -h) usage "$0" ;;
    *) die "unknown argument '$1' (--help)" ;;
    esac
    shift
done
check_names
[ "$dry_run" = yes ] || command -v gcloud >/dev/null || die "gcloud is not installed (or look with --dry-run)"

for zone in "${zones[@]}"; do
    if [ "$dry_run" = no ]; then
        exists gcloud container clusters describe "atoll-$zone" --zone "$zone" --project "$project" || continue
        read -r -p "Delete cluster atoll-$zone of project $project, with all that runs in it? Type its name: " typed
        [ "$typed" = "atoll-$zone" ] || die "not deleted: '$typed' is not atoll-$zone"
    fi
    run gcloud container clusters delete "atoll-$zone" --zone "$zone" --project "$project" --quiet
done

say "What is left, and costs: the members' disks and addresses. To see them:"
run gcloud compute disks list --project "$project" --filter 'labels.atoll-federation:*' --format 'table(name,zone,sizeGb,type,labels.list())'
run gcloud compute addresses list --project "$project" --filter 'description~^atoll' --format 'table(name,region,address,status)'
say "To remove one for ever: gcloud compute disks delete NAME --zone ZONE --project $project"
