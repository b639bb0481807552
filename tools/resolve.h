/* Resolving: from what the user asked for to a list of packages in the store.
 *
 * venvfs resolves nothing itself. pip answers (`install --dry-run --report`, run by the interpreter
 * that the environment is for), or a pylock.toml says it; what is missing is then fetched. The
 * answer is remembered under a hash of everything that went in: for ever when the inputs fix every
 * version, else for ten minutes (as long as an index's own caches last), and beyond them when no
 * index can be reached. A remembered answer starts no Python and needs no network. */
#pragma once

#include "tools/fetch.h"

G_BEGIN_DECLS

/* Borrowed; lists are NULL-terminated and may be NULL. */
typedef struct {
  const char *const *packages;      /* requirements, paths, URLs */
  const char *const *files;         /* -r */
  const char *const *constraints;   /* -c */
  const char *lock;                 /* pylock.toml, or NULL; then none of the above */
  const char *const *index_options; /* as pip takes them: "--pre", "--index-url=…"; not NULL */
  const char *const *accept;
  gboolean seeded; /* a pip (and setuptools) is wanted in the environment */
} VfRequest;

typedef struct {
  GPtrArray *packages; /* of VfResolved, the seed among them */
  gboolean remembered;
  guint64 new_bytes; /* contents that the store did not have before */
} VfAnswer;
void vf_answer_clear (VfAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (VfAnswer, vf_answer_clear)

/* The caller holds a write lease. Errors: those of pip-explain.h, fetch.h, requirements.h. */
gboolean vf_resolve (VfStore *store, const VfInterpreter *interpreter, VfOutput *output,
                     const VfRequest *request, VfAnswer *out_answer, GError **error);

G_END_DECLS
