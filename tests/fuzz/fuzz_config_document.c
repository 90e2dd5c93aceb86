/* The configuration document of whoever answers, which the controller edits and sends back: no bytes may
 * crash it; an edit that changes nothing leaves all that was understood as it was, but for a version one
 * higher, and a change changes what was meant. */
#include <assert.h>
#include <string.h>

#include "controller/act/config_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_tags(const struct config_member *a, const struct config_member *b)
{
    bool same = a->tag_count == b->tag_count;
    for (size_t i = 0; same && i < a->tag_count; i++)
        same = !strcmp(a->tags[i].key, b->tags[i].key) && !strcmp(a->tags[i].value, b->tags[i].value);
    return same;
}

static bool same_member(const struct config_member *a, const struct config_member *b)
{
    return a->id == b->id && !strcmp(a->host, b->host) && a->votes == b->votes &&
           a->priority == b->priority && a->hidden == b->hidden && a->arbiter_only == b->arbiter_only &&
           a->newly_added == b->newly_added && a->secondary_delay_secs == b->secondary_delay_secs &&
           same_tags(a, b);
}

static bool same_setting(const struct setting *a, const struct setting *b)
{
    return !strcmp(a->name, b->name) && a->value == b->value && a->is_bool == b->is_bool;
}

static bool same_config(const struct replica_config *a, const struct replica_config *b)
{
    bool same = !strcmp(a->set, b->set) && a->version == b->version && a->term == b->term &&
                !strcmp(a->replica_set_id, b->replica_set_id) && a->member_count == b->member_count &&
                a->setting_count == b->setting_count;
    for (size_t i = 0; same && i < a->member_count; i++)
        same = same_member(&a->members[i], &b->members[i]);
    for (size_t i = 0; same && i < a->setting_count; i++)
        same = same_setting(&a->settings[i], &b->settings[i]);
    return same;
}

static void check_edit(const bson_t *before, const struct replica_config *wanted, struct arena *arena)
{
    struct error err = {0};
    struct replica_config after, expected = *wanted;
    bson_t document;
    if (wanted->member_count == 0) {
        assert(config_document_edit(before, wanted, DELAY_BY_DOCUMENT, &document, &err));
        return;
    }
    assert(config_document_edit(before, wanted, DELAY_BY_DOCUMENT, &document, &err) == 0);
    assert(config_document_read(&document, arena, &after, &err) == 0);
    expected.version++;
    expected.term = -1; /* the server sets it */
    assert(same_config(&after, &expected));
    bson_destroy(&document);
}

/* One member's vote is taken, and the last member leaves. */
static void check_change(const bson_t *before, const struct replica_config *config, struct arena *arena)
{
    struct replica_config wanted = *config;
    struct config_member members[SET_MEMBERS_MAX];
    if (config->member_count < 2)
        return;
    memcpy(members, config->members, config->member_count * sizeof *members);
    members[0].votes = 0;
    members[0].priority = 0;
    wanted.members = members;
    wanted.member_count--;
    check_edit(before, &wanted, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct error err = {0};
    struct replica_config config;
    bson_t document;
    if (!bson_init_static(&document, data, size))
        return 0;
    arena_init(&arena, 64 << 20);
    if (config_document_read(&document, &arena, &config, &err) == 0) {
        assert(config.member_count <= SET_MEMBERS_MAX && config.setting_count <= SETTINGS_MAX);
        check_edit(&document, &config, &arena);
        check_change(&document, &config, &arena);
    } else {
        assert(err.code == ERROR_PROTOCOL || err.code == ERROR_TOO_LARGE);
    }
    arena_finish(&arena);
    return 0;
}
