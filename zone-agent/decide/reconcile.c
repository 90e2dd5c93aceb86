/* Intent and holdings -> the next step of one member, by the first row of rules.def that fits. */
#include "zone-agent/decide/reconcile.h"

#include <assert.h>
#include <string.h>

#include "proto/base/plant.h"

enum fact_index {
#define FACT(name, yes, no) FACT_INDEX_##name,
#include "zone-agent/decide/facts.def"
#undef FACT
    FACT_COUNT
};
_Static_assert(FACT_COUNT <= 32, "facts are bits of an uint32_t");

#define F(name) (UINT32_C(1) << FACT_INDEX_##name)

static const struct {
    const char *name, *yes, *no;
} facts[] = {
#define FACT(name, yes, no) {#name, yes, no},
#include "zone-agent/decide/facts.def"
#undef FACT
};

struct rule {
    int number;
    const char *name;
    uint32_t must, must_not;
    enum decision_outcome outcome;
    enum step_kind step;
    const char *code, *sentence;
};

#define STEP(kind) DECISION_STEP, kind
#define WAIT DECISION_WAIT, 0
#define DONE DECISION_DONE, 0
#define RULE(number, name, must, must_not, outcome, code, sentence)                                          \
    {number, #name, must, must_not, outcome, code, sentence},
static const struct rule rules[] = {
#include "zone-agent/decide/rules.def"
};
enum { RULE_COUNT = sizeof rules / sizeof *rules };

static bool is_set(const char *text)
{
    return text && *text;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static uint32_t fact(uint32_t bit, bool holds)
{
    return holds ? bit : 0;
}

static uint32_t wanted_facts(const struct intent_member *wanted)
{
    return F(NAMED) | fact(F(UP), wanted->run == RUN_UP) | fact(F(HELD), wanted->run == RUN_HELD) |
           fact(F(ABSENT), wanted->run == RUN_ABSENT) | fact(F(ID_NAMED), is_set(wanted->disk_id)) |
           fact(F(MARK_WANTED), is_set(wanted->replica_set_id)) | fact(F(TLS), wanted->tls) |
           fact(F(CERTIFICATE), is_set(wanted->certificate));
}

static uint32_t disk_facts(const struct disk_holding *disk)
{
    bool exists = disk->state == DISK_READY || disk->state == DISK_ATTACHED;
    return fact(F(DISK), exists) | fact(F(DISK_CREATING), disk->state == DISK_CREATING) |
           fact(F(DISK_FAILED), disk->state == DISK_FAILED) | fact(F(USED), disk->used) |
           fact(F(ADOPTED), disk->adopted) | fact(F(MARKED), is_set(disk->replica_set_id));
}

static uint32_t held_facts(const struct member_holding *held)
{
    const struct pod_holding *pod = &held->pod;
    return disk_facts(&held->disk) | fact(F(SERVICE), held->service_exists) |
           fact(F(ADDRESS), is_set(held->address)) | fact(F(CONTROLLER), held->controller_exists) |
           fact(F(REPLICAS), held->controller_exists && held->replicas > 0) |
           fact(F(POD), is_set(pod->name)) | fact(F(POD_RUNNING), pod->running) |
           fact(F(POD_READY), pod->ready) | fact(F(POD_TERMINATING), pod->terminating) |
           fact(F(FOREIGN), held->foreign) | fact(F(DISK_STALE), held->disk_stale) |
           fact(F(DISK_SMALL), held->disk_small) | fact(F(SECRETS_STALE), held->secrets_stale) |
           fact(F(SERVICE_STALE), held->service_stale) | fact(F(CONTROLLER_STALE), held->controller_stale);
}

static uint32_t facts_of(const struct intent_member *wanted, const struct member_holding *held)
{
    uint32_t now = (wanted ? wanted_facts(wanted) : 0) | (held ? held_facts(held) : 0);
    if (!wanted || !held)
        return now;
    const char *mark = held->disk.replica_set_id;
    if (is_set(wanted->disk_id) && same(wanted->disk_id, held->disk.id))
        now |= F(ID_KNOWN);
    if (is_set(wanted->replica_set_id) && is_set(mark) && !same(wanted->replica_set_id, mark))
        now |= F(MARK_FOREIGN);
    return now;
}

static bool rule_fits(const struct rule *rule, uint32_t now)
{
    return (now & rule->must) == rule->must && !(now & rule->must_not);
}

/* ---- sentences ---- */

static const char *placeholder(const char *name, size_t length, const struct intent_member *wanted,
                               const struct member_holding *held)
{
    const struct {
        const char *name, *value;
    } known[] = {
        {"node", wanted ? wanted->node : ""},       {"disk", wanted ? wanted->disk : ""},
        {"service", wanted ? wanted->service : ""}, {"controller", wanted ? wanted->controller : ""},
        {"wanted", wanted ? wanted->disk_id : ""},  {"set", wanted ? wanted->replica_set_id : ""},
        {"id", held ? held->disk.id : ""},          {"mark", held ? held->disk.replica_set_id : ""},
        {"pod", held ? held->pod.name : ""},        {"problem", held ? held->problem.message : ""},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == length && memcmp(known[i].name, name, length) == 0)
            return known[i].value ? known[i].value : "";
    assert(!"a sentence of rules.def has an unknown placeholder");
    return "";
}

static const char *expand(const char *sentence, const struct intent_member *wanted,
                          const struct member_holding *held, struct arena *arena)
{
    char text[ERROR_MESSAGE_MAX];
    size_t length = 0;
    for (const char *at = sentence; *at;) {
        const char *end = *at == '{' ? strchr(at, '}') : NULL;
        const char *piece = end ? placeholder(at + 1, (size_t)(end - at) - 1, wanted, held) : at;
        size_t more = end ? strlen(piece) : 1;
        if (more > sizeof text - 1 - length)
            more = sizeof text - 1 - length;
        memcpy(text + length, piece, more);
        length += more;
        at = end ? end + 1 : at + 1;
    }
    return arena_string_n(arena, text, length);
}

void reconcile(const struct intent_member *wanted, const struct member_holding *held, struct arena *arena,
               struct decision *out)
{
    uint32_t now = facts_of(wanted, held);
    const struct rule *rule = rules;
    while (rule < rules + RULE_COUNT && !rule_fits(rule, now))
        rule++;
    assert(rule < rules + RULE_COUNT); /* 100, 114, 198 and 199 leave no case over */
    *out = (struct decision){
        .rule = rule->number, .name = rule->name, .outcome = rule->outcome, .step = rule->step};
    if (PLANT(DELETE_DISK) && rule->step == STEP_DELETE_SERVICE)
        out->step = (enum step_kind)PLANTED_DELETE_DISK;
    out->reached = rule->outcome == DECISION_DONE;
    out->waiting = (struct problem){.code = "", .message = ""};
    if (!out->reached)
        out->waiting =
            (struct problem){rule->code, expand(rule->sentence, wanted, held, arena), rule->number};
}

const char *reconcile_unmet(int number, const struct intent_member *wanted, const struct member_holding *held)
{
    uint32_t now = facts_of(wanted, held);
    for (const struct rule *rule = rules; rule < rules + RULE_COUNT; rule++) {
        if (rule->number != number)
            continue;
        for (size_t i = 0; i < FACT_COUNT; i++) {
            uint32_t bit = UINT32_C(1) << i;
            if (rule->must & bit & ~now)
                return facts[i].yes;
            if (rule->must_not & bit & now)
                return facts[i].no;
        }
    }
    return NULL;
}

/* ---- the table as text ---- */

static const char *outcome_text(const struct rule *rule)
{
    static const char *const steps[] = {
#undef STEP
#define X(name, text) [name] = text,
        STEP_KINDS(X)
#undef X
    };
    return rule->outcome == DECISION_WAIT   ? "wait"
           : rule->outcome == DECISION_DONE ? "done"
                                            : steps[rule->step];
}

static int dump_conditions(struct buffer *out, const struct rule *rule)
{
    int failed = 0;
    for (size_t i = 0; i < FACT_COUNT; i++) {
        uint32_t bit = UINT32_C(1) << i;
        if ((rule->must | rule->must_not) & bit)
            failed |= buffer_printf(out, "    if %s\n", rule->must & bit ? facts[i].yes : facts[i].no);
    }
    return failed;
}

int reconcile_rules_dump(struct buffer *out, struct error *err)
{
    int failed = 0;
    for (const struct rule *rule = rules; rule < rules + RULE_COUNT; rule++) {
        failed |= buffer_printf(out, "%d %s\n", rule->number, rule->name);
        failed |= dump_conditions(out, rule);
        failed |= buffer_printf(out, "    -> %s%s%s\n    \"%s\"\n", outcome_text(rule),
                                *rule->code ? ": " : "", rule->code, rule->sentence);
    }
    return failed ? error_set(err, ERROR_NO_MEMORY, "the rules' text does not fit into memory") : 0;
}
