/* The check: a walk over everything, bottom up.
 *
 * It holds a write lease: no sweep takes anything meanwhile, writers go on. They put what is
 * referred to before what refers to it, so what a reference names is there, if not in the list that
 * was read a moment ago, then when it is looked for.
 *
 * A repair touches only what can be made again from somewhere else: objects, indexes, listings,
 * images. What belongs to a user, the environments, is reported and left. */
#include "layers/check-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "layers/error.h"
#include "layers/object.h"
#include "layers/trash.h"

G_GNUC_PRINTF (3, 0)
static void
report (VfCheck *check, const char *relative, const char *format, va_list args)
{
  g_autofree char *problem = g_strdup_vprintf (format, args);
  check->result.problems++;
  check->report (relative, problem, check->user_data);
}

void
vf_check_problem (VfCheck *check, const char *relative, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  report (check, relative, format, args);
  va_end (args);
}

static void
quarantine (VfCheck *check, const char *relative)
{
  int fd = vf_store_fd (check->store);
  g_autofree char *name = g_strdelimit (g_strdup (relative), "/", ':');
  g_autofree char *target = g_strdup_printf (VF_TRASH_QUARANTINE "/%s-%08x", name, g_random_int ());
  mkdirat (fd, VF_TRASH_QUARANTINE, 0700);
  if (renameat (fd, relative, fd, target) == 0 || errno == ENOENT)
    check->result.repaired++;
  else
    vf_check_problem (check, relative, "cannot be moved to the quarantine: %s", g_strerror (errno));
}

void
vf_check_damaged (VfCheck *check, const char *relative, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  report (check, relative, format, args);
  va_end (args);
  if (check->repair)
    quarantine (check, relative);
}

gboolean
vf_check_step (VfCheck *check, GError **error)
{
  if (!check->progress || check->progress (check->n_files++, check->user_data))
    return TRUE;
  return vf_error_set (error, VF_ERROR_CANCELLED, "%s: the check was cancelled",
                       vf_store_path (check->store));
}

gboolean
vf_check_file (VfCheck *check, const char *relative, gint64 *out_size)
{
  struct stat st;
  int fd = vf_store_fd (check->store);
  if (fstatat (fd, relative, &st, AT_SYMLINK_NOFOLLOW) < 0) {
    vf_check_problem (check, relative, "cannot be examined: %s", g_strerror (errno));
    return FALSE;
  }
  *out_size = st.st_size;
  if (!S_ISREG (st.st_mode)) {
    vf_check_damaged (check, relative, "is not a regular file");
    return FALSE;
  }
  if (st.st_nlink != 1)
    vf_check_problem (check, relative, "has %u names: who writes to the others changes it here",
                      (guint)st.st_nlink);
  if ((st.st_mode & 07777) == 0444)
    return TRUE;
  vf_check_problem (check, relative, "has mode %04o instead of 0444", st.st_mode & 07777);
  if (check->repair && fchmodat (fd, relative, 0444, 0) < 0)
    vf_check_problem (check, relative, "cannot be given it: %s", g_strerror (errno));
  else if (check->repair)
    check->result.repaired++;
  return TRUE;
}

gboolean
vf_check_object (VfCheck *check, const VfDigest *digest, gint64 size)
{
  gint64 *known = g_hash_table_lookup (check->sizes, digest);
  gint64 found = known ? *known : vf_object_size (check->store, digest);
  return found >= 0 && (size < 0 || found == size);
}

static gboolean
check_top (const char *name, gpointer user_data, GError **error)
{
  static const char *const expected[] = {"objects", "packages",     "wheels",      "bytecode",
                                         "images",  "interpreters", "resolutions", "envs",
                                         "trash",   "tmp",          "leases",      "cache",
                                         "lock",    "format",       "uppers",      "lost+found"};
  for (gsize i = 0; i < G_N_ELEMENTS (expected); i++)
    if (strcmp (name, expected[i]) == 0)
      return TRUE;
  vf_check_problem (user_data, name, "is no part of a store");
  return TRUE;
}

static gboolean
check_all (VfCheck *check, GError **error)
{
  return vf_folder_foreach (check->store, ".", check_top, check, error) &&
         vf_check_content (check, error) && vf_check_environments (check, error);
}

gboolean
vf_check (VfStore *store, gboolean deep, gboolean repair, VfCheckReport report_func,
          VfCheckProgress progress, gpointer user_data, VfCheckResult *out_result, GError **error)
{
  *out_result = (VfCheckResult){0};
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, error);
  if (!write)
    return FALSE;
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_autoptr (GHashTable) sizes =
      g_hash_table_new_full (vf_digest_hash, vf_digest_equal, g_free, g_free);
  VfCheck check = {.store = store,
                   .deep = deep,
                   .repair = repair,
                   .report = report_func,
                   .progress = progress,
                   .user_data = user_data,
                   .hasher = hasher,
                   .sizes = sizes};
  gboolean ok = check_all (&check, error);
  *out_result = check.result;
  return ok;
}
