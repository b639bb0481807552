#include "tools/seed.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "layers/error.h"
#include "tools/pip-explain.h"

#define REFRESH_SECONDS (24 * 60 * 60)
#define RETRY_SECONDS   (60 * 60) /* after a look-up that failed */

/* Every distribution that a seed has, NULL-terminated. */
static const char *const *
seed_names (const VfInterpreter *interpreter)
{
  static const char *const with_setuptools[] = {"pip", "setuptools", NULL};
  static const char *const pip_only[] = {"pip", NULL};
  return interpreter->major == 3 && interpreter->minor < 12 ? with_setuptools : pip_only;
}

const VfDigest *
vf_seed_pip (GPtrArray *seed)
{
  for (guint i = 0; i < seed->len; i++) {
    const VfResolved *resolved = seed->pdata[i];
    if (strcmp (resolved->name, "pip") == 0)
      return &resolved->package;
  }
  return NULL;
}

/* The wheel of @name in @directory, of the highest version; NULL if there is none. */
static char *
wheel_of (const char *directory, const char *name)
{
  g_autofree char *prefix = g_strconcat (name, "-", NULL);
  g_autofree char *best = NULL;
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *entry;
  while (dir && (entry = g_dir_read_name (dir)))
    if (g_str_has_prefix (entry, prefix) && g_str_has_suffix (entry, ".whl") &&
        (!best || strverscmp (entry, best) > 0)) {
      g_free (best);
      best = g_strdup (entry);
    }
  return best ? g_build_filename (directory, best, NULL) : NULL;
}

/* The seed's wheels in @directory; FALSE unless all are there. */
static gboolean
find_wheels (const VfInterpreter *interpreter, const char *directory, GPtrArray *paths)
{
  const char *const *names = seed_names (interpreter);
  for (gsize i = 0; names[i]; i++) {
    char *path = wheel_of (directory, names[i]);
    if (!path)
      return FALSE;
    g_ptr_array_add (paths, path);
  }
  g_ptr_array_add (paths, NULL);
  return TRUE;
}

static GPtrArray *
ingest_directory (const VfFetch *fetch, const char *directory, GError **error)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  if (!find_wheels (fetch->interpreter, directory, paths)) {
    vf_error_set (error, VF_ERROR_NOT_FOUND, "%s: no wheel of pip in it", directory);
    return NULL;
  }
  return vf_fetch_wheels (fetch, (const char *const *)paths->pdata, error);
}

static GPtrArray *
carried_seed (const VfFetch *fetch, GError **error)
{
  if (!fetch->interpreter->ensurepip_dir) {
    vf_error_set (error, VF_ERROR_NOT_FOUND,
                  "%s: this Python carries no pip (its ensurepip is missing); install it (Debian: "
                  "python%d.%d-venv), choose another with --python, or use --without-pip",
                  fetch->interpreter->executable, fetch->interpreter->major,
                  fetch->interpreter->minor);
    return NULL;
  }
  return ingest_directory (fetch, fetch->interpreter->ensurepip_dir, error);
}

/* Whether an index may hold a newer one: without any, only find-links directories can. */
static gboolean
worth_asking (const VfFetch *fetch)
{
  const char *variable = g_getenv ("PIP_NO_INDEX");
  gboolean no_index = variable && *variable && strcmp (variable, "0") != 0;
  g_autoptr (GString) links = g_string_new (g_getenv ("PIP_FIND_LINKS"));
  for (gsize i = 0; fetch->locations[i]; i++) {
    no_index = no_index || strcmp (fetch->locations[i], "--no-index") == 0;
    if (g_str_has_prefix (fetch->locations[i], "--find-links="))
      g_string_append_printf (links, " %s", strchr (fetch->locations[i], '=') + 1);
  }
  if (!no_index)
    return TRUE;
  g_auto (GStrv) locations = g_strsplit_set (links->str, " \t\n", -1);
  for (gsize i = 0; locations[i]; i++) {
    g_autofree char *wheel = *locations[i] ? wheel_of (locations[i], "pip") : NULL;
    if (wheel || strstr (locations[i], "://"))
      return TRUE;
  }
  return FALSE;
}

/* Asks the index, by means of the seed that is here. */
static GPtrArray *
look_up_seed (const VfFetch *fetch, GPtrArray *present, GError **error)
{
  g_autoptr (VfPip) pip =
      vf_pip_new (fetch->store, fetch->interpreter, vf_seed_pip (present), fetch->tmp_path, error);
  if (!pip)
    return NULL;
  g_autofree char *directory = g_build_filename (fetch->tmp_path, "seed", NULL);
  if (mkdir (directory, 0700) < 0) {
    vf_error_errno (error, errno, "%s: cannot create", directory);
    return NULL;
  }
  g_autoptr (GPtrArray) arguments = g_ptr_array_new ();
  const char *fixed[] = {"download",    "--no-input", "--no-deps", "--only-binary=:all:",
                         "--retries=1", "--dest",     directory};
  for (gsize i = 0; i < G_N_ELEMENTS (fixed); i++)
    g_ptr_array_add (arguments, (gpointer)fixed[i]);
  for (gsize i = 0; fetch->locations[i]; i++)
    g_ptr_array_add (arguments, (gpointer)fetch->locations[i]);
  const char *const *names = seed_names (fetch->interpreter);
  for (gsize i = 0; names[i]; i++)
    g_ptr_array_add (arguments, (gpointer)names[i]);
  g_ptr_array_add (arguments, NULL);
  if (!vf_pip_run (pip, (const char *const *)arguments->pdata, FALSE, NULL, NULL, error))
    return NULL;
  return ingest_directory (fetch, directory, error);
}

/* Takes @seed over. @age: seconds that it counts as old already. */
static VfResolution *
remember (const VfFetch *fetch, const char *name, GPtrArray *seed, gint64 age, GError **error)
{
  g_autoptr (VfResolution) resolution =
      vf_resolution_new (g_get_real_time () / G_USEC_PER_SEC - age, FALSE);
  g_ptr_array_unref (resolution->packages);
  resolution->packages = seed;
  return vf_resolution_save (fetch->store, name, resolution, error) ? g_steal_pointer (&resolution)
                                                                    : NULL;
}

static gboolean
is_fresh (const VfResolution *known)
{
  gint64 now = g_get_real_time () / G_USEC_PER_SEC;
  return now >= known->time && now < known->time + REFRESH_SECONDS;
}

GPtrArray *
vf_seed_recall (const VfFetch *fetch, const VfDigest *key, gboolean fresh)
{
  g_autofree char *name = vf_digest_path ("seed-", key);
  g_autoptr (VfResolution) known = vf_resolution_load (fetch->store, name);
  return known && (!fresh || is_fresh (known)) ? g_ptr_array_ref (known->packages) : NULL;
}

GPtrArray *
vf_seed_find (const VfFetch *fetch, const VfDigest *key, GError **error)
{
  g_autofree char *name = vf_digest_path ("seed-", key);
  g_autoptr (VfResolution) known = vf_resolution_load (fetch->store, name);
  if (known && is_fresh (known))
    return g_ptr_array_ref (known->packages);
  g_autoptr (GPtrArray) present =
      known ? g_ptr_array_ref (known->packages) : carried_seed (fetch, error);
  if (!present)
    return NULL;

  g_autoptr (GError) cause = NULL;
  GPtrArray *newest = worth_asking (fetch) ? look_up_seed (fetch, present, &cause) : NULL;
  if (g_error_matches (cause, VF_ERROR, VF_ERROR_CANCELLED)) {
    g_propagate_error (error, g_steal_pointer (&cause));
    return NULL;
  }
  if (cause)
    g_debug ("no newer seed: %s", cause->message);
  g_autoptr (VfResolution) chosen =
      remember (fetch, name, newest ? newest : g_ptr_array_ref (present),
                newest ? 0 : REFRESH_SECONDS - RETRY_SECONDS, error);
  return chosen ? g_ptr_array_ref (chosen->packages) : NULL;
}
