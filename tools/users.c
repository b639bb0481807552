#include "tools/users.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tools/mountinfo.h"

static gboolean
link_is_within (const char *link, const char *mount_point)
{
  char target[PATH_MAX];
  ssize_t length = readlink (link, target, sizeof target - 1);
  if (length < 0)
    return FALSE;
  target[length] = '\0';
  return vf_path_is_within (target, mount_point);
}

static gboolean
has_open_file (const char *process, const char *mount_point)
{
  g_autofree char *folder = g_build_filename (process, "fd", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *link = g_build_filename (folder, name, NULL);
    if (link_is_within (link, mount_point))
      return TRUE;
  }
  return FALSE;
}

/* A line of maps: "start-end perms offset major:minor inode path", the device in hexadecimal. */
static gboolean
has_mapping (const char *process, dev_t device)
{
  g_autofree char *path = g_build_filename (process, "maps", NULL);
  FILE *maps = fopen (path, "re");
  char line[PATH_MAX + 128];
  gboolean found = FALSE;
  while (maps != NULL && !found && fgets (line, sizeof line, maps) != NULL) {
    unsigned device_major, device_minor;
    found = sscanf (line, "%*s %*s %*s %x:%x", &device_major, &device_minor) == 2 &&
            makedev (device_major, device_minor) == device;
  }
  if (maps != NULL)
    fclose (maps);
  return found;
}

/* How @process uses the mount, or NULL. */
static const char *
use_of (const char *process, const char *mount_point, dev_t device)
{
  g_autofree char *cwd = g_build_filename (process, "cwd", NULL);
  g_autofree char *root = g_build_filename (process, "root", NULL);
  if (link_is_within (cwd, mount_point))
    return "current directory";
  if (link_is_within (root, mount_point))
    return "root directory";
  if (has_open_file (process, mount_point))
    return "open file";
  return device != 0 && has_mapping (process, device) ? "mapped file" : NULL;
}

static char *
command_of (const char *process)
{
  g_autofree char *path = g_build_filename (process, "comm", NULL);
  char *text = NULL;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return g_strdup ("?");
  return g_strchomp (text);
}

char *
vf_users_describe (const char *mount_point, dev_t device, guint max)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc", 0, NULL);
  g_autoptr (GPtrArray) users = g_ptr_array_new_with_free_func (g_free);
  guint n_more = 0;
  const char *name;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    if (!g_ascii_isdigit (name[0]))
      continue;
    g_autofree char *process = g_build_filename ("/proc", name, NULL);
    const char *use = use_of (process, mount_point, device);
    if (use == NULL)
      continue;
    if (users->len >= max) {
      n_more++;
      continue;
    }
    g_autofree char *command = command_of (process);
    g_ptr_array_add (users, g_strdup_printf ("%s (process %s, %s)", command, name, use));
  }
  if (users->len == 0)
    return NULL;
  if (n_more > 0)
    g_ptr_array_add (users, g_strdup_printf ("and %u more", n_more));
  g_ptr_array_add (users, NULL);
  return g_strjoinv (", ", (char **)users->pdata);
}
