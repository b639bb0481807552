/* The table of verbs: one extern and one line each, in the order in which --help lists them. */
#include "tools/verb.h"

extern const VfVerb vf_verb_help_verb;
extern const VfVerb vf_verb_store;

const VfVerb *const vf_verbs[] = {
    &vf_verb_store,
    &vf_verb_help_verb,
    NULL,
};
