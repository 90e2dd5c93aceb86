/* The status document as people read it: see status_view.h. */
#include "controller/cli/status_view.h"

#include <stdio.h>
#include <string.h>

#include "controller/cli/text.h"

enum { CELL_MAX = 512 };

static const char *get(const struct json *object, const char *key)
{
    return json_get_text(object, key, "");
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

/* Of a set or a member: the spec takes it out and it has left, so nobody waits for it. */
static bool has_left(const struct json *object)
{
    return strcmp(get(object, "phase"), "Removed") == 0;
}

bool set_is_healthy(const struct json *set)
{
    if (strcmp(get(set, "phase"), "Healthy") != 0)
        return false;
    const struct json *members = json_get(set, "members");
    for (const struct json *member = json_first(members); member; member = json_next(member))
        if (!json_get_bool(member, "healthy", false) && !has_left(member))
            return false;
    return true;
}

bool status_is_healthy(const struct json *document)
{
    const struct json *zones = json_get(document, "zones"), *sets = json_get(document, "sets");
    for (const struct json *zone = json_first(zones); zone; zone = json_next(zone))
        if (strcmp(get(zone, "state"), "Connected") != 0)
            return false;
    for (const struct json *set = json_first(sets); set; set = json_next(set))
        if (!set_is_healthy(set) && !has_left(set))
            return false;
    return json_count(sets) > 0;
}

bool status_is_reached(const struct json *document)
{
    const struct json *zones = json_get(document, "zones");
    for (const struct json *zone = json_first(zones); zone; zone = json_next(zone))
        if (!json_get_bool(zone, "upToDate", true))
            return false;
    return true;
}

const struct json *status_find_set(const struct json *document, const char *name)
{
    const struct json *sets = json_get(document, "sets");
    for (const struct json *set = json_first(sets); set; set = json_next(set))
        if (strcmp(get(set, "name"), name) == 0)
            return set;
    return NULL;
}

static enum cell_colour phase_colour(const char *phase)
{
    if (strcmp(phase, "Healthy") == 0 || strcmp(phase, "Connected") == 0)
        return COLOUR_GOOD;
    if (strcmp(phase, "QuorumLost") == 0 || strcmp(phase, "AddressesLost") == 0 ||
        strcmp(phase, "Failed") == 0)
        return COLOUR_BAD;
    return COLOUR_WARN;
}

static void print_summary(const struct json *document, const struct view *view, struct buffer *out)
{
    const struct json *summary = json_get(document, "summary");
    struct buffer line, cut;
    buffer_init(&line, 0);
    buffer_init(&cut, 0);
    buffer_append_text(&line, "Federation ");
    text_escape(or_dash(get(document, "federation")), &line);
    buffer_printf(&line, "  revision %lld", (long long)json_get_int(document, "revision", 0));
    buffer_printf(&line, "  zones %lld/%lld", (long long)json_get_int(summary, "connectedZones", 0),
                  (long long)json_get_int(summary, "zones", 0));
    buffer_printf(&line, "  sets %lld/%lld", (long long)json_get_int(summary, "healthySets", 0),
                  (long long)json_get_int(summary, "sets", 0));
    buffer_printf(&line, "  members %lld/%lld", (long long)json_get_int(summary, "healthyMembers", 0),
                  (long long)json_get_int(summary, "members", 0));
    text_cut(buffer_text(&line), view->width, &cut);
    colour_print(COLOUR_BOLD, view->colours, buffer_text(&cut), out);
    buffer_append_text(out, "\n");
    buffer_finish(&line);
    buffer_finish(&cut);
}

/* What somebody has to do before the zone's agent is heard. */
static void note_reason(const struct json *zone, struct buffer *out)
{
    if (!*get(zone, "reason"))
        return;
    buffer_append_text(out, "zone ");
    text_escape(get(zone, "name"), out);
    buffer_append_text(out, ": ");
    text_escape(get(zone, "reason"), out);
    buffer_append_text(out, "\n");
}

static void print_zones(const struct json *document, const struct view *view, struct buffer *out)
{
    static const char *const titles[] = {"ZONE", "STATE", "DRIVER", "MEMBERS", "LAST REPORT", "AGENT"};
    const struct json *zones = json_get(document, "zones");
    int64_t now_ms = time_from_text(get(document, "generatedAt"));
    struct buffer reasons;
    struct table table;
    buffer_init(&reasons, 0);
    table_init(&table, titles, 6);
    table.right[3] = true;
    for (const struct json *zone = json_first(zones); zone; zone = json_next(zone)) {
        char age[DURATION_TEXT_MAX], count[32], report[CELL_MAX];
        int64_t at_ms = time_from_text(get(zone, "lastReportAt"));
        snprintf(count, sizeof count, "%lld", (long long)json_get_int(zone, "members", 0));
        bool reported = at_ms >= 0 && now_ms >= 0;
        int64_t age_ms = now_ms > at_ms ? now_ms - at_ms : 0;
        snprintf(report, sizeof report, reported ? "%s ago" : "never", duration_text(age_ms, age));
        table_add(&table, get(zone, "name"), COLOUR_NONE);
        table_add(&table, get(zone, "state"), phase_colour(get(zone, "state")));
        table_add(&table, or_dash(get(zone, "driver")), COLOUR_NONE);
        table_add(&table, count, COLOUR_NONE);
        table_add(&table, report, COLOUR_NONE);
        table_add(&table, or_dash(get(zone, "agentVersion")), COLOUR_NONE);
        note_reason(zone, &reasons);
    }
    buffer_append_text(out, "\n");
    table_print(&table, view->width, view->colours, out);
    buffer_append(out, reasons.data, reasons.length);
    buffer_finish(&reasons);
    table_finish(&table);
}

/* Disks of members that left: nothing deletes them but people. */
static void print_retained(const struct json *document, struct buffer *out)
{
    const struct json *zones = json_get(document, "zones");
    bool first = true;
    for (const struct json *zone = json_first(zones); zone; zone = json_next(zone)) {
        const struct json *disks = json_get(zone, "retainedDisks");
        for (const struct json *disk = json_first(disks); disk; disk = json_next(disk)) {
            buffer_append_text(out, first ? "\nRetained disks\n  " : "  ");
            first = false;
            text_escape(get(disk, "name"), out);
            buffer_append_text(out, "  ");
            text_escape(get(zone, "name"), out);
            buffer_append_text(out, "  of set ");
            text_escape(get(disk, "set"), out);
            buffer_printf(out, ", ordinal %lld\n", (long long)json_get_int(disk, "ordinal", 0));
        }
    }
}

static void phase_text(const struct json *member, char text[CELL_MAX])
{
    const char *phase = or_dash(get(member, "phase")), *next = get(member, "nextPhase");
    bool moves = *next && strcmp(next, phase) != 0;
    snprintf(text, CELL_MAX, "%.200s%s%.200s", phase, moves ? " → " : "", moves ? next : "");
}

static void lag_text(const struct json *member, char text[CELL_MAX])
{
    const struct json *lag = json_get(member, "lagSeconds");
    char duration[DURATION_TEXT_MAX];
    bool known = json_is_number(lag) && json_number(lag) >= 0;
    snprintf(text, CELL_MAX, "%s", known ? duration_text((int64_t)(json_number(lag) * 1000), duration) : "-");
}

/* Why the member is as it is: its reason, else its first wait. */
static const char *reason_of(const struct json *member)
{
    const char *reason = get(member, "reason");
    return *reason ? reason : get(json_first(json_get(member, "waits")), "message");
}

static void add_number(struct table *table, const struct json *object, const char *key)
{
    char text[64] = "-";
    const struct json *value = json_get(object, key);
    if (json_is_number(value))
        snprintf(text, sizeof text, "%.10g", json_number(value));
    table_add(table, text, COLOUR_NONE);
}

static void add_wide(struct table *table, const struct json *member)
{
    const struct json *disk = json_get(member, "disk"), *pod = json_get(member, "pod");
    char text[CELL_MAX];
    add_number(table, member, "votes");
    add_number(table, member, "priority");
    add_number(table, member, "restarts");
    table_add(table, or_dash(get(member, "version")), COLOUR_NONE);
    snprintf(text, sizeof text, "%.200s %.200s", or_dash(get(disk, "name")), get(disk, "state"));
    table_add(table, text, COLOUR_NONE);
    table_add(table, or_dash(get(pod, "name")), COLOUR_NONE);
    table_add(table, or_dash(get(member, "controller")), COLOUR_NONE);
    table_add(table, or_dash(get(member, "service")), COLOUR_NONE);
}

static void add_member(struct table *table, const struct json *member, bool wide, bool reasons)
{
    char text[CELL_MAX];
    bool healthy = json_get_bool(member, "healthy", false) || has_left(member);
    const char *state = or_dash(get(member, "state"));
    bool primary = strcmp(state, "PRIMARY") == 0;
    table_add(table, get(member, "name"), COLOUR_NONE);
    table_add(table, state, !healthy ? COLOUR_BAD : primary ? COLOUR_GOOD : COLOUR_NONE);
    phase_text(member, text);
    table_add(table, text, COLOUR_NONE);
    table_add(table, or_dash(get(member, "host")), COLOUR_NONE);
    table_add(table, or_dash(get(member, "zone")), COLOUR_NONE);
    lag_text(member, text);
    table_add(table, text, COLOUR_NONE);
    if (wide)
        add_wide(table, member);
    if (reasons)
        table_add(table, reason_of(member), COLOUR_NONE);
}

static void make_members(const struct json *set, bool wide, bool reasons, struct table *table)
{
    static const char *const narrow_titles[] = {"MEMBER", "STATE", "PHASE", "HOST", "ZONE", "LAG", "REASON"};
    static const char *const wide_titles[] = {"MEMBER", "STATE", "PHASE",      "HOST",     "ZONE",
                                              "LAG",    "VOTES", "PRIORITY",   "RESTARTS", "VERSION",
                                              "DISK",   "POD",   "CONTROLLER", "SERVICE",  "REASON"};
    const struct json *members = json_get(set, "members");
    table_init(table, wide ? wide_titles : narrow_titles, wide ? 15 : reasons ? 7 : 6);
    table->right[5] = true;
    for (const struct json *member = json_first(members); member; member = json_next(member))
        add_member(table, member, wide, reasons);
}

/* What has no room beside its member stands below the table, whole. */
static void print_reasons(const struct json *set, size_t width, struct buffer *out)
{
    const struct json *members = json_get(set, "members");
    for (const struct json *member = json_first(members); member; member = json_next(member)) {
        struct buffer line;
        if (!*reason_of(member))
            continue;
        buffer_init(&line, 0);
        text_escape(get(member, "name"), &line);
        buffer_append_text(&line, ": ");
        text_escape(reason_of(member), &line);
        text_lines(buffer_text(&line), width, 2, out);
        buffer_finish(&line);
    }
}

static void print_members(const struct json *set, const struct view *view, struct buffer *out)
{
    struct table table;
    make_members(set, view->wide, true, &table);
    bool fits = view->wide || view->width == 0 || table_width(&table) <= view->width;
    if (!fits) {
        table_finish(&table);
        make_members(set, false, false, &table);
    }
    table_print(&table, view->wide ? 0 : view->width, view->colours, out);
    table_finish(&table);
    if (!fits)
        print_reasons(set, view->width, out);
}

static void add_detail(struct buffer *details, const char *format, const char *text)
{
    buffer_append_text(details, details->length ? ", " : "");
    for (; *format; format++)
        if (*format == '%')
            text_escape(text, details);
        else
            buffer_append(details, format, 1);
}

static void add_times(const struct json *wait, int64_t now_ms, struct buffer *details)
{
    char duration[DURATION_TEXT_MAX];
    int64_t since_ms = time_from_text(get(wait, "since")), until_ms = time_from_text(get(wait, "until"));
    if (now_ms <= 0)
        return;
    if (since_ms >= 0)
        add_detail(details, "for %", duration_text(now_ms > since_ms ? now_ms - since_ms : 0, duration));
    if (until_ms > now_ms)
        add_detail(details, "at most % more", duration_text(until_ms - now_ms, duration));
    else if (until_ms >= 0)
        add_detail(details, "overdue by %", duration_text(now_ms - until_ms, duration));
}

void wait_text(const struct json *wait, int64_t now_ms, struct buffer *out)
{
    char rule[32];
    struct buffer details;
    buffer_init(&details, 0);
    text_escape(or_dash(*get(wait, "message") ? get(wait, "message") : get(wait, "for")), out);
    add_times(wait, now_ms, &details);
    if (*get(wait, "endedBy"))
        add_detail(&details, "ended by %", get(wait, "endedBy"));
    snprintf(rule, sizeof rule, "%lld", (long long)json_get_int(wait, "rule", 0));
    if (strcmp(rule, "0") != 0)
        add_detail(&details, "rule %", rule);
    if (details.length)
        buffer_printf(out, " (%s)", buffer_text(&details));
    buffer_finish(&details);
}

static void print_waits(const struct json *waits, const struct view *view, int64_t now_ms, struct buffer *out)
{
    for (const struct json *wait = json_first(waits); wait; wait = json_next(wait)) {
        struct buffer line;
        buffer_init(&line, 0);
        buffer_append_text(&line, "waits: ");
        wait_text(wait, now_ms, &line);
        text_lines(buffer_text(&line), view->width, 2, out);
        buffer_finish(&line);
    }
}

void status_view_set(const struct json *set, const struct view *view, int64_t now_ms, struct buffer *out)
{
    struct buffer line, cut;
    buffer_init(&line, 0);
    buffer_init(&cut, 0);
    buffer_append_text(&line, "Set ");
    text_escape(get(set, "name"), &line);
    colour_print(COLOUR_BOLD, view->colours, buffer_text(&line), out);
    buffer_append_text(out, "  ");
    buffer_clear(&line);
    text_escape(or_dash(get(set, "phase")), &line);
    colour_print(phase_colour(get(set, "phase")), view->colours, buffer_text(&line), out);
    buffer_clear(&line);
    buffer_append_text(&line, "  primary ");
    text_escape(*get(set, "primary") ? get(set, "primary") : "none", &line);
    buffer_printf(&line, "  config %lld", (long long)json_get_int(set, "configVersion", 0));
    if (json_get_int(set, "term", -1) >= 0)
        buffer_printf(&line, "  term %lld", (long long)json_get_int(set, "term", -1));
    text_cut(buffer_text(&line), view->width > 40 ? view->width - 30 : 0, &cut);
    buffer_append_text(out, buffer_text(&cut));
    buffer_append_text(out, "\n");
    buffer_finish(&line);
    buffer_finish(&cut);
    print_members(set, view, out);
    print_waits(json_get(set, "waits"), view, now_ms, out);
    if (!json_get_bool(set, "auth", true))
        text_lines("auth: off: whoever can reach a member may do everything with its data", view->width, 2,
                   out);
    if (!json_get_bool(set, "tls", true))
        text_lines(
            "tls: off: whoever is on the way between members and clients reads and changes what they say",
            view->width, 2, out);
}

void status_view(const struct json *document, const struct view *view, struct buffer *out)
{
    const struct json *sets = json_get(document, "sets");
    int64_t now_ms = time_from_text(get(document, "generatedAt"));
    print_summary(document, view, out);
    if (json_count(json_get(document, "zones")) == 0 && json_count(sets) == 0)
        buffer_append_text(out,
                           "\nNo spec was applied yet; `atoll apply -f FILE` gives the controller one.\n");
    if (json_count(json_get(document, "zones")))
        print_zones(document, view, out);
    for (const struct json *set = json_first(sets); set; set = json_next(set)) {
        buffer_append_text(out, "\n");
        status_view_set(set, view, now_ms > 0 ? now_ms : 0, out);
    }
    print_retained(document, out);
    status_view_trust(document, view, out);
}

static void set_progress(const struct json *set, struct buffer *out)
{
    const struct json *wait = json_first(json_get(set, "waits")), *members = json_get(set, "members");
    for (const struct json *member = json_first(members); member && !wait; member = json_next(member))
        wait = json_first(json_get(member, "waits"));
    buffer_printf(out, "set %.100s: %.60s", get(set, "name"), or_dash(get(set, "phase")));
    for (const struct json *member = json_first(members); member && !wait; member = json_next(member))
        if (!json_get_bool(member, "healthy", false) && !has_left(member)) {
            buffer_printf(out, ": %.100s is %.60s", get(member, "name"), or_dash(get(member, "state")));
            break;
        }
    if (wait)
        buffer_printf(out, ": %.300s", *get(wait, "message") ? get(wait, "message") : get(wait, "for"));
}

void status_progress(const struct json *document, const char *name, struct buffer *out)
{
    const struct json *sets = json_get(document, "sets"), *zones = json_get(document, "zones");
    const struct json *named = name ? status_find_set(document, name) : NULL;
    if (name && !named) {
        buffer_printf(out, "set %.100s is not in the status yet", name);
        return;
    }
    if (named) {
        set_progress(named, out);
        return;
    }
    for (const struct json *zone = json_first(zones); zone; zone = json_next(zone))
        if (strcmp(get(zone, "state"), "Connected") != 0) {
            buffer_printf(out, "zone %.100s: %.60s%s%.200s", get(zone, "name"), get(zone, "state"),
                          *get(zone, "reason") ? ", " : "", get(zone, "reason"));
            return;
        }
    for (const struct json *set = json_first(sets); set; set = json_next(set))
        if (!set_is_healthy(set) && !has_left(set)) {
            set_progress(set, out);
            return;
        }
    for (const struct json *zone = json_first(zones); zone; zone = json_next(zone))
        if (!json_get_bool(zone, "upToDate", true)) {
            buffer_printf(out, "zone %.100s: its agent has not done yet what the spec asks for",
                          get(zone, "name"));
            return;
        }
    buffer_append_text(out, json_count(sets) ? "everything is healthy" : "the controller has no sets yet");
}
