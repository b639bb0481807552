/* The roots of the sweep: environments, their uppers and others, leases.
 *
 * Careful where the sweep must be: what cannot be understood here is never taken for nothing. Only
 * what is gone in the meantime (an environment that somebody deletes, a lease that ends) is passed
 * over. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/lease.h"
#include "layers/outside-upper.h"
#include "layers/reach.h"
#include "layers/upper-walk.h"

#define LEASE_MAX_BYTES (1024 * 1024)

typedef struct {
  VfReach *reach;
  VfStore *store;
  gint64 since;
  const char *folder;
} Scan;

/* --- What an upper stands for --- */

static gboolean
add_marks (const char *path, const VfMarks *marks, gpointer user_data, GError **error)
{
  const Scan *scan = user_data;
  if (marks->has_digest)
    vf_reach_add_object (scan->reach, &marks->digest);
  return !marks->has_lower || vf_reach_add_image (scan->reach, &marks->lower_image, error);
}

static gboolean
refuse (const char *path, int errnum, const char *what, gpointer user_data, GError **error)
{
  return vf_error_errno (error, errnum, "%s: %s", path, what);
}

static gboolean
walk (Scan *scan, int dir_fd, const char *name, const char *parent, GError **error)
{
  VfUpperVisitor visitor = {.found = add_marks, .failed = refuse, .user_data = scan};
  g_autofree char *top = g_build_filename (parent, name, NULL);
  return vf_upper_walk (dir_fd, name, top, &visitor, error);
}

/* --- Environments --- */

static gboolean
add_open_environment (Scan *scan, VfEnvironment *environment, GError **error)
{
  static const char *const trees[] = {"upper", "work", "aside"};
  g_autoptr (GPtrArray) generations = vf_environment_load_generations (environment, error);
  if (!generations)
    return FALSE;
  for (guint i = 0; i < generations->len; i++)
    if (!vf_reach_add_generation (scan->reach, generations->pdata[i], error))
      return FALSE;
  int fd = vf_environment_fd (environment);
  for (gsize i = 0; i < G_N_ELEMENTS (trees); i++)
    if (!walk (scan, fd, trees[i], vf_environment_path (environment), error))
      return FALSE;
  return TRUE;
}

static gboolean
is_gone (VfStore *store, const char *relative, ino_t inode)
{
  struct stat st;
  return fstatat (vf_store_fd (store), relative, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
         st.st_ino != inode;
}

static gboolean
add_environment (const char *name, gpointer user_data, GError **error)
{
  Scan *scan = user_data;
  struct stat st;
  g_autofree char *relative = g_strconcat ("envs/", name, NULL);
  if (fstatat (vf_store_fd (scan->store), relative, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      !S_ISDIR (st.st_mode))
    return TRUE;
  g_autoptr (GError) failure = NULL;
  g_autoptr (VfEnvironment) environment = vf_environment_open (scan->store, name, &failure);
  if (environment && add_open_environment (scan, environment, &failure))
    return TRUE;
  /* Deleted while it was read. If it was made anew since, a writer did that, who keeps his things
   * fresh; but then it is read again, to be sure. */
  if (is_gone (scan->store, relative, st.st_ino))
    return add_environment (name, user_data, error);
  return vf_error_set (error, VF_ERROR_DAMAGED,
                       "%s: what it uses is not known, so nothing is removed: %s", name,
                       failure->message);
}

/* --- Uppers that are no environment's --- */

static gboolean
add_outside_upper (int parent_fd, const char *name, const char *parent, gpointer user_data,
                   GError **error)
{
  return walk (user_data, parent_fd, name, parent, error);
}

/* --- Leases --- */

static gboolean
add_lease_line (Scan *scan, const char *line, GError **error)
{
  g_autofree char *path = NULL;
  VfDigest digest;
  if (!vf_lease_parse_line (line, &path, &digest))
    return vf_error_set (error, VF_ERROR_DAMAGED, "\"%s\" is not a line of a lease", line);
  if (g_str_has_prefix (path, "images/"))
    return vf_reach_add_image (scan->reach, &digest, error);
  if (g_str_has_prefix (path, "packages/"))
    return vf_reach_add_package (scan->reach, &digest, error);
  vf_reach_add_object (scan->reach, &digest);
  return TRUE;
}

static gboolean
add_lease_lines (Scan *scan, int fd, const char *what, GError **error)
{
  struct stat st;
  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode) || st.st_size > LEASE_MAX_BYTES)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: not a lease", what);
  g_autofree char *text = g_malloc0 ((gsize)st.st_size + 1);
  if (!vf_read_all (fd, text, (gsize)st.st_size, 0, what, error))
    return FALSE;
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line; line++)
    if (**line && !add_lease_line (scan, *line, error))
      return FALSE;
  return TRUE;
}

static gboolean
add_lease (const char *name, gpointer user_data, GError **error)
{
  Scan *scan = user_data;
  g_autofree char *relative = g_strconcat ("leases/", name, NULL);
  g_autofree char *what = vf_store_path_of (scan->store, relative);
  VF_AUTOFD fd =
      openat (vf_store_fd (scan->store), relative, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return errno == ENOENT || vf_error_errno (error, errno, "%s: cannot open", what);
  /* Nobody holds it: its holder is dead. */
  if (flock (fd, LOCK_SH | LOCK_NB) == 0)
    return TRUE;
  g_autoptr (GError) failure = NULL;
  if (add_lease_lines (scan, fd, what, &failure))
    return TRUE;
  return vf_error_set (error, VF_ERROR_DAMAGED,
                       "%s: what a running process uses is not known, so nothing is removed: %s",
                       what, failure->message);
}

gboolean
vf_reach_add_roots (VfReach *reach, VfStore *store, GError **error)
{
  Scan scan = {.reach = reach, .store = store};
  return vf_folder_foreach (store, "envs", add_environment, &scan, error) &&
         vf_outside_upper_foreach (store, add_outside_upper, &scan, error) &&
         vf_folder_foreach (store, "leases", add_lease, &scan, error);
}

/* --- What was freshened --- */

static gboolean
add_if_fresh (const char *name, gpointer user_data, GError **error)
{
  Scan *scan = user_data;
  g_autofree char *relative = g_build_filename (scan->folder, name, NULL);
  struct stat st;
  VfDigest digest;
  if (!vf_digest_from_hex (name, strlen (name), &digest) ||
      fstatat (vf_store_fd (scan->store), relative, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
      st.st_mtime <= scan->since)
    return TRUE;
  if (strcmp (scan->folder, "packages") == 0)
    return vf_reach_add_package (scan->reach, &digest, error);
  if (strcmp (scan->folder, "images") == 0)
    return vf_reach_add_image (scan->reach, &digest, error);
  return vf_reach_add_listing (scan->reach, relative, error);
}

static gboolean
add_fresh_listings (const char *name, gpointer user_data, GError **error)
{
  const Scan *scan = user_data;
  g_autofree char *folder = g_build_filename ("bytecode", name, NULL);
  Scan inner = {.reach = scan->reach, .store = scan->store, .since = scan->since, .folder = folder};
  return vf_folder_foreach (scan->store, folder, add_if_fresh, &inner, error);
}

gboolean
vf_reach_add_fresh (VfReach *reach, VfStore *store, gint64 since, GError **error)
{
  Scan packages = {.reach = reach, .store = store, .since = since, .folder = "packages"};
  Scan images = {.reach = reach, .store = store, .since = since, .folder = "images"};
  return vf_folder_foreach (store, "packages", add_if_fresh, &packages, error) &&
         vf_folder_foreach (store, "images", add_if_fresh, &images, error) &&
         vf_folder_foreach (store, "bytecode", add_fresh_listings, &packages, error);
}
