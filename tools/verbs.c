/* The table of verbs: one extern and one line each, in the order in which --help lists them. */
#include "tools/verb.h"

extern const VfVerb vf_verb_complete;
extern const VfVerb vf_verb_create;
extern const VfVerb vf_verb_delete;
extern const VfVerb vf_verb_direnv;
extern const VfVerb vf_verb_debug;
extern const VfVerb vf_verb_doctor;
extern const VfVerb vf_verb_export;
extern const VfVerb vf_verb_flatten;
extern const VfVerb vf_verb_fsck;
extern const VfVerb vf_verb_gc;
extern const VfVerb vf_verb_help_verb;
extern const VfVerb vf_verb_list;
extern const VfVerb vf_verb_mount;
extern const VfVerb vf_verb_run;
extern const VfVerb vf_verb_status;
extern const VfVerb vf_verb_store;
extern const VfVerb vf_verb_umount;

/* One a line, so that two who add one do not meet. */
/* clang-format off */
const VfVerb *const vf_verbs[] = {
    &vf_verb_create,
    &vf_verb_mount,
    &vf_verb_umount,
    &vf_verb_run,
    &vf_verb_list,
    &vf_verb_status,
    &vf_verb_delete,
    &vf_verb_export,
    &vf_verb_flatten,
    &vf_verb_gc,
    &vf_verb_fsck,
    &vf_verb_store,
    &vf_verb_doctor,
    &vf_verb_direnv,
    &vf_verb_debug,
    &vf_verb_help_verb,
    &vf_verb_complete,
    NULL,
};
/* clang-format on */
