/* Names, order and copies of the shared values; see model.h. */
#include "proto/model.h"

#include "proto/fields.h"

static const char *name_of(const struct enum_text *texts, int number)
{
    const char *text = enum_text_of(texts, number);
    return text ? text : "?";
}

const char *member_state_name(enum member_state state)
{
    return name_of(member_state_texts, (int)state);
}

bool member_state_from_number(int64_t number, enum member_state *out)
{
    for (const struct enum_text *known = member_state_texts; known->text; known++) {
        if (known->number == number) {
            *out = (enum member_state)known->number;
            return true;
        }
    }
    return false;
}

const char *mongod_answer_name(enum mongod_answer answer)
{
    return name_of(mongod_answer_texts, (int)answer);
}

const char *disk_state_name(enum disk_state state)
{
    return name_of(disk_state_texts, (int)state);
}

const char *member_run_name(enum member_run run)
{
    return name_of(member_run_texts, (int)run);
}

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* The server's own order: ConfigVersionAndTerm::operator<, terms count only when both have one.
 * https://www.mongodb.com/docs/manual/reference/replica-configuration/#mongodb-rsconf-rsconf.term */
int replica_config_compare(const struct replica_config *a, const struct replica_config *b)
{
    if (a->term != -1 && b->term != -1 && a->term != b->term)
        return compare(a->term, b->term);
    return compare(a->version, b->version);
}

int optime_compare(struct optime a, struct optime b)
{
    if (a.term != b.term)
        return compare(a.term, b.term);
    if (a.seconds != b.seconds)
        return compare(a.seconds, b.seconds);
    return compare(a.increment, b.increment);
}

const struct config_member *replica_config_find(const struct replica_config *config, int id)
{
    for (size_t i = 0; i < config->member_count; i++)
        if (config->members[i].id == id)
            return &config->members[i];
    return NULL;
}

struct replica_config replica_config_copy(struct arena *arena, const struct replica_config *config)
{
    struct replica_config copy;
    record_copy(&replica_config_record, arena, config, &copy);
    return copy;
}

const char *mongod_process_text(struct arena *arena, const char *host, int64_t pid)
{
    return *host && pid > 0 ? arena_printf(arena, "%.200s/%lld", host, (long long)pid) : "";
}

struct report report_copy(struct arena *arena, const struct report *report)
{
    struct report copy;
    record_copy(&report_record, arena, report, &copy);
    return copy;
}

struct intent intent_copy(struct arena *arena, const struct intent *intent)
{
    struct intent copy;
    record_copy(&intent_record, arena, intent, &copy);
    return copy;
}
