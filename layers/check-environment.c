/* The check of environments and leases. They are users': reported, never touched. */
#include "layers/check-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/environment.h"
#include "layers/error.h"
#include "layers/lease.h"
#include "layers/upper-walk.h"

#define LEASE_MAX_BYTES (1024 * 1024)

static void
check_reference (VfCheck *check, const char *where, const char *folder, const VfDigest *digest)
{
  g_autofree char *relative = vf_digest_path (folder, digest);
  if (faccessat (vf_store_fd (check->store), relative, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
    vf_check_problem (check, where, "names %s, which is not there", relative);
}

/* --- What is in an upper --- */

/* @path: relative to the store. */
static gboolean
check_marks (const char *path, const VfMarks *marks, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  if (marks->has_lower)
    check_reference (check, path, "images/", &marks->lower_image);
  if (marks->has_digest && !vf_check_object (check, &marks->digest, -1))
    vf_check_problem (check, path, "its content is missing in the store");
  return TRUE;
}

/* A mount works on it meanwhile: what is gone is gone. */
static gboolean
report_failure (const char *path, int errnum, const char *what, gpointer user_data, GError **error)
{
  if (errnum != ENOENT)
    vf_check_problem (user_data, path, "%s: %s", what, g_strerror (errnum));
  return TRUE;
}

/* --- Environments --- */

static gboolean
check_part (const char *name, gpointer user_data, GError **error)
{
  static const char *const expected[] = {"env.ini", "generations", "upper",     "work",
                                         "aside",   "lock",        "mount.ini", "places"};
  VfCheck *check = user_data;
  for (gsize i = 0; i < G_N_ELEMENTS (expected); i++)
    if (strcmp (name, expected[i]) == 0)
      return TRUE;
  /* A replacement that was killed. */
  if (g_str_has_suffix (name, ".tmp") &&
      (g_str_has_prefix (name, "env.ini.") || g_str_has_prefix (name, "mount.ini.")))
    return TRUE;
  g_autofree char *relative = g_build_filename (check->folder, name, NULL);
  vf_check_problem (check, relative, "is no part of an environment");
  return TRUE;
}

static void
check_generations (VfCheck *check, GPtrArray *generations, const char *relative)
{
  for (guint i = 0; i < generations->len; i++) {
    const VfGeneration *generation = generations->pdata[i];
    g_autofree char *where =
        g_strdup_printf ("%s/generations/%u.ini", relative, generation->number);
    check_reference (check, where, "images/", &generation->image);
    for (guint j = 0; j < generation->installed->len; j++)
      check_reference (check, where, "packages/",
                       &((VfInstalled *)generation->installed->pdata[j])->digest);
  }
}

static void
check_directories (VfCheck *check, VfEnvironment *environment, const char *relative)
{
  static const char *const names[] = {"upper", "work", "aside"};
  int fd = vf_environment_fd (environment);
  VfUpperVisitor visitor = {.found = check_marks, .failed = report_failure, .user_data = check};
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    struct stat st;
    g_autofree char *path = g_build_filename (relative, names[i], NULL);
    gboolean there = fstatat (fd, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (there ? !S_ISDIR (st.st_mode) : strcmp (names[i], "aside") != 0)
      vf_check_problem (check, path, there ? "is not a directory" : "is missing");
    else if (there)
      vf_upper_walk (fd, names[i], path, &visitor, NULL);
  }
}

static gboolean
check_environment (const char *name, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  g_autofree char *relative = g_build_filename ("envs", name, NULL);
  g_autoptr (GError) failure = NULL;
  g_autoptr (VfEnvironment) environment = vf_environment_open (check->store, name, &failure);
  g_autoptr (GPtrArray) generations =
      environment ? vf_environment_load_generations (environment, &failure) : NULL;
  struct stat st;
  if (!generations && fstatat (vf_store_fd (check->store), relative, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return TRUE; /* deleted in the meantime */
  if (!generations) {
    vf_check_problem (check, relative, "%s", failure->message);
    return TRUE;
  }
  check_generations (check, generations, relative);
  check_directories (check, environment, relative);
  check->folder = relative;
  return vf_folder_foreach (check->store, relative, check_part, check, error);
}

/* --- Leases --- */

static void
check_lease_lines (VfCheck *check, const char *relative, const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line; line++) {
    g_autofree char *path = NULL;
    VfDigest digest;
    if (**line == '\0')
      continue;
    if (!vf_lease_parse_line (*line, &path, &digest))
      vf_check_problem (check, relative, "\"%s\" is not a line of a lease", *line);
    else if (faccessat (vf_store_fd (check->store), path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
      vf_check_problem (check, relative, "names %s, which is not there", path);
  }
}

static gboolean
check_lease (const char *name, gpointer user_data, GError **error)
{
  VfCheck *check = user_data;
  g_autofree char *relative = g_build_filename ("leases", name, NULL);
  VF_AUTOFD fd =
      openat (vf_store_fd (check->store), relative, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT)
    return TRUE;
  /* Nobody holds it: the next sweep removes it. */
  if (fd >= 0 && flock (fd, LOCK_SH | LOCK_NB) == 0)
    return TRUE;
  g_autoptr (GError) failure = NULL;
  g_autoptr (GBytes) bytes =
      vf_read_file (vf_store_fd (check->store), relative, LEASE_MAX_BYTES, relative, &failure);
  if (!bytes) {
    if (!g_error_matches (failure, VF_SYSTEM_ERROR, ENOENT))
      vf_check_problem (check, relative, "%s", failure->message);
    return TRUE;
  }
  g_autofree char *text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  check_lease_lines (check, relative, text);
  return TRUE;
}

gboolean
vf_check_environments (VfCheck *check, GError **error)
{
  return vf_folder_foreach (check->store, "envs", check_environment, check, error) &&
         vf_folder_foreach (check->store, "leases", check_lease, check, error);
}
