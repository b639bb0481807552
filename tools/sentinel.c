/* The last line is for this file to read; the rest is for people. */
#include "tools/sentinel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

#define MAX_BYTES 16384
#define TAIL      "[venvfs mount point: name=%128s made=%u mode=%o]"
#define MARK      "[venvfs mount point: "

static gboolean
sentinel_parse (const char *text, VfSentinel *out_sentinel)
{
  const char *tail = g_strrstr (text, MARK);
  return tail != NULL &&
         sscanf (tail, TAIL, out_sentinel->name, &out_sentinel->n_made, &out_sentinel->mode) == 3;
}

static GBytes *
sentinel_load (int directory_fd)
{
  return vf_read_file (directory_fd, VF_SENTINEL_NAME, MAX_BYTES, VF_SENTINEL_NAME, NULL);
}

gboolean
vf_sentinel_read (int directory_fd, VfSentinel *out_sentinel)
{
  g_autoptr (GBytes) bytes = sentinel_load (directory_fd);
  if (bytes == NULL)
    return FALSE;
  g_autofree char *text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  return sentinel_parse (text, out_sentinel);
}

static char *
shell_word (const char *text)
{
  const char *safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,@%";
  return text[strspn (text, safe)] == '\0' ? g_strdup (text) : g_shell_quote (text);
}

char *
vf_sentinel_text (const VfSentinel *sentinel, const char *place, const char *store_given)
{
  g_autofree char *path = shell_word (place);
  g_autofree char *store = store_given != NULL ? shell_word (store_given) : NULL;
  return g_strdup_printf ("The Python environment \"%s\" belongs here, but it is not mounted.\n"
                          "To mount it, run:\n"
                          "\n"
                          "    venvfs mount %s%s%s%s %s\n"
                          "\n"
                          "To give this place up, run:\n"
                          "\n"
                          "    venvfs umount --remove %s\n"
                          "\n"
                          "[venvfs mount point: name=%s made=%u mode=%04o]\n",
                          sentinel->name, store != NULL ? "--store " : "",
                          store != NULL ? store : "", store != NULL ? " " : "", sentinel->name,
                          path, path, sentinel->name, sentinel->n_made, sentinel->mode);
}

gboolean
vf_sentinel_is (int directory_fd, const char *text)
{
  g_autoptr (GBytes) there = sentinel_load (directory_fd);
  g_autoptr (GBytes) wanted = g_bytes_new_static (text, strlen (text));
  return there != NULL && g_bytes_equal (there, wanted);
}

gboolean
vf_sentinel_write (int directory_fd, const char *text, const char *path, GError **error)
{
  unlinkat (directory_fd, VF_SENTINEL_NAME, 0);
  VF_AUTOFD fd =
      openat (directory_fd, VF_SENTINEL_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot write in it", path);
  return vf_write_all (fd, text, strlen (text), path, error);
}

/* What is to be typed ends with the place. */
void
vf_sentinel_move (int directory_fd, const char *former, const char *path)
{
  g_autoptr (GBytes) bytes = sentinel_load (directory_fd);
  if (bytes == NULL)
    return;
  g_autofree char *former_word = shell_word (former);
  g_autofree char *word = shell_word (path);
  g_autofree char *from = g_strdup_printf (" %s\n", former_word);
  g_autofree char *to = g_strdup_printf (" %s\n", word);
  g_autofree char *text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  g_auto (GStrv) parts = g_strsplit (text, from, -1);
  g_autofree char *moved = g_strjoinv (to, parts);
  if (fchmod (directory_fd, 0755) == 0)
    vf_replace_file_soon (directory_fd, VF_SENTINEL_NAME, 0444, moved, strlen (moved), path, NULL);
}
