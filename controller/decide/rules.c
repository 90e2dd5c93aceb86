/* The rows of rules.def as tables, and how one is chosen: see rules.h. */
#include "controller/decide/rules.h"

#include "controller/decide/situation.h"

static const char *const outcome_names[] = {
#define X(name, text) [name] = text,
    OUTCOMES(X)
#undef X
};

#define ROW(number, name, require, forbid, outcome, reason, ended_by, sentence)                              \
    {number, name, require, forbid, outcome, reason, ended_by, sentence},
#define NO_ROW(number, name, require, forbid, outcome, reason, ended_by, sentence)

static const struct rule set_rules[] = {
#define SET_RULE ROW
#define MEMBER_RULE NO_ROW
#include "controller/decide/rules.def"
#undef SET_RULE
#undef MEMBER_RULE
};

static const struct rule member_rules[] = {
#define SET_RULE NO_ROW
#define MEMBER_RULE ROW
#include "controller/decide/rules.def"
#undef SET_RULE
#undef MEMBER_RULE
};

static const char *const set_facts[] = {
#define SET_FACT(name, words) words,
#define MEMBER_FACT(name, words)
#include "controller/decide/facts.def"
#undef SET_FACT
#undef MEMBER_FACT
};

static const char *const member_facts[] = {
#define SET_FACT(name, words)
#define MEMBER_FACT(name, words) words,
#include "controller/decide/facts.def"
#undef SET_FACT
#undef MEMBER_FACT
};

/* The same words with "not: " before them. */
static const char *const not_set_facts[] = {
#define SET_FACT(name, words) "not: " words,
#define MEMBER_FACT(name, words)
#include "controller/decide/facts.def"
#undef SET_FACT
#undef MEMBER_FACT
};

static const char *const not_member_facts[] = {
#define SET_FACT(name, words)
#define MEMBER_FACT(name, words) "not: " words,
#include "controller/decide/facts.def"
#undef SET_FACT
#undef MEMBER_FACT
};

const struct rule *rules_of(enum rule_table table, size_t *count)
{
    *count = table == RULES_OF_SET ? sizeof set_rules / sizeof *set_rules
                                   : sizeof member_rules / sizeof *member_rules;
    return table == RULES_OF_SET ? set_rules : member_rules;
}

static bool fits(const struct rule *rule, uint64_t facts)
{
    return (facts & rule->require) == rule->require && !(facts & rule->forbid);
}

const struct rule *rules_match(enum rule_table table, uint64_t facts)
{
    size_t count;
    const struct rule *rules = rules_of(table, &count);
    while (!fits(rules, facts))
        rules++; /* each table's last row asks for nothing */
    return rules;
}

const struct rule *rules_find(int number)
{
    for (int table = RULES_OF_SET; table <= RULES_OF_MEMBER; table++) {
        size_t count;
        const struct rule *rules = rules_of(table, &count);
        for (size_t i = 0; i < count; i++)
            if (rules[i].number == number)
                return &rules[i];
    }
    return NULL;
}

const char *rule_outcome_name(const struct rule *rule)
{
    return outcome_names[rule->outcome];
}

const char *rule_unmet(enum rule_table table, const struct rule *rule, uint64_t facts)
{
    bool set = table == RULES_OF_SET;
    int count = set ? (int)SET_FACT_COUNT : (int)MEMBER_FACT_COUNT;
    for (int bit = 0; bit < count; bit++) {
        uint64_t fact = UINT64_C(1) << bit;
        if ((rule->forbid & fact) && (facts & fact))
            return set ? not_set_facts[bit] : not_member_facts[bit];
        if ((rule->require & fact) && !(facts & fact))
            return set ? set_facts[bit] : member_facts[bit];
    }
    return NULL;
}

static void dump_facts(enum rule_table table, uint64_t facts, const char *lead, struct buffer *out)
{
    int count = table == RULES_OF_SET ? (int)SET_FACT_COUNT : (int)MEMBER_FACT_COUNT;
    for (int bit = 0; bit < count; bit++)
        if (facts >> bit & 1)
            buffer_printf(out, "  %s %s\n", lead, (table == RULES_OF_SET ? set_facts : member_facts)[bit]);
}

void rules_dump(struct buffer *out)
{
    for (int table = RULES_OF_SET; table <= RULES_OF_MEMBER; table++) {
        size_t count;
        const struct rule *rules = rules_of(table, &count);
        for (size_t i = 0; i < count; i++) {
            buffer_printf(out, "%d %s: %s\n", rules[i].number, rules[i].name, rule_outcome_name(&rules[i]));
            dump_facts(table, rules[i].require, "when", out);
            dump_facts(table, rules[i].forbid, "not when", out);
            if (rules[i].reason[0])
                buffer_printf(out, "  waits as %s, ended by %s\n", rules[i].reason, rules[i].ended_by);
            buffer_printf(out, "  %s\n\n", rules[i].sentence);
        }
    }
}
