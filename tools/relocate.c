#include "tools/relocate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "layers/view.h"

#define PLACES           "places"
#define PLACES_MAX_BYTES (1 << 20)
/* A script that pip writes has some hundred bytes; what is larger is no script of its making. */
#define FILE_MAX_BYTES (1 << 20)
#define TEMPORARY      ".relocate.tmp"
#define XATTRS_BYTES   65536
#define EXEC_FIRST     "#!/bin/sh\n'''exec' "
#define EXEC_LAST      " \"$0\" \"$@\"\n' '''"

char **
vf_places_read (int environment_fd)
{
  g_autoptr (GBytes) bytes = vf_read_file (environment_fd, PLACES, PLACES_MAX_BYTES, PLACES, NULL);
  if (bytes == NULL)
    return g_new0 (char *, 1);
  g_autofree char *text = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  g_strchomp (text);
  return g_strsplit (text, "\n", -1);
}

gboolean
vf_places_add (int environment_fd, const char *place, GError **error)
{
  g_auto (GStrv) places = vf_places_read (environment_fd);
  /* One with a line break in it, where nothing is mounted, is where a mount was moved to. */
  if (g_strv_contains ((const char *const *)places, place) || strchr (place, '\n') != NULL)
    return TRUE;
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  VF_AUTOFD fd = openat (environment_fd, PLACES, flags, 0600);
  g_autofree char *line = g_strconcat (place, "\n", NULL);
  struct stat st;
  /* ENXIO: a fifo that nobody reads, or a socket. */
  gboolean odd = fd < 0 ? errno == ENXIO || errno == ELOOP || errno == EISDIR
                        : fstat (fd, &st) == 0 && !S_ISREG (st.st_mode);
  if (odd)
    return vf_error_set (error, VF_ERROR_DAMAGED, "%s: is not a regular file; remove it", PLACES);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot be written", PLACES);
  return vf_write_all (fd, line, strlen (line), PLACES, error);
}

/* The first line (or three) that runs @program of @place, without the last line's end. */
static gboolean
append_shebang (GString *out, const char *place, const char *program)
{
  VfViewContext context = {.mount_point = place, .prompt = ""};
  g_autofree char *template_text = g_strdup_printf ("\001shebang:%s\002", program);
  g_autoptr (GBytes) line = vf_view_render (template_text, strlen (template_text), &context);
  if (line == NULL)
    return FALSE;
  g_string_append_len (out, g_bytes_get_data (line, NULL), (gssize)g_bytes_get_size (line));
  if (g_str_has_suffix (out->str, "\n"))
    g_string_truncate (out, out->len - 1);
  return TRUE;
}

/* The name in "<former>/bin/NAME" at @text, which ends at one of @ends; NULL if it is not that. */
static char *
program_at (const char *text, const char *end, const char *former, const char *ends,
            const char **out_after)
{
  g_autofree char *prefix = g_strconcat (former, "/bin/", NULL);
  gsize length = strlen (prefix);
  if ((gsize)(end - text) < length || memcmp (text, prefix, length) != 0)
    return NULL;
  const char *name = text + length, *after = name;
  while (after < end && strchr (ends, *after) == NULL && *after != '/')
    after++;
  if (after == name || after == end || *after == '/')
    return NULL;
  *out_after = after;
  return g_strndup (name, (gsize)(after - name));
}

/* "#!FORMER/bin/NAME…" or the form for /bin/sh, the path quoted or not. *out_rest: what follows the
 * part that is replaced. */
static char *
parse_shebang (const char *text, gsize length, const char *former, const char **out_rest)
{
  const char *end = text + length;
  if (length > 2 && memcmp (text, "#!", 2) == 0 && text[2] == '/' &&
      !(length > strlen (EXEC_FIRST) && memcmp (text, EXEC_FIRST, strlen (EXEC_FIRST)) == 0))
    return program_at (text + 2, end, former, " \n", out_rest);
  if (length <= strlen (EXEC_FIRST) || memcmp (text, EXEC_FIRST, strlen (EXEC_FIRST)) != 0)
    return NULL;
  const char *path = text + strlen (EXEC_FIRST), *after = NULL;
  gboolean quoted = path < end && *path == '"';
  g_autofree char *program = program_at (path + quoted, end, former, quoted ? "\"" : " ", &after);
  if (program == NULL)
    return NULL;
  after += quoted;
  if ((gsize)(end - after) < strlen (EXEC_LAST) ||
      memcmp (after, EXEC_LAST, strlen (EXEC_LAST)) != 0)
    return NULL;
  *out_rest = after + strlen (EXEC_LAST);
  return g_steal_pointer (&program);
}

GString *
vf_relocate_script (const char *text, gsize length, const char *former, const char *place)
{
  const char *rest = NULL;
  g_autofree char *program = parse_shebang (text, length, former, &rest);
  if (program == NULL)
    return NULL;
  const char *line_end = memchr (rest, '\n', (gsize)(text + length - rest));
  g_autoptr (GString) out = g_string_new (NULL);
  if (line_end == NULL || !append_shebang (out, place, program))
    return NULL;
  /* Arguments after the interpreter ("-E") have no place in the form for /bin/sh. */
  if (!g_str_has_prefix (out->str, "#!/bin/sh\n"))
    g_string_append_len (out, rest, text + length - rest);
  else
    g_string_append_len (out, line_end, text + length - line_end);
  return g_steal_pointer (&out);
}

static const char *
dialect_of (const char *name)
{
  static const struct {
    const char *name, *dialect;
  } dialects[] = {
      {"activate", "sh"},      {"activate.fish", "fish"},  {"activate.csh", "csh"},
      {"activate.nu", "nu"},   {"activate.xsh", "xsh"},    {"Activate.ps1", "ps1"},
      {"activate.ps1", "ps1"}, {"activate_this.py", "py"},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (dialects); i++)
    if (g_str_equal (name, dialects[i].name))
      return dialects[i].dialect;
  return NULL;
}

/* Whether a path that stands here is @former itself and not a longer name. */
static gboolean
is_bounded (const char *start, const char *at, gsize length, const char *end)
{
  const char *inner = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  gboolean begins = at == start || (strchr (inner, at[-1]) == NULL && at[-1] != '/');
  gboolean ends = at + length == end || strchr (inner, at[length]) == NULL;
  return begins && ends;
}

/* Replaces each @from by @to; TRUE if there was one. */
static gboolean
replace_all (GString *text, const char *from, const char *to, gboolean bounded)
{
  gsize from_length = strlen (from), to_length = strlen (to), offset = 0;
  gboolean found = FALSE;
  while (offset + from_length <= text->len) {
    const char *at = memmem (text->str + offset, text->len - offset, from, from_length);
    if (at == NULL)
      break;
    offset = (gsize)(at - text->str);
    if (bounded && !is_bounded (text->str, at, from_length, text->str + text->len)) {
      offset++;
      continue;
    }
    g_string_erase (text, (gssize)offset, (gssize)from_length);
    g_string_insert (text, (gssize)offset, to);
    offset += to_length;
    found = TRUE;
  }
  return found;
}

/* As literals of the file's language; in pyvenv.cfg, which quotes nothing, as it is. Python's own
 * venv leaves a path unquoted where it may. */
GString *
vf_relocate_text (const char *name, const char *text, gsize length, const char *former,
                  const char *place)
{
  g_autoptr (GString) out = g_string_new_len (text, (gssize)length);
  const char *dialect = dialect_of (name);
  if (dialect == NULL)
    return replace_all (out, former, place, TRUE) ? g_steal_pointer (&out) : NULL;
  g_autofree char *quoted_former = vf_view_quote (dialect, former);
  g_autofree char *quoted_place = vf_view_quote (dialect, place);
  g_autofree char *double_former = g_strdup_printf ("\"%s\"", former);
  gboolean changed = replace_all (out, quoted_former, quoted_place, FALSE);
  changed |= !g_str_equal (quoted_former, double_former) &&
             replace_all (out, double_former, quoted_place, FALSE);
  changed |= replace_all (out, former, quoted_place, TRUE);
  return changed ? g_steal_pointer (&out) : NULL;
}

/* A copied-up file's attributes say which node it is (fs/overlay.h): they must come along. */
static gboolean
copy_xattrs (int from, int to, const char *what, GError **error)
{
  g_autofree char *names = g_malloc (XATTRS_BYTES);
  g_autofree char *value = g_malloc (XATTRS_BYTES);
  ssize_t length = flistxattr (from, names, XATTRS_BYTES);
  if (length < 0)
    return errno == EOPNOTSUPP || vf_error_errno (error, errno, "%s: cannot be examined", what);
  for (const char *name = names; name < names + length; name += strlen (name) + 1) {
    ssize_t size = fgetxattr (from, name, value, XATTRS_BYTES);
    gboolean ours = g_str_has_prefix (name, "user.");
    if (size >= 0 && fsetxattr (to, name, value, (gsize)size, 0) == 0)
      continue;
    if (ours)
      return vf_error_errno (error, errno, "%s: cannot copy the attribute %s", what, name);
  }
  return TRUE;
}

static gboolean
replace_content (int scratch_fd, int dir_fd, const char *name, int fd, const struct stat *st,
                 const GString *content, GError **error)
{
  unlinkat (scratch_fd, TEMPORARY, 0);
  VF_AUTOFD out =
      openat (scratch_fd, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct timespec times[2] = {st->st_atim, st->st_mtim};
  if (out < 0)
    return vf_error_errno (error, errno, "%s: cannot be made", TEMPORARY);
  if (!vf_write_all (out, content->str, content->len, name, error) ||
      !copy_xattrs (fd, out, name, error))
    return FALSE;
  if (geteuid () == 0 && fchown (out, st->st_uid, st->st_gid) < 0)
    return vf_error_errno (error, errno, "%s: cannot keep its owner", name);
  if (fchmod (out, st->st_mode & 07777) < 0 || futimens (out, times) < 0 || fsync (out) < 0 ||
      renameat (scratch_fd, TEMPORARY, dir_fd, name) < 0)
    return vf_error_errno (error, errno, "%s: cannot be rewritten", name);
  return TRUE;
}

/* Of all former places the first that it names: each file was written at one place. */
static GString *
relocate_content (const char *name, gboolean script, const char *text, gsize length,
                  const char *const *former, const char *place)
{
  for (; *former != NULL; former++) {
    if (g_str_equal (*former, place) || **former == '\0')
      continue;
    GString *content = script && dialect_of (name) == NULL
                           ? vf_relocate_script (text, length, *former, place)
                           : vf_relocate_text (name, text, length, *former, place);
    if (content != NULL)
      return content;
  }
  return NULL;
}

static gboolean
relocate_file (int scratch_fd, int dir_fd, const char *name, gboolean script,
               const char *const *former, const char *place, GError **error)
{
  /* O_NONBLOCK: a fifo must not hold us up. Whatever cannot be read is nobody's script. */
  VF_AUTOFD fd = openat (dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat (fd, &st) < 0 || !S_ISREG (st.st_mode) || st.st_size == 0 ||
      st.st_size > FILE_MAX_BYTES)
    return TRUE;
  gsize length = (gsize)st.st_size;
  g_autofree char *text = g_malloc (length);
  if (!vf_read_all (fd, text, length, 0, name, error))
    return FALSE;
  GString *content = relocate_content (name, script, text, length, former, place);
  if (content == NULL)
    return TRUE;
  gboolean done = replace_content (scratch_fd, dir_fd, name, fd, &st, content, error);
  g_string_free (content, TRUE);
  return done;
}

static gboolean
relocate_scripts (int scratch_fd, int tree_fd, const char *const *former, const char *place,
                  GError **error)
{
  g_autoptr (DIR) dir = vf_dir_open (tree_fd, "bin");
  gboolean done = TRUE;
  const struct dirent *entry;
  while (dir != NULL && done && (entry = readdir (dir)) != NULL)
    if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN)
      done = relocate_file (scratch_fd, dirfd (dir), entry->d_name, TRUE, former, place, error);
  return done;
}

gboolean
vf_relocate_tree (int scratch_fd, int tree_fd, const char *const *former, const char *place,
                  GError **error)
{
  return relocate_scripts (scratch_fd, tree_fd, former, place, error) &&
         relocate_file (scratch_fd, tree_fd, "pyvenv.cfg", FALSE, former, place, error);
}

gboolean
vf_relocate (int environment_fd, const char *const *former, const char *place, GError **error)
{
  const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  VF_AUTOFD upper = openat (environment_fd, "upper", flags);
  VF_AUTOFD work = openat (environment_fd, "work", flags);
  return upper < 0 || work < 0 || vf_relocate_tree (work, upper, former, place, error);
}
