#!/bin/bash
# Makes what a federation needs on Google's cloud: one zonal GKE cluster for each zone, with what its members leave by, and the identity
# of its agent. Every command is printed before it runs; what exists is left as it is, so it can be run again.
#
#   deploy/gke/create.sh --project ID --zones us-east1-b,us-central1-f,europe-west1-d [--dry-run] [--namespace atoll]
#                        [--machine-type e2-standard-2] [--nodes 1] [--admin-ranges 203.0.113.0/24,…]
#
#   --dry-run       prints the commands alone, as for an empty project; calls nothing
#   --admin-ranges  who may reach the clusters' API servers from outside; without it the endpoints are public (with credentials)
#
# What it makes and what that costs is in deploy/gke/README.md. deploy/gke/delete.sh takes it away again, but for disks and addresses.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "$0")/common.sh"

machine_type=e2-standard-2
nodes=1
admin_ranges=
namespace=atoll

while [ $# -gt 0 ]; do
    case $1 in
    --project | --zones | --namespace | --machine-type | --nodes | --admin-ranges)
        [ $# -gt 1 ] || die "$1 needs a value"
        case $1 in
        --project) project=$2 ;;
        --zones) IFS=, read -r -a zones <<<"$2" ;;
        --namespace) namespace=$2 ;;
        --machine-type) machine_type=$2 ;;
        --nodes) nodes=$2 ;;
        --admin-ranges) admin_ranges=$2 ;;
        esac
        shift
        ;;
    --dry-run) dry_run=yes ;;
    --help | -h) usage "$0" ;;
    *) die "unknown argument '$1' (--help)" ;;
    esac
    shift
done
check_names
[[ $namespace =~ ^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$ ]] || die "'$namespace' is no namespace's name"
[[ $nodes =~ ^[1-9][0-9]?$ ]] || die "--nodes: 1 to 99"
[ "$dry_run" = yes ] || command -v gcloud >/dev/null || die "gcloud is not installed: https://cloud.google.com/sdk/docs/install (or look with --dry-run)"

account=atoll-zone-agent@$project.iam.gserviceaccount.com

enable_apis() {
    say "The APIs that are used"
    run gcloud services enable compute.googleapis.com container.googleapis.com iam.googleapis.com artifactregistry.googleapis.com --project "$project"
}

# Nothing that is deleted, shrunk or attached is in it: the agent can't do that even when it is told to.
make_identity() {
    say "Who the agents are to the Compute API, and what they may do there"
    exists gcloud iam service-accounts describe "$account" --project "$project" ||
        run gcloud iam service-accounts create atoll-zone-agent --project "$project" --display-name "Atoll zone agents"
    local permissions=compute.disks.create,compute.disks.get,compute.disks.resize,compute.disks.setLabels,compute.addresses.create,compute.addresses.get,compute.zoneOperations.get,compute.regionOperations.get
    exists gcloud iam roles describe atollZoneAgent --project "$project" ||
        run gcloud iam roles create atollZoneAgent --project "$project" --title "Atoll zone agent" --stage GA --permissions "$permissions"
    run gcloud projects add-iam-policy-binding "$project" --member "serviceAccount:$account" --role "projects/$project/roles/atollZoneAgent" --condition None --format none
}

make_network() {
    say "A network of its own"
    exists gcloud compute networks describe atoll --project "$project" ||
        run gcloud compute networks create atoll --project "$project" --subnet-mode custom
}

# Members leave by a reserved address, which the other zones' Services admit: nodes have none of their own.
make_region() { # REGION NUMBER
    local region=$1 number=$2
    say "Region $region: subnet, and the address that its members leave by"
    exists gcloud compute networks subnets describe "atoll-$region" --region "$region" --project "$project" ||
        run gcloud compute networks subnets create "atoll-$region" --project "$project" --network atoll --region "$region" \
            --range "10.$number.0.0/20" --enable-private-ip-google-access
    exists gcloud compute addresses describe "atoll-egress-$region" --region "$region" --project "$project" ||
        run gcloud compute addresses create "atoll-egress-$region" --project "$project" --region "$region"
    exists gcloud compute routers describe "atoll-$region" --region "$region" --project "$project" ||
        run gcloud compute routers create "atoll-$region" --project "$project" --network atoll --region "$region"
    exists gcloud compute routers nats describe "atoll-$region" --router "atoll-$region" --region "$region" --project "$project" ||
        run gcloud compute routers nats create "atoll-$region" --project "$project" --router "atoll-$region" --region "$region" \
            --nat-external-ip-pool "atoll-egress-$region" --nat-all-subnet-ip-ranges
}

make_cluster() { # ZONE NUMBER
    local zone=$1 number=$2 region=${1%-*} access=()
    [ -z "$admin_ranges" ] || access=(--enable-master-authorized-networks --master-authorized-networks "$admin_ranges")
    say "Zone $zone: its cluster"
    exists gcloud container clusters describe "atoll-$zone" --zone "$zone" --project "$project" ||
        run gcloud container clusters create "atoll-$zone" --project "$project" --zone "$zone" --network atoll --subnetwork "atoll-$region" \
            --release-channel regular --num-nodes "$nodes" --machine-type "$machine_type" --enable-ip-alias --enable-dataplane-v2 \
            --enable-private-nodes --master-ipv4-cidr "172.16.$number.0/28" --workload-pool "$project.svc.id.goog" --workload-metadata GKE_METADATA \
            --enable-shielded-nodes --shielded-secure-boot --addons GcePersistentDiskCsiDriver "${access[@]}"
    # The cluster's service account may act as Google's; one identity pool serves all clusters of the project.
    run gcloud iam service-accounts add-iam-policy-binding "$account" --project "$project" --role roles/iam.workloadIdentityUser \
        --member "serviceAccount:$project.svc.id.goog[$namespace/atoll-zone-agent]" --format none
    run gcloud container clusters get-credentials "atoll-$zone" --zone "$zone" --project "$project"
}

enable_apis
make_identity
make_network
mapfile -t regions < <(printf '%s\n' "${zones[@]%-*}" | sort -u)
for region in "${regions[@]}"; do
    make_region "$region" "$(number_of "$region")"
done
for zone in "${zones[@]}"; do
    make_cluster "$zone" "$(number_of "$zone")"
done

say "Next"
for region in "${regions[@]}"; do
    say "  the spec's egress of zones in $region: gcloud compute addresses describe atoll-egress-$region --region $region --project $project --format 'value(address)'"
done
for zone in "${zones[@]}"; do
    say "  kubectl --context gke_${project}_${zone}_atoll-$zone create namespace $namespace"
    say "  sed -i s/PROJECT_ID/$project/ deploy/kustomize/overlays/$zone/kustomization.yaml && kubectl --context gke_${project}_${zone}_atoll-$zone apply -k deploy/kustomize/overlays/$zone"
done
