/* venvfs store path|size */
#include <errno.h>
#include <fts.h>
#include <sys/stat.h>
#include <string.h>

#include "layers/error.h"
#include "tools/interrupt.h"
#include "tools/verb.h"

typedef struct {
  guint64 bytes, files;
} Size;

/* Disk that the tree @path takes: blocks, each file once. Crosses no mount point. */
static gboolean
measure (const char *path, Size *out_size, GError **error)
{
  char *paths[] = {(char *)path, NULL};
  FTS *walk = fts_open (paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
  if (!walk)
    return vf_error_errno (error, errno, "%s: cannot read", path);
  FTSENT *entry;
  while ((entry = fts_read (walk)) && !vf_interrupted ()) {
    if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR)
      continue;
    out_size->bytes += (guint64)entry->fts_statp->st_blocks * 512;
    out_size->files += entry->fts_info == FTS_F;
  }
  fts_close (walk);
  return vf_interrupt_check (error);
}

static void
print_row (const VfInvocation *invocation, const char *name, const Size *size)
{
  g_autofree char *bytes = vf_output_bytes (size->bytes);
  g_autofree char *files = vf_output_count (size->files, "file");
  vf_output_data (invocation->output, "%-10s %10s  %s", name, bytes, files);
  JsonObject *result = vf_output_result (invocation->output);
  if (result)
    json_object_set_int_member (result, name, (gint64)size->bytes);
}

static gboolean
print_size (const VfInvocation *invocation, VfStore *store, GError **error)
{
  static const char *const parts[] = {"objects", "images", "packages", "bytecode", "envs", "cache"};
  Size total = {0};
  if (!measure (vf_store_path (store), &total, error))
    return FALSE;
  Size other = total;
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++) {
    Size size = {0};
    g_autofree char *path = vf_store_path_of (store, parts[i]);
    if (g_file_test (path, G_FILE_TEST_IS_DIR) && !measure (path, &size, error))
      return FALSE;
    print_row (invocation, parts[i], &size);
    /* What was written since the first walk may be more than that found. */
    other.bytes -= MIN (size.bytes, other.bytes);
    other.files -= MIN (size.files, other.files);
  }
  print_row (invocation, "other", &other);
  print_row (invocation, "all", &total);
  return TRUE;
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 0, 1, error))
    return FALSE;
  const char *what = arguments[0] ? arguments[0] : "path";
  if (strcmp (what, "path") != 0 && strcmp (what, "size") != 0)
    return vf_error_set (error, VF_ERROR_USAGE, "store: '%s' is neither 'path' nor 'size'", what);
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  if (!store)
    return FALSE;
  if (strcmp (what, "size") == 0)
    return print_size (invocation, store, error);
  vf_output_data (invocation->output, "%s", vf_store_path (store));
  JsonObject *result = vf_output_result (invocation->output);
  if (result)
    json_object_set_string_member (result, "path", vf_store_path (store));
  return TRUE;
}

extern const VfVerb vf_verb_store;
const VfVerb vf_verb_store = {
    .name = "store",
    .arguments = "[path|size]",
    .summary = "Tell where the store is, or how much disk it takes",
    .examples = "  venvfs store              its directory\n"
                "  venvfs store size         disk by kind of content",
    .run = run,
};
