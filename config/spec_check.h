/* The rules between the fields of a spec, as opposed to the forms of single ones. */
#ifndef ATOLL_CONFIG_SPEC_CHECK_H
#define ATOLL_CONFIG_SPEC_CHECK_H

#include "config/spec_problem.h"
#include "config/yaml_tree.h"

struct checker {
    const struct spec *spec;
    struct arena *arena;
    struct spec_problems *problems;
};

/* Adds what is wrong, and warnings. Fields that could not be read are at their defaults and give no second
 * error. */
void spec_check(const struct spec *spec, struct arena *arena, struct spec_problems *problems);

/* The part about one set's members: their number, votes, priorities, layout. In spec_check_members.c. */
void check_members(struct checker *checker, const struct spec_set *set);

/* Where `key` was written in a zone, set or member, or else the place of the whole. */
struct spec_mark place_of(const struct tree_node *node, const char *key, struct spec_mark whole);

#define CHECK_ERROR(checker, mark, ...)                                                                      \
    problem_add((checker)->problems, (checker)->arena, SPEC_ERROR, (mark), __VA_ARGS__)
#define CHECK_WARNING(checker, mark, ...)                                                                    \
    problem_add((checker)->problems, (checker)->arena, SPEC_WARNING, (mark), __VA_ARGS__)

#endif
