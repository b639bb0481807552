/* Environments in a store: opening, listing, locking, the mount point.
 *
 * Making and deleting them is environment-create.c's, the text of a generation generation.c's. */
#include "layers/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/environment-file.h"
#include "layers/error.h"
#include "layers/keyfile.h"

#define NAME_MAX_BYTES 128
#define INI_MAX_BYTES  (16 * 1024 * 1024)

struct VfEnvironment {
  VfStore *store; /* owned reference */
  char *name;
  char *path;
  int fd;
  char *prompt;
  VfMountRecord mount;
  guint current_number;
  VfGeneration *current;
};

gboolean
vf_environment_check_name (const char *name, GError **error)
{
  gsize length = strlen (name);
  gboolean valid =
      length >= 1 && length <= NAME_MAX_BYTES && (g_ascii_isalnum (name[0]) || name[0] == '_');
  for (gsize i = 0; valid && i < length; i++)
    valid = g_ascii_isalnum (name[i]) || strchr ("._-", name[i]);
  if (!valid)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: not a name for an environment: 1 to %d letters, digits, '.', '_' and "
                         "'-', beginning with a letter, a digit or '_'",
                         *name ? name : "''", NAME_MAX_BYTES);
  return TRUE;
}

char *
vf_environment_serialize (const char *prompt, guint generation, gsize *out_length)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  vf_keyfile_set_bytes (file, "environment", "prompt", prompt);
  g_key_file_set_uint64 (file, "environment", "generation", generation);
  return g_key_file_to_data (file, out_length, NULL);
}

static gboolean
parse_fields (VfEnvironment *environment, GBytes *bytes, const char *what, GError **error)
{
  g_autoptr (GKeyFile) file = vf_keyfile_parse (bytes, what, error);
  if (!file)
    return FALSE;
  const char *wrong = NULL;
  gint64 number = 0;
  if (!(environment->prompt = vf_keyfile_get_bytes (file, "environment", "prompt")))
    wrong = "prompt";
  else if (!vf_keyfile_get_number (file, "environment", "generation", &number) || number < 1 ||
           number > G_MAXINT)
    wrong = "generation";
  environment->current_number = (guint)number;
  if (wrong)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: %s is missing or not valid; run venvfs fsck",
                         what, wrong);
  return TRUE;
}

/* A file that every environment has: its absence is damage. */
static GBytes *
read_part (VfEnvironment *environment, const char *name, char **out_what, GError **error)
{
  g_autoptr (GError) failure = NULL;
  *out_what = g_build_filename (environment->path, name, NULL);
  GBytes *bytes = vf_read_file (environment->fd, name, INI_MAX_BYTES, *out_what, &failure);
  if (bytes)
    return bytes;
  if (failure->domain == VF_ERROR || g_error_matches (failure, VF_SYSTEM_ERROR, ENOENT) ||
      g_error_matches (failure, VF_SYSTEM_ERROR, ELOOP))
    vf_error_set (error, VF_ERROR_DAMAGED, "%s; run venvfs fsck", failure->message);
  else
    g_propagate_error (error, g_steal_pointer (&failure));
  return NULL;
}

static VfGeneration *
load_generation (VfEnvironment *environment, guint number, GError **error)
{
  char name[sizeof "generations/4294967295.ini"];
  g_autofree char *what = NULL;
  g_snprintf (name, sizeof name, "generations/%u.ini", number);
  g_autoptr (GBytes) bytes = read_part (environment, name, &what, error);
  g_autoptr (VfGeneration) generation = bytes ? vf_generation_parse (bytes, what, error) : NULL;
  if (generation && generation->number != number) {
    vf_error_set (error, VF_ERROR_DAMAGED, "%s: says that it is generation %u; run venvfs fsck",
                  what, generation->number);
    return NULL;
  }
  return g_steal_pointer (&generation);
}

static gboolean
load (VfEnvironment *environment, GError **error)
{
  g_autofree char *what = NULL;
  g_autoptr (GBytes) bytes = read_part (environment, "env.ini", &what, error);
  if (!bytes || !parse_fields (environment, bytes, what, error))
    return FALSE;
  vf_mount_record_read (environment->fd, &environment->mount);
  environment->current = load_generation (environment, environment->current_number, error);
  return environment->current != NULL;
}

VfEnvironment *
vf_environment_open (VfStore *store, const char *name, GError **error)
{
  if (!vf_environment_check_name (name, error))
    return NULL;
  g_autofree char *relative = g_strconcat ("envs/", name, NULL);
  VF_AUTOFD fd =
      openat (vf_store_fd (store), relative, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT)
    vf_error_set (error, VF_ERROR_NOT_FOUND,
                  "%s: no such environment; 'venvfs list' shows those there are", name);
  else if (fd < 0)
    vf_error_errno (error, errno, "%s/%s: cannot open", vf_store_path (store), relative);
  if (fd < 0)
    return NULL;
  g_autoptr (VfEnvironment) environment = g_new0 (VfEnvironment, 1);
  environment->store = vf_store_ref (store);
  environment->name = g_strdup (name);
  environment->path = vf_store_path_of (store, relative);
  environment->fd = vf_fd_steal (&fd);
  return load (environment, error) ? g_steal_pointer (&environment) : NULL;
}

void
vf_environment_free (VfEnvironment *environment)
{
  vf_store_unref (environment->store);
  vf_fd_clear (&environment->fd);
  g_free (environment->name);
  g_free (environment->path);
  g_free (environment->prompt);
  vf_mount_record_clear (&environment->mount);
  vf_generation_free (environment->current);
  g_free (environment);
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

char **
vf_environment_list (VfStore *store, GError **error)
{
  g_autofree char *path = vf_store_path_of (store, "envs");
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (DIR) dir = vf_dir_open (vf_store_fd (store), "envs");
  const char *name;
  while (dir && (name = vf_dir_next (dir)))
    if (vf_environment_check_name (name, NULL))
      g_ptr_array_add (names, g_strdup (name));
  if (errno != 0) {
    vf_error_errno (error, errno, "%s: cannot list", path);
    return NULL;
  }
  g_ptr_array_sort (names, compare_strings);
  g_ptr_array_add (names, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&names), FALSE);
}

static int
compare_numbers (gconstpointer a, gconstpointer b)
{
  const VfGeneration *left = *(VfGeneration *const *)a, *right = *(VfGeneration *const *)b;
  return (left->number > right->number) - (left->number < right->number);
}

static gboolean
add_generation (VfEnvironment *environment, const char *file_name, GPtrArray *generations,
                GError **error)
{
  gint64 number;
  g_autofree char *text = g_strdup (file_name);
  if (!g_str_has_suffix (text, ".ini") ||
      (text[strlen (text) - 4] = '\0',
       !g_ascii_string_to_signed (text, 10, 1, G_MAXINT, &number, NULL)))
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s/generations/%s: not a generation",
                         environment->path, file_name);
  VfGeneration *generation = load_generation (environment, (guint)number, error);
  if (generation)
    g_ptr_array_add (generations, generation);
  return generation != NULL;
}

GPtrArray *
vf_environment_load_generations (VfEnvironment *environment, GError **error)
{
  g_autoptr (GPtrArray) generations =
      g_ptr_array_new_with_free_func ((GDestroyNotify)vf_generation_free);
  g_autofree char *path = g_build_filename (environment->path, "generations", NULL);
  g_autoptr (DIR) dir = vf_dir_open (environment->fd, "generations");
  const char *name;
  while (dir && (name = vf_dir_next (dir)))
    if (!add_generation (environment, name, generations, error))
      return NULL;
  if (errno != 0) {
    vf_error_errno (error, errno, "%s: cannot list", path);
    return NULL;
  }
  g_ptr_array_sort (generations, compare_numbers);
  return g_steal_pointer (&generations);
}

const char *
vf_environment_name (VfEnvironment *environment)
{
  return environment->name;
}

const char *
vf_environment_prompt (VfEnvironment *environment)
{
  return environment->prompt;
}

const char *
vf_environment_path (VfEnvironment *environment)
{
  return environment->path;
}

int
vf_environment_fd (VfEnvironment *environment)
{
  return environment->fd;
}

VfStore *
vf_environment_store (VfEnvironment *environment)
{
  return environment->store;
}

const VfGeneration *
vf_environment_current (VfEnvironment *environment)
{
  return environment->current;
}

const VfMountRecord *
vf_environment_mount_record (VfEnvironment *environment)
{
  return &environment->mount;
}

const char *
vf_environment_mount_point (VfEnvironment *environment)
{
  return environment->mount.point;
}

gboolean
vf_environment_set_mount_record (VfEnvironment *environment, const char *path, dev_t device,
                                 gboolean wanted, GError **error)
{
  VfMountRecord record = {.point = (char *)path, .device = device, .wanted = wanted};
  if (!vf_mount_record_write (environment->fd, &record, environment->path, error))
    return FALSE;
  record.point = g_strdup (path);
  vf_mount_record_clear (&environment->mount);
  environment->mount = record;
  return TRUE;
}

/* Whether envs/<name> is still this directory: it may have been deleted, and made anew. */
static gboolean
is_in_place (VfEnvironment *environment)
{
  struct stat mine, there;
  return fstat (environment->fd, &mine) == 0 &&
         fstatat (AT_FDCWD, environment->path, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

int
vf_environment_lock (VfEnvironment *environment, GError **error)
{
  VF_AUTOFD fd = openat (environment->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 && errno != ENOENT) {
    vf_error_errno (error, errno, "%s/lock: cannot open", environment->path);
    return -1;
  }
  if (fd >= 0 && flock (fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno == EWOULDBLOCK)
      vf_error_set (error, VF_ERROR_BUSY,
                    "%s: in use: it is mounted, or another venvfs is working on it",
                    environment->name);
    else
      vf_error_errno (error, errno, "%s/lock: cannot lock", environment->path);
    return -1;
  }
  if (fd < 0 || !is_in_place (environment)) {
    vf_error_set (error, VF_ERROR_NOT_FOUND, "%s: was deleted a moment ago", environment->name);
    return -1;
  }
  return vf_fd_steal (&fd);
}
