/* Verbs: what follows `venvfs` on the command line.
 *
 * One file per verb, tools/verb-<name>.c, defines one `const VfVerb vf_verb_<name>`; tools/verbs.c
 * lists them all. main.c parses the command line, calls run() and turns its answer into output and
 * exit status: 0 done, 1 the user's mistake or a failure, 2 VF_ERROR_USAGE, 128 + N when a signal
 * has interrupted it (VF_ERROR_CANCELLED).
 *
 * To write one:
 *  - Options are GOptionEntry whose arg_data points at static variables of that file. Use
 *    G_OPTION_ARG_FILENAME and FILENAME_ARRAY for every text: ARG_STRING refuses bytes that the
 *    locale does not know. -h, --store, --json, --quiet/-q, -n/--name are there already.
 *  - run() gets the positional arguments, NULL-terminated, "--" removed. A wrong number or kind of
 *    them is VF_ERROR_USAGE with a message that says what is expected (vf_verb_check_arguments).
 *  - It says what it did with invocation->output (output.h) and fills vf_output_result() if that
 *    is not NULL. It prints nothing itself and never exits.
 *  - Ctrl-C: see interrupt.h. run() returns soon with VF_ERROR_CANCELLED, having cleaned up. */
#pragma once

#include <glib.h>

#include "layers/store.h"
#include "tools/output.h"

G_BEGIN_DECLS

typedef struct VfVerb VfVerb;

typedef struct {
  const VfVerb *verb;
  VfOutput *output;
  const char *store_path;  /* --store as given, or NULL: vf_verb_open_store() resolves it */
  const char *name;        /* -n NAME, or NULL */
  gint64 start_usec;       /* g_get_monotonic_time() when the program began: "… in 12 ms" */
  const char *interrupted; /* what to say of an interruption instead of "nothing was changed" */
  int exit_status; /* what to exit with, if not 0: `run` sets its child's, as a shell does */
} VfInvocation;

struct VfVerb {
  const char *name;
  const char *arguments;       /* "NAME [PACKAGE…]": what follows the verb in the usage line */
  const char *summary;         /* one line for the list of verbs */
  const char *description;     /* what it does, for --help; lines of up to 80 columns */
  const char *examples;        /* two or three, each "venvfs …" with a line saying what for */
  const GOptionEntry *entries; /* ended by an empty one; NULL: none */
  const GOptionEntry *more_entries; /* a second group of them, below @more_title; NULL: none */
  const char *more_title;           /* "Where packages come from" */
  gboolean options_before_args; /* an option after the first positional is a positional (`run`) */
  gboolean makes_name;          /* NAME is that of an environment to be: none to complete */
  gboolean hidden;              /* not in the list of verbs */
  gboolean (*run) (VfInvocation *invocation, char **arguments, GError **error);
};

/* All verbs in the order in which --help lists them; ended by NULL. */
extern const VfVerb *const vf_verbs[];
const VfVerb *vf_verb_find (const char *name);

/* FALSE with VF_ERROR_USAGE unless there are @min to @max @arguments (@max < 0: any number). */
gboolean vf_verb_check_arguments (const VfInvocation *invocation, char **arguments, int min,
                                  int max, GError **error);
/* Opens the store of this invocation: --store, $VENVFS_STORE or the default. */
VfStore *vf_verb_open_store (const VfInvocation *invocation, GError **error);
/* One of several has failed: *@cause is said as a warning, and the others go on. FALSE when it was
 * an interruption, which then is *@error. */
gboolean vf_verb_pass_over (VfInvocation *invocation, GError **cause, GError **error);

/* Text of `venvfs --help` and of `venvfs VERB --help`; the caller frees. */
char *vf_verb_overview (void);
char *vf_verb_help (const VfVerb *verb);
/* The global options, which every verb has. Ended by an empty entry; without arg_data. */
extern const GOptionEntry vf_verb_global_entries[];

G_END_DECLS
