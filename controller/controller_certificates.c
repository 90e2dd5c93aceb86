/* Members' certificates. A member's agent makes its key and asks for a certificate in its report; what the
 * certificate must bear is decided here: the address that clients and the other members dial. So a moved
 * address is signed for first, its member loads that, and then alone does the configuration follow.
 * https://www.mongodb.com/docs/manual/tutorial/configure-ssl/ (a member's certificate bears its host) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/controller_internal.h"
#include "proto/base/address.h"
#include "proto/base/hash.h"
#include "proto/mongod_versions.h"

enum { NAMES_MAX = 8 };

struct names {
    char hosts[2][HOST_LENGTH_MAX + 1];
    const char *list[NAMES_MAX];
    size_t count;
};

bool controller_encrypts(const struct controller *controller)
{
    return controller->environment.certify && controller->spec && controller->spec->spec.tls;
}

static struct member_certificate *find(const struct ledger_holder *ledger, int ordinal)
{
    struct member_certificate *found = ledger->certificates;
    while (found && found->ordinal != ordinal)
        found = found->next;
    return found;
}

const struct member_certificate *controller_certificate(const struct set_state *set, int ordinal)
{
    const struct member_certificate *found = find(set->ledger, ordinal);
    return found && found->pem.length ? found : NULL;
}

void controller_certificate_view(const struct set_state *set, struct member_view *out)
{
    const struct member_certificate *found = find(set->ledger, out->ordinal);
    bool fits = found && found->pem.length && !*found->problem;
    out->certificate_id = fits ? found->id : "";
    out->certificate_until_ms = found && found->pem.length ? found->expires_at_ms : 0;
    out->certificate_problem = found ? found->problem : "";
}

static void certificate_destroy(struct member_certificate *certificate)
{
    buffer_finish(&certificate->pem);
    free(certificate);
}

void controller_certificates_finish(struct ledger_holder *ledger)
{
    while (ledger->certificates) {
        struct member_certificate *certificate = ledger->certificates;
        ledger->certificates = certificate->next;
        certificate_destroy(certificate);
    }
}

static struct member_certificate *get(struct ledger_holder *ledger, int ordinal)
{
    struct member_certificate *found = find(ledger, ordinal);
    if (found || !(found = calloc(1, sizeof *found)))
        return found;
    found->ordinal = ordinal;
    buffer_init(&found->pem, PEM_LENGTH_MAX);
    found->next = ledger->certificates;
    ledger->certificates = found;
    return found;
}

/* ---- the names ---- */

static void add(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i], name) == 0)
            return;
    if (*name && names->count < NAMES_MAX)
        names->list[names->count++] = name;
}

static void add_host(struct names *names, const char *address, char host[HOST_LENGTH_MAX + 1])
{
    const char *port;
    if (address_split(address, host, HOST_LENGTH_MAX + 1, &port, NULL) == 0)
        add(names, host);
}

static const char *configured_host(const struct set_state *set, int ordinal)
{
    const struct plan_slot *slot = &set->slots[set->current];
    for (size_t i = 0; slot->filled && i < slot->plan.member_count; i++)
        if (slot->plan.members[i].ordinal == ordinal && slot->plan.members[i].id >= 0)
            return slot->plan.members[i].host;
    return "";
}

/* Where it is reached now, and where the configuration still names it; its node and Service; and the pod's
 * own localhost. */
static void find_names(const struct set_state *set, const struct spec_member *member,
                       const struct member_holding *holding, struct arena *arena, struct names *out)
{
    struct member_names known = spec_member_names(set->set, member, arena);
    *out = (struct names){.count = 0};
    add_host(out, holding->address, out->hosts[0]);
    add_host(out, configured_host(set, member->ordinal), out->hosts[1]);
    const char *const all[] = {known.node, known.service, "localhost", "127.0.0.1", "::1"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        add(out, all[i]);
}

/* A zone gets no certificate for an address that a member in another zone has, as far as that zone has been
 * heard: with it, it could pass as that member. Who has one for its address keeps it, whatever others claim.
 */
static const char *whose_address(const struct controller *controller, const char *zone, const char *address)
{
    for (size_t i = 0; i < controller->zone_count; i++) {
        const struct zone_state_of *other = &controller->zones[i];
        if (!other->sight.has_report || strcmp(other->name, zone) == 0)
            continue;
        for (size_t m = 0; m < other->sight.report.member_count; m++)
            if (strcmp(other->sight.report.members[m].holding.address, address) == 0)
                return other->name;
    }
    return NULL;
}

/* By what its mongod says, else by its image's tag; one that nobody knows may be old. */
static bool looks_for_addresses_among_names(const struct spec_set *set, const struct report_member *said)
{
    char tag[MONGOD_VERSION_MAX];
    mongod_version_of_image(set->image, tag);
    return mongod_has(*said->mongod.version ? said->mongod.version : tag, MONGOD_ADDRESSES_IN_CERTIFICATES) !=
           MONGOD_HAS;
}

/* ---- signing ---- */

static void note_problem(struct controller *controller, const struct set_state *set,
                         const struct spec_member *member, struct member_certificate *certificate,
                         const struct error *err)
{
    bool news = strcmp(certificate->problem, err->message) != 0;
    snprintf(certificate->problem, sizeof certificate->problem, "%s", err->message);
    certificate->foreign = err->code == ERROR_CONFLICT;
    if (certificate->foreign) /* else the one before stays: where it was good for something, it still is */
        buffer_clear(&certificate->pem);
    if (news)
        controller_tell(
            controller, EVENT_CERTIFICATE_REFUSED,
            &(struct event_words){.set = set->name, .zone = member->zone, .detail = err->message});
}

/* After a lost store there is another CA. A member that shows its certificates and one that still shows the
 * former CA's don't believe each other, so that all change at one stroke: when every zone of the set is
 * heard. */
static bool all_heard(struct controller *controller, const struct set_state *set)
{
    for (size_t i = 0; i < set->set->member_count; i++) {
        bool heard;
        controller_said_of(controller, set, &set->set->members[i], &heard);
        if (!set->set->members[i].absent && !heard)
            return false;
    }
    return true;
}

/* Every plan asks for every member: the signer is asked only when something has changed. */
static uint64_t fingerprint(const struct controller *controller, const struct set_state *set,
                            const struct report_member *said)
{
    const char *const texts[] = {
        said->certificate_request, controller->environment.trusted(controller->environment.context),
        said->holding.address, configured_host(set, said->holding.ordinal), said->mongod.version};
    uint64_t hash = hash_number(HASH_START, (uint64_t)controller->spec_revision.revision);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        hash = hash_number(hash_text(hash, texts[i]), '\n');
    return hash;
}

static bool is_settled(const struct controller *controller, const struct member_certificate *certificate,
                       uint64_t seen)
{
    return certificate->seen == seen && certificate->pem.length && !*certificate->problem &&
           controller_wall(controller) < certificate->renew_at_ms;
}

static int check_address(const struct controller *controller, const struct spec_member *member,
                         const char *address, struct error *err)
{
    const char *other = whose_address(controller, member->zone, address);
    if (!other)
        return 0;
    return error_set(err, ERROR_REFUSED,
                     "zone %s reports the address %s for a member, which zone %s has for one of its own: no "
                     "certificate is "
                     "signed for it until they differ",
                     member->zone, address, other);
}

static int ask_the_signer(struct controller *controller, const struct set_state *set,
                          const struct spec_member *member, const struct report_member *said,
                          const struct member_certificate *certificate, struct certificate_made *out,
                          struct error *err)
{
    struct arena arena;
    struct names names;
    arena_init(&arena, 0);
    find_names(set, member, &said->holding, &arena, &names);
    const struct certificate_wish wish = {.set = set->name,
                                          .node = spec_node_name(set->set, member, &arena),
                                          .request = said->certificate_request,
                                          .names = names.list,
                                          .name_count = names.count,
                                          .present = certificate->pem.length ? buffer_text(&certificate->pem)
                                                     : said->certificate     ? said->certificate
                                                                             : "",
                                          .addresses_as_names =
                                              looks_for_addresses_among_names(set->set, said),
                                          .keep_foreign = !all_heard(controller, set)};
    int result = arena_failed(&arena)
                     ? error_set(err, ERROR_NO_MEMORY, "no memory for a certificate")
                     : controller->environment.certify(controller->environment.context, &wish, out, err);
    arena_finish(&arena);
    return result;
}

static int sign(struct controller *controller, const struct set_state *set, const struct spec_member *member,
                const struct report_member *said, struct member_certificate *certificate, struct error *err)
{
    struct certificate_made made = {.id = ""};
    buffer_init(&made.pem, PEM_LENGTH_MAX);
    if (check_address(controller, member, said->holding.address, err) ||
        ask_the_signer(controller, set, member, said, certificate, &made, err)) {
        buffer_finish(&made.pem);
        return -1;
    }
    buffer_finish(&certificate->pem);
    certificate->pem = made.pem;
    memcpy(certificate->id, made.id, sizeof certificate->id);
    certificate->renew_at_ms = made.renew_at_ms;
    certificate->expires_at_ms = made.expires_at_ms;
    certificate->problem[0] = 0;
    certificate->foreign = false;
    return 0;
}

static bool asks(const struct report_member *said)
{
    return said && said->certificate_request && *said->certificate_request && *said->holding.address;
}

void controller_certificates_ensure(struct controller *controller, struct set_state *set)
{
    for (size_t i = 0; i < set->set->member_count; i++) {
        const struct spec_member *member = &set->set->members[i];
        const struct report_member *said = controller_said_of(controller, set, member, NULL);
        struct member_certificate *certificate = asks(said) ? get(set->ledger, member->ordinal) : NULL;
        struct error err = {0};
        uint64_t seen = certificate ? fingerprint(controller, set, said) : 0;
        if (!certificate || is_settled(controller, certificate, seen))
            continue;
        certificate->seen = seen;
        if (sign(controller, set, member, said, certificate, &err))
            note_problem(controller, set, member, certificate, &err);
    }
}

/* An intent without its certificate would make the agent forget the one that it has, and with it whose it is.
 */
bool controller_certificates_wait(struct controller *controller, const struct zone_state_of *zone)
{
    const struct report *report = &zone->sight.report;
    for (size_t i = 0; controller_encrypts(controller) && i < report->member_count; i++) {
        const struct report_member *said = &report->members[i];
        const struct set_state *set = asks(said) && said->certificate && *said->certificate
                                          ? controller_set(controller, said->holding.set)
                                          : NULL;
        if (!set || !spec_find_member(set->set, said->holding.ordinal))
            continue;
        const struct member_certificate *certificate = find(set->ledger, said->holding.ordinal);
        if (!certificate || certificate->foreign)
            return true;
    }
    return false;
}

/* ---- when the CA changes ---- */

void controller_trust_changed(struct controller *controller)
{
    for (size_t i = 0; i < controller->set_count; i++)
        controller_set_due(controller->sets[i], controller_now(controller));
    controller_wake(controller);
}

/* One that the spec takes away counts as long as it runs: it may be wanted again. */
static bool is_late(struct controller *controller, struct set_state *set, const struct spec_member *member)
{
    bool heard;
    const struct report_member *said = controller_said_of(controller, set, member, &heard);
    const struct member_certificate *certificate = controller_certificate(set, member->ordinal);
    if ((set->set->absent || member->absent) && heard && !(said && said->holding.pod.running))
        return false;
    return !said || !certificate || *certificate->problem ||
           strcmp(said->mongod.certificate_id, certificate->id) != 0;
}

int controller_members_certified(struct controller *controller, struct error *err)
{
    char names[256] = "";
    size_t late = 0;
    for (size_t s = 0; controller_encrypts(controller) && s < controller->set_count; s++) {
        struct set_state *set = controller->sets[s];
        controller_certificates_ensure(controller, set);
        for (size_t m = 0; m < set->set->member_count; m++) {
            if (!is_late(controller, set, &set->set->members[m]))
                continue;
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s-node%d", late++ ? ", " : "", set->name,
                     set->set->members[m].ordinal);
        }
    }
    if (!late)
        return 0;
    return error_set(err, ERROR_CONFLICT,
                     "%zu members don't show their newest certificate yet (%s): wait until they do (`atoll "
                     "explain SET`), or "
                     "--force, after which the others may not believe them until they have loaded it",
                     late, names);
}
