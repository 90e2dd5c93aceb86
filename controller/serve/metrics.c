/* Metrics as Prometheus text 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). */
#include <stdio.h>
#include <string.h>

#include "controller/serve/site.h"

static void head(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct buffer *out, const char *name, const char *type, const char *help, uint64_t value)
{
    head(out, name, type, help);
    buffer_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void write_zones(struct buffer *out, const struct federation_view *view)
{
    head(out, "atoll_zone_connected", "gauge", "Whether the zone's agent is heard.");
    for (size_t i = 0; i < view->zone_count; i++)
        buffer_printf(out, "atoll_zone_connected{zone=\"%s\"} %d\n", view->zones[i].zone->name,
                      view->zones[i].state == ZONE_CONNECTED);
    head(out, "atoll_zone_last_heard_timestamp_seconds", "gauge",
         "When the zone's agent was heard last; 0: never.");
    for (size_t i = 0; i < view->zone_count; i++)
        buffer_printf(out, "atoll_zone_last_heard_timestamp_seconds{zone=\"%s\"} %.3f\n",
                      view->zones[i].zone->name, (double)view->zones[i].last_report_at_ms / 1000);
}

static void write_sets(struct buffer *out, const struct federation_view *view)
{
    head(out, "atoll_set_healthy", "gauge", "Whether the set is healthy.");
    for (size_t i = 0; i < view->set_count; i++)
        buffer_printf(out, "atoll_set_healthy{set=\"%s\"} %d\n", view->sets[i].set->name,
                      view->sets[i].plan && view->sets[i].plan->healthy);
    head(out, "atoll_set_phase", "gauge", "1 for the phase that the set is in.");
    for (size_t i = 0; i < view->set_count; i++)
        if (view->sets[i].plan)
            buffer_printf(out, "atoll_set_phase{set=\"%s\",phase=\"%s\"} 1\n", view->sets[i].set->name,
                          set_phase_name(view->sets[i].plan->phase));
    head(out, "atoll_set_config_version", "gauge",
         "The version of the newest configuration that is known; 0: none.");
    for (size_t i = 0; i < view->set_count; i++)
        if (view->sets[i].plan)
            buffer_printf(out, "atoll_set_config_version{set=\"%s\"} %lld\n", view->sets[i].set->name,
                          (long long)view->sets[i].plan->config.version);
}

static void write_bounds(struct buffer *out, const struct site *site)
{
    struct http_server_counts sum = {.bodies_refused = 0};
    for (size_t i = 0; i < site->listener_count; i++) {
        struct http_server_counts one = http_server_counts(site->listeners[i].server);
        sum.bodies_refused += one.bodies_refused;
        sum.handshakes_refused += one.handshakes_refused;
        sum.body_bytes[HTTP_PERSON] += one.body_bytes[HTTP_PERSON];
        sum.body_bytes[HTTP_AGENT] += one.body_bytes[HTTP_AGENT];
    }
    number(out, "atoll_http_bodies_refused_total", "counter",
           "Large bodies that weren't taken because of those on their way.", sum.bodies_refused);
    number(out, "atoll_http_handshakes_refused_total", "counter",
           "TLS handshakes that came too often from their address.", sum.handshakes_refused);
    head(out, "atoll_http_body_bytes", "gauge",
         "Bytes of large bodies that are on their way, by whose they are.");
    buffer_printf(out, "atoll_http_body_bytes{of=\"person\"} %zu\natoll_http_body_bytes{of=\"agent\"} %zu\n",
                  sum.body_bytes[HTTP_PERSON], sum.body_bytes[HTTP_AGENT]);
}

static void write_connections(struct buffer *out, const struct site *site)
{
    static const char *const standings[HTTP_STANDINGS] = {"stranger", "person", "agent"};
    head(out, "atoll_http_connections", "gauge", "Connections that are open, by who has them.");
    for (int standing = 0; standing < HTTP_STANDINGS; standing++) {
        unsigned count = 0;
        for (size_t i = 0; i < site->listener_count; i++)
            count += http_server_count(site->listeners[i].server, (enum http_standing)standing);
        buffer_printf(out, "atoll_http_connections{of=\"%s\"} %u\n", standings[standing], count);
    }
}

enum member_metric { MEMBER_HEALTHY, MEMBER_LAG, MEMBER_CERTIFICATE };

static void write_member_metric(struct buffer *out, const struct set_view *set, enum member_metric metric)
{
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; set->plan && i < set->plan->member_count; i++) {
        const struct member_plan *member = &set->plan->members[i];
        const char *node = spec_node_name(set->set, &set->set->members[i], &arena);
        int64_t until_ms = set->observation ? set->observation->members[i].certificate_until_ms : 0;
        if (metric == MEMBER_CERTIFICATE && until_ms)
            buffer_printf(
                out, "atoll_member_certificate_expiry_timestamp_seconds{set=\"%s\",member=\"%s\"} %lld\n",
                set->set->name, node, (long long)until_ms / 1000);
        else if (metric == MEMBER_HEALTHY)
            buffer_printf(out, "atoll_member_healthy{set=\"%s\",member=\"%s\"} %d\n", set->set->name, node,
                          member->healthy);
        else if (metric == MEMBER_LAG && member->lag_seconds >= 0)
            buffer_printf(out, "atoll_member_lag_seconds{set=\"%s\",member=\"%s\"} %lld\n", set->set->name,
                          node, (long long)member->lag_seconds);
    }
    arena_finish(&arena);
}

static void write_members(struct buffer *out, const struct federation_view *view)
{
    head(out, "atoll_member_healthy", "gauge", "Whether the member does what the spec wants of it.");
    for (size_t i = 0; i < view->set_count; i++)
        write_member_metric(out, &view->sets[i], MEMBER_HEALTHY);
    head(out, "atoll_member_lag_seconds", "gauge", "How far the member is behind the primary.");
    for (size_t i = 0; i < view->set_count; i++)
        write_member_metric(out, &view->sets[i], MEMBER_LAG);
    head(out, "atoll_member_certificate_expiry_timestamp_seconds", "gauge",
         "When the certificate ends that the member is to show.");
    for (size_t i = 0; i < view->set_count; i++)
        write_member_metric(out, &view->sets[i], MEMBER_CERTIFICATE);
}

static void write_actions(struct buffer *out, const char *name, const char *help, const uint64_t counts[5])
{
    head(out, name, "counter", help);
    for (int kind = ACTION_INITIATE; kind <= ACTION_MAKE_ADMIN; kind++)
        buffer_printf(out, "%s{action=\"%s\"} %llu\n", name, action_kind_name((enum action_kind)kind),
                      (unsigned long long)counts[kind]);
}

static void write_counts(struct buffer *out, const struct federation_view *view, const struct site *site)
{
    const struct controller_counts *counts = view->counts;
    number(out, "atoll_controller_epoch", "gauge", "The controller's epoch.", (uint64_t)view->epoch);
    number(out, "atoll_federation_revision", "gauge", "The revision of the spec in force.",
           (uint64_t)view->revision);
    number(out, "atoll_plans_total", "counter", "Plans that were made.", counts->plans);
    number(out, "atoll_intents_total", "counter", "Intents that were changed.", counts->intents_sent);
    number(out, "atoll_reports_total", "counter", "Reports that were taken.", counts->reports);
    number(out, "atoll_reports_ignored_total", "counter", "Reports that were older than what was known.",
           counts->reports_ignored);
    number(out, "atoll_heartbeats_total", "counter", "Heartbeats that were taken.", counts->heartbeats);
    number(out, "atoll_store_writes_total", "counter", "Writes to the store.", counts->store_writes);
    number(out, "atoll_store_failures_total", "counter", "Writes to the store that failed.",
           counts->store_failures);
    number(out, "atoll_http_requests_total", "counter", "Requests that were served.", site->requests);
    number(out, "atoll_http_streams", "gauge", "Streams that are open.", site->stream_count);
    number(out, "atoll_http_refused_total", "counter",
           "Requests of callers who may not do what they asked for.", site->gate.refused);
    number(out, "atoll_http_limited_total", "counter",
           "Requests that came too often, or whose answers were too much work.", site->gate.limited);
    write_bounds(out, site);
    write_connections(out, site);
    write_actions(out, "atoll_actions_total", "Actions on MongoDB that were begun.", counts->actions_started);
    write_actions(out, "atoll_action_failures_total", "Actions on MongoDB that failed.",
                  counts->actions_failed);
}

static void write_certificates(struct buffer *out, const struct federation_view *view)
{
    head(out, "atoll_certificate_expiry_timestamp_seconds", "gauge",
         "When the certificate ends that counts: of the CA, the controller, a zone's agent.");
    if (!view->trust.on)
        return;
    buffer_printf(out, "atoll_certificate_expiry_timestamp_seconds{of=\"ca\",zone=\"\"} %lld\n",
                  (long long)view->trust.ca_expires_at_ms / 1000);
    buffer_printf(out, "atoll_certificate_expiry_timestamp_seconds{of=\"controller\",zone=\"\"} %lld\n",
                  (long long)view->trust.certificate_expires_at_ms / 1000);
    for (size_t i = 0; i < view->zone_count; i++)
        if (view->zones[i].enrolment.certificate_expires_at_ms)
            buffer_printf(out, "atoll_certificate_expiry_timestamp_seconds{of=\"agent\",zone=\"%s\"} %lld\n",
                          view->zones[i].zone->name,
                          (long long)view->zones[i].enrolment.certificate_expires_at_ms / 1000);
}

void serve_metrics(struct exchange *exchange)
{
    struct federation_view view;
    struct buffer text;
    exchange->site->backend.view(exchange->site->backend.context, &view);
    buffer_init(&text, 0);
    head(&text, "atoll_controller_info", "gauge", "The controller's version.");
    buffer_printf(&text, "atoll_controller_info{version=\"%s\"} 1\n", ATOLL_VERSION);
    write_counts(&text, &view, exchange->site);
    write_certificates(&text, &view);
    write_zones(&text, &view);
    write_sets(&text, &view);
    write_members(&text, &view);
    answer_text(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", buffer_text(&text), text.length);
    buffer_finish(&text);
}
