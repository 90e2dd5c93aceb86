/* The journal of each set: what is noted in it, and how it is shown. See controller/journal/journal.h. */
#include <string.h>

#include "controller/controller_internal.h"
#include "controller/journal/decision.h"

/* Its share of what all may have together. */
static size_t bytes_for_each(const struct controller *controller)
{
    size_t share =
        controller->environment.journal_bytes / (controller->set_count ? controller->set_count : 1);
    return share < JOURNAL_BYTES_MAX ? share : JOURNAL_BYTES_MAX;
}

/* A note that can't be kept is no reason to decide nothing: the journal counts it as dropped. */
void controller_note(struct controller *controller, struct set_state *set, const struct plan_input *input,
                     const struct plan *plan)
{
    if (!controller->environment.journal_bytes || (input->previous && decision_same(input->previous, plan)))
        return;
    journal_record(&set->journal, input, controller->spec_revision.revision, plan, bytes_for_each(controller),
                   NULL);
}

int controller_journal(struct controller *controller, const char *name, struct buffer *out, struct error *err)
{
    struct set_state *set = controller_set(controller, name);
    if (!set)
        return error_set(err, ERROR_NOT_FOUND, "there is no set %.*s", NAME_LENGTH_MAX, name);
    if (!controller->environment.journal_bytes)
        return error_set(err, ERROR_NOT_FOUND, "this controller keeps no journal");
    const struct journal_head head = {.federation = controller->spec->spec.name,
                                      .set = set->name,
                                      .version = ATOLL_VERSION,
                                      .started_at_ms = controller->started_at_ms};
    return journal_write(&set->journal, &head, out, err);
}
