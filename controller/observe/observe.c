/* The observation of one set: see observe.h. */
#include "controller/observe/observe.h"

static const struct replica_config no_config = {.set = "", .term = -1, .replica_set_id = ""};

static struct member_holding no_holding(const struct spec_set *set, int ordinal)
{
    return (struct member_holding){
        .set = set->name,
        .ordinal = ordinal,
        .disk = {.name = "", .id = "", .replica_set_id = "", .size_bytes = -1, .used_bytes = -1},
        .address = "",
        .pod = {.name = "", .node = "", .image_id = "", .last_exit = "", .key_id = ""},
        .problem = {.code = "", .message = ""}};
}

static struct mongod_view no_mongod(void)
{
    return (struct mongod_view){.answer = MONGOD_NOT_ASKED,
                                .problem = "",
                                .age_ms = -1,
                                .version = "",
                                .process = "",
                                .state = MEMBER_UNKNOWN,
                                .self_id = -1,
                                .term = -1,
                                .primary_id = -1,
                                .optime = {.term = -1},
                                .config = no_config,
                                .certificate_id = ""};
}

/* report_copy() is the one deep copy that knows all fields. */
static struct report_member copy_member(struct arena *arena, const struct report_member *member)
{
    const struct report wrapper = {.zone = "",
                                   .run_id = "",
                                   .version = "",
                                   .driver = "",
                                   .zone_problem = {.code = "", .message = ""},
                                   .members = member,
                                   .member_count = 1};
    struct report copy = report_copy(arena, &wrapper);
    return copy.member_count && copy.members ? copy.members[0] : (struct report_member){0};
}

static struct member_view observe_member(const struct observe_input *input, const struct spec_member *member,
                                         struct arena *arena)
{
    const struct zone_sight *sight = input->sight_of(input->context, member->zone);
    struct member_view view = {.ordinal = member->ordinal,
                               .zone = member->zone,
                               .zone_state = sight ? zone_sight_state(sight, input->now_ms) : ZONE_PENDING,
                               .holding = no_holding(input->set, member->ordinal),
                               .mongod = no_mongod(),
                               .waiting = {.code = "", .message = ""},
                               .certificate_id = "",
                               .certificate_problem = ""};
    if (input->tls)
        input->certificate_of(input->certificates, &view);
    view.certificate_id = arena_string(arena, view.certificate_id);
    view.certificate_problem = arena_string(arena, view.certificate_problem);
    if (!sight || !sight->has_report)
        return view;
    view.reported = view.zone_seen = true;
    const struct report_member *said = zone_sight_member(sight, input->set->name, member->ordinal);
    if (!said)
        return view;
    struct report_member copy = copy_member(arena, said);
    view.holding = copy.holding;
    view.mongod = copy.mongod;
    view.waiting = copy.waiting;
    if (view.mongod.age_ms >= 0)
        view.mongod.age_ms += input->now_ms - sight->received_at_ms;
    return view;
}

int observe_set(const struct observe_input *input, struct arena *arena, struct observation *out,
                struct error *err)
{
    struct member_view *members = arena_array(arena, input->set->member_count, sizeof *members);
    for (size_t i = 0; members && i < input->set->member_count; i++)
        members[i] = observe_member(input, &input->set->members[i], arena);
    struct action_view action = *input->action;
    action.message = arena_string(arena, action.message);
    action.config = replica_config_copy(arena, &input->action->config);
    if (arena_failed(arena))
        return error_set(err, ERROR_NO_MEMORY, "no memory to observe set %s", input->set->name);
    *out = (struct observation){
        members,   input->set->member_count, action, arena_string(arena, input->key_id), input->admin_wanted,
        input->tls};
    return 0;
}
