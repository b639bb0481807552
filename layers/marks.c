#include "layers/marks.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "layers/io.h"

#define OPAQUE "user.overlay.opaque"
#define ID     "user.venvfs.id"
#define DIGEST "user.venvfs.digest"
#define LOWER  "user.venvfs.lower"
#define ASIDE  "user.venvfs.aside"

#define VALUE_MAX 4352 /* an image id, a colon and a path */

void
vf_marks_clear (VfMarks *marks)
{
  g_clear_pointer (&marks->lower_path, g_free);
  memset (marks, 0, sizeof *marks);
}

static void
parse_id (VfMarks *marks, const char *value)
{
  char *end;
  guint64 id = g_ascii_strtoull (value, &end, 16);
  if (strlen (value) == 16 && *end == '\0' && id > 1 && id < G_GUINT64_CONSTANT (1) << 62)
    marks->id = id;
}

static void
parse_lower (VfMarks *marks, const char *value)
{
  const char *colon = strchr (value, ':');
  if (!colon || !vf_digest_from_hex (value, (gsize)(colon - value), &marks->lower_image))
    return;
  g_free (marks->lower_path);
  marks->lower_path = g_strdup (colon + 1);
  marks->has_lower = TRUE;
}

static int
read_one (const char *path, const char *attribute, VfMarks *marks)
{
  char value[VALUE_MAX + 1];
  ssize_t length = lgetxattr (path, attribute, value, VALUE_MAX);
  if (length < 0)
    return errno == ENODATA || errno == ERANGE ? 0 : -errno;
  value[length] = '\0';
  if (strcmp (attribute, OPAQUE) == 0)
    marks->opaque = value[0] == 'y' && length == 1;
  else if (strcmp (attribute, ID) == 0)
    parse_id (marks, value);
  else if (strcmp (attribute, DIGEST) == 0)
    marks->has_digest = vf_digest_from_hex (value, (gsize)length, &marks->digest);
  else if (strcmp (attribute, LOWER) == 0)
    parse_lower (marks, value);
  return 0;
}

/* The names of all attributes. Most objects have none: one system call then. */
static ssize_t
list_names (const char *path, char *buffer, gsize size, char **out_large)
{
  ssize_t length = llistxattr (path, buffer, size);
  if (length >= 0 || errno != ERANGE)
    return length >= 0 ? length : -errno;
  *out_large = g_malloc (XATTR_LIST_MAX);
  length = llistxattr (path, *out_large, XATTR_LIST_MAX);
  return length >= 0 ? length : -errno;
}

int
vf_marks_read (int dir_fd, const char *name, mode_t mode, VfMarks *out_marks)
{
  memset (out_marks, 0, sizeof *out_marks);
  if (!S_ISREG (mode) && !S_ISDIR (mode))
    return 0;
  /* There is no getxattrat(): the descriptor's own directory is the way to the name. */
  VfProcPath path;
  vf_proc_path (&path, dir_fd, name);
  char buffer[512];
  g_autofree char *large = NULL;
  ssize_t length = list_names (path.text, buffer, sizeof buffer, &large);
  if (length < 0)
    return (int)length;
  const char *names = large ? large : buffer;
  for (const char *next = names; next < names + length; next += strlen (next) + 1) {
    int result = vf_mark_is_own (next) ? read_one (path.text, next, out_marks) : 0;
    if (result < 0)
      return result;
  }
  return 0;
}

static int
set_mark (int fd, const char *attribute, const char *value)
{
  return fsetxattr (fd, attribute, value, strlen (value), 0) < 0 ? -errno : 0;
}

int
vf_mark_set_opaque (int fd)
{
  return set_mark (fd, OPAQUE, "y");
}

int
vf_mark_set_id (int fd, guint64 id)
{
  char text[17];
  g_snprintf (text, sizeof text, "%016" G_GINT64_MODIFIER "x", id);
  return set_mark (fd, ID, text);
}

static int
remove_mark (int fd, const char *attribute)
{
  return fremovexattr (fd, attribute) < 0 && errno != ENODATA ? -errno : 0;
}

int
vf_mark_remove_id (int fd)
{
  return remove_mark (fd, ID);
}

int
vf_mark_set_digest (int fd, const VfDigest *digest)
{
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (digest, hex);
  return set_mark (fd, DIGEST, hex);
}

int
vf_mark_remove_digest (int fd)
{
  return remove_mark (fd, DIGEST);
}

int
vf_mark_set_lower (int fd, const VfDigest *image, const char *path)
{
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (image, hex);
  g_autofree char *value = g_strdup_printf ("%s:%s", hex, path);
  return set_mark (fd, LOWER, value);
}

int
vf_mark_remove_lower (int fd)
{
  return remove_mark (fd, LOWER);
}

int
vf_mark_set_aside (const char *path)
{
  return setxattr (path, ASIDE, "y", 1, 0) < 0 ? -errno : 0;
}

gboolean
vf_mark_has_aside (const char *path)
{
  char value;
  return getxattr (path, ASIDE, &value, 1) == 1;
}

int
vf_marks_remove_hiding (int fd)
{
  int result = remove_mark (fd, OPAQUE);
  return result < 0 ? result : vf_mark_remove_lower (fd);
}

gboolean
vf_mark_is_own (const char *attribute)
{
  return g_str_has_prefix (attribute, "user.overlay.") ||
         g_str_has_prefix (attribute, "user.venvfs.") ||
         g_str_has_prefix (attribute, "trusted.overlay.");
}
