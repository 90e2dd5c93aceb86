/* What was reached: each fault, each row of the planner's and the reconciler's tables. */
#include "tests/sim/coverage.h"

#include <stdio.h>
#include <string.h>

#include "controller/decide/rules.h"
#include "tests/sim/world.h"
#include "zone-agent/decide/reconcile.h"

enum { RULE_MOST = 400 };

static uint64_t taken[RULE_MOST], taken_by_agents[RULE_MOST];

enum how_often { NEVER, SELDOM };

static const struct {
    int number;
    enum how_often how_often;
    const char *reason;
} excused[] = {
#define X(number, how_often, reason) {number, how_often, reason},
#include "tests/sim/excused.def"
#undef X
};

void coverage_rule(int number)
{
    if (number > 0 && number < RULE_MOST)
        taken[number]++;
}

void coverage_agent_rule(int number)
{
    if (number > 0 && number < RULE_MOST)
        taken_by_agents[number]++;
}

/* The linker leads the agent's calls of reconcile() here. */
void __real_reconcile(const struct intent_member *wanted, const struct member_holding *held,
                      struct arena *arena, struct decision *out);
void __wrap_reconcile(const struct intent_member *wanted, const struct member_holding *held,
                      struct arena *arena, struct decision *out);
void __wrap_reconcile(const struct intent_member *wanted, const struct member_holding *held,
                      struct arena *arena, struct decision *out)
{
    __real_reconcile(wanted, held, arena, out);
    coverage_agent_rule(out->rule);
}

/* ---- adding up ---- */

void coverage_collect(struct coverage *out)
{
    memset(out, 0, sizeof *out);
    memcpy(out->rows, taken, sizeof taken);
    memcpy(out->agent_rows, taken_by_agents, sizeof taken_by_agents);
    for (int i = 0; i < fault_kinds(); i++)
        out->faults[i] = faults_fired[i];
}

void coverage_add(struct coverage *sum, const struct coverage *more)
{
    for (int i = 0; i < COVERAGE_ROWS; i++) {
        sum->rows[i] += more->rows[i];
        sum->agent_rows[i] += more->agent_rows[i];
    }
    for (int i = 0; i < COVERAGE_FAULTS; i++)
        sum->faults[i] += more->faults[i];
}

static int find_excuse(int number)
{
    for (size_t i = 0; i < sizeof excused / sizeof *excused; i++)
        if (excused[i].number == number)
            return (int)i;
    return -1;
}

static int print_row(const char *kind, int number, const char *name, uint64_t times)
{
    int excuse = find_excuse(number);
    bool stale = times && excuse >= 0 && excused[excuse].how_often == NEVER;
    const char *verdict = stale ? "  STALE EXCUSE: " : times ? "" : excuse >= 0 ? "  excused: " : "  NEVER";
    printf("  %-8s %3d %-26s %10llu%s%s\n", kind, number, name, (unsigned long long)times, verdict,
           excuse >= 0 && (stale || !times) ? excused[excuse].reason : "");
    return stale || (!times && excuse < 0);
}

static int print_planner(const struct coverage *sum)
{
    int missing = 0;
    for (int table = RULES_OF_SET; table <= RULES_OF_MEMBER; table++) {
        size_t count;
        const struct rule *rules = rules_of((enum rule_table)table, &count);
        for (size_t i = 0; i < count; i++)
            missing += print_row(table == RULES_OF_SET ? "set" : "member", rules[i].number, rules[i].name,
                                 sum->rows[rules[i].number]);
    }
    return missing;
}

static int print_agents(const struct coverage *sum)
{
    struct buffer text;
    struct error err;
    int missing = 0;
    buffer_init(&text, 0);
    if (reconcile_rules_dump(&text, &err) == 0)
        for (char *line = text.data; line && *line;
             line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
            int number = 0;
            char name[64];
            if (*line != ' ' && sscanf(line, "%d %63s", &number, name) == 2 && number < COVERAGE_ROWS)
                missing += print_row("agent", number, name, sum->agent_rows[number]);
        }
    buffer_finish(&text);
    return missing;
}

int coverage_print(const struct coverage *sum)
{
    int missing = 0;
    for (int i = 0; i < fault_kinds(); i++) {
        printf("  %-8s     %-26s %10llu%s\n", "fault", fault_name(i), (unsigned long long)sum->faults[i],
               sum->faults[i] ? "" : "  NEVER");
        missing += !sum->faults[i];
    }
    return missing + print_planner(sum) + print_agents(sum);
}
