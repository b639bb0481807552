/* Seeds: the pip (below 3.12 with setuptools) that a new environment gets, which is also the pip
 * that resolves and downloads (pip.h).
 *
 * The newest wheel on the index that supports the interpreter, looked up about once a day and only
 * when pip runs anyway; until there is one, or without a network, the wheels that the interpreter's
 * ensurepip carries. Remembered as a resolution, by interpreter and index. */
#pragma once

#include "tools/fetch.h"

G_BEGIN_DECLS

/* Arrays of VfResolved. @key: of the interpreter and the index configuration (resolve.c).
 *
 * What is remembered, NULL if nothing is; starts nothing. @fresh: only if it is less than a day
 * old.
 */
GPtrArray *vf_seed_recall (const VfFetch *fetch, const VfDigest *key, gboolean fresh);
/* The same, looked up if it is not fresh. Errors: VF_ERROR_NOT_FOUND when nothing is remembered and
 * the interpreter carries no pip; an index that does not answer is none. */
GPtrArray *vf_seed_find (const VfFetch *fetch, const VfDigest *key, GError **error);
/* The digest of the pip among @seed. */
const VfDigest *vf_seed_pip (GPtrArray *seed);

G_END_DECLS
