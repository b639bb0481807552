/* The options of pip that `create` (and whatever else resolves) takes and hands on. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* For a verb's more_entries; ended by an empty entry. One set of values per process. */
extern const GOptionEntry vf_pip_option_entries[];

/* What was given, in the form pip takes: "--pre", "--index-url=…"; local --find-links are made
 * absolute. NULL-terminated; the caller frees with g_strfreev(). */
char **vf_pip_options_collect (void);

G_END_DECLS
