/* Fetching: from what a resolver named to packages in the store.
 *
 * A wheel whose hash the store knows is not fetched again. One that lies on this machine is read
 * where it is; others pip downloads by exact URL and hash, several at once; everything else
 * (sdists, VCS, local projects) pip builds to a wheel. All of them are then ingested together, each
 * checked against the hash it was resolved with. */
#pragma once

#include "layers/ingest.h"
#include "tools/pip.h"
#include "tools/report.h"
#include "tools/resolution.h"

G_BEGIN_DECLS

/* What fetching and resolving need. All borrowed. */
typedef struct {
  VfStore *store;
  const VfInterpreter *interpreter;
  VfOutput *output;
  const char *tmp_path;         /* a directory of the store's tmp/ */
  const char *const *locations; /* "--index-url=…" and the like, vf_fetch_locations(); not NULL */
  guint64 *new_bytes;           /* increased by what the store did not have before; or NULL */
  const char *const *accept;    /* wheel rules to override, or NULL */
  VfIngest *ahead;              /* what was begun while pip resolved, or NULL; finished once */
} VfFetch;

/* Those of @options (as pip takes them) that say where packages come from, and @more (of char *).
 * The strings are borrowed; NULL-terminated. */
GPtrArray *vf_fetch_locations (const char *const *options, const GPtrArray *more);

/* Array of VfResolved, one for each of @items (VfReportItem), in their order. The caller holds a
 * write lease. */
GPtrArray *vf_fetch_items (const VfFetch *fetch, VfPip *pip, GPtrArray *items, GError **error);

/* Ingests the wheel files @paths as they are: array of VfResolved with name and version of each
 * package, requested. */
GPtrArray *vf_fetch_wheels (const VfFetch *fetch, const char *const *paths, GError **error);

G_END_DECLS
