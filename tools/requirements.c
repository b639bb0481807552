#include "tools/requirements.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "layers/package.h"
#include "layers/version.h"

#define MAX_FILE_BYTES (16 * 1024 * 1024)
#define MAX_DEPTH      32

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

struct VfRequirements {
  VfHasher *hasher;
  GHashTable *pinned; /* set of "name==version", or "name" for whichever version it has */
  gboolean changeable;
  char *editable;
  GPtrArray *locations;
  guint depth; /* of -r within -r */
};

VfRequirements *
vf_requirements_new (void)
{
  VfRequirements *requirements = g_new0 (VfRequirements, 1);
  requirements->hasher = vf_hasher_new ();
  requirements->pinned = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  requirements->locations = g_ptr_array_new_with_free_func (g_free);
  return requirements;
}

void
vf_requirements_free (VfRequirements *requirements)
{
  vf_hasher_free (requirements->hasher);
  g_hash_table_unref (requirements->pinned);
  g_ptr_array_unref (requirements->locations);
  g_free (requirements->editable);
  g_free (requirements);
}

/* Lengths go first, so that no two sequences of parts hash the same bytes. */
static void
feed (VfRequirements *requirements, const char *label, const void *data, gsize length)
{
  guint64 lengths[2] = {GUINT64_TO_LE (strlen (label)), GUINT64_TO_LE (length)};
  vf_hasher_update (requirements->hasher, lengths, sizeof lengths);
  vf_hasher_update (requirements->hasher, label, strlen (label));
  vf_hasher_update (requirements->hasher, data, length);
}

void
vf_requirements_add_text (VfRequirements *requirements, const char *label, const char *text)
{
  feed (requirements, label, text, strlen (text));
}

/* Stands for the content of a local archive, and for the listing of a directory. */
static void
feed_identity (VfRequirements *requirements, const char *label, const struct stat *st)
{
  guint64 identity[] = {st->st_dev,
                        st->st_ino,
                        (guint64)st->st_size,
                        (guint64)st->st_mtim.tv_sec,
                        (guint64)st->st_mtim.tv_nsec,
                        (guint64)st->st_ctim.tv_sec,
                        (guint64)st->st_ctim.tv_nsec};
  feed (requirements, label, identity, sizeof identity);
}

/* @version: NULL for whichever it has. The caller frees. */
static char *
pin_of (const char *name, const char *version)
{
  g_autofree char *plain = vf_package_normalize_name (name);
  g_autofree char *normal = version ? vf_version_normalize (version) : NULL;
  return version ? g_strconcat (plain, "==", normal ? normal : version, NULL)
                 : g_steal_pointer (&plain);
}

static void
pin (VfRequirements *requirements, const char *name, gsize length, const char *version)
{
  g_autofree char *spelled = g_strndup (name, length);
  g_hash_table_add (requirements->pinned, pin_of (spelled, version));
}

/* The name in a "${NAME}" at @start, as pip knows it (upper-case letters, digits and '_'), or NULL.
 * The caller frees. */
static char *
variable_at (const char *start)
{
  gsize length = strspn (start + 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  return length > 0 && start[2 + length] == '}' ? g_strndup (start + 2, length) : NULL;
}

static void
feed_variables (VfRequirements *requirements, const char *text)
{
  for (const char *start = strstr (text, "${"); start; start = strstr (start + 2, "${")) {
    g_autofree char *name = variable_at (start);
    const char *value = name ? g_getenv (name) : NULL;
    if (name)
      vf_requirements_add_text (requirements, name, value ? value : "");
  }
}

/* @text with each variable that has a value replaced by it; others stay, as with pip. */
static char *
expand_variables (const char *text)
{
  GString *expanded = g_string_new (NULL);
  while (*text) {
    g_autofree char *name = g_str_has_prefix (text, "${") ? variable_at (text) : NULL;
    const char *value = name ? g_getenv (name) : NULL;
    if (value && *value) {
      g_string_append (expanded, value);
      text += strlen (name) + strlen ("${}");
    } else {
      g_string_append_c (expanded, *text++);
    }
  }
  return g_string_free (expanded, FALSE);
}

/* Of a path or URL. Paths begin here, wherever the file lies that has them, as with pip. */
static char *
local_path (const char *location)
{
  if (g_str_has_prefix (location, "file:"))
    return g_filename_from_uri (location, NULL, NULL);
  return strstr (location, "://") ? NULL : g_canonicalize_filename (location, NULL);
}

/* @directory: of the file that says so, or NULL: what is there goes before what is here. */
static void
add_find_links (VfRequirements *requirements, const char *location, const char *directory)
{
  struct stat st;
  g_autofree char *base = directory ? g_canonicalize_filename (directory, NULL) : NULL;
  g_autofree char *beside = g_canonicalize_filename (location, base);
  g_autofree char *path = local_path (g_file_test (beside, G_FILE_TEST_EXISTS) ? beside : location);
  vf_requirements_add_text (requirements, "find-links", location);
  if (path && stat (path, &st) == 0)
    feed_identity (requirements, "find-links identity", &st);
}

void
vf_requirements_add_find_links (VfRequirements *requirements, const char *location)
{
  add_find_links (requirements, location, NULL);
}

/* A local archive is what it is; a directory is a project whose files nobody has looked at. */
static void
add_local (VfRequirements *requirements, const char *path)
{
  struct stat st;
  if (stat (path, &st) < 0 || !S_ISREG (st.st_mode)) {
    requirements->changeable = TRUE;
    return;
  }
  feed_identity (requirements, "archive", &st);
  g_autofree char *base = g_path_get_basename (path);
  g_auto (GStrv) parts = g_strsplit (base, "-", 3);
  if (g_str_has_suffix (base, ".whl") && g_strv_length (parts) == 3)
    pin (requirements, base, strlen (parts[0]), parts[1]);
}

/* Of the specifier after the name and the extras, if it is exactly one clause, == or ===, without a
 * '*'; else NULL. The caller frees. */
static char *
exact_version (const char *specifier)
{
  g_autofree char *clause = g_strndup (specifier, strcspn (specifier, ";#"));
  char *hash_option = strstr (clause, " --");
  if (hash_option)
    *hash_option = '\0';
  g_strstrip (clause);
  if (*clause == '(' && clause[strlen (clause) - 1] == ')') {
    clause[strlen (clause) - 1] = ' ';
    *clause = ' ';
    g_strstrip (clause);
  }
  if (!g_str_has_prefix (clause, "==") || strpbrk (clause, ",*<>~!"))
    return NULL;
  return g_strdup (clause + strspn (clause, "= \t"));
}

static gboolean
has_suffix_of (const char *text, const char *const *suffixes)
{
  for (gsize i = 0; suffixes[i]; i++)
    if (g_str_has_suffix (text, suffixes[i]))
      return TRUE;
  return FALSE;
}

/* As pip tells a path or URL from a name: by its slashes, a leading dot or the suffix. */
static gboolean
is_location (const char *word)
{
  static const char *const archives[] = {".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", NULL};
  gsize name = strcspn (word, "@");
  return *word == '.' || g_str_has_prefix (word, "file:") || has_suffix_of (word, archives) ||
         memchr (word, '/', name);
}

static gboolean
has_hash (const char *text)
{
  return strstr (text, "#sha256=") || strstr (text, "&sha256=") || strstr (text, "--hash=sha256:");
}

/* A path or URL, with what may follow it (extras, a fragment, options). */
static void
add_location (VfRequirements *requirements, const char *text)
{
  g_autofree char *location = g_strndup (text, strcspn (text, " \t;"));
  gboolean url = strstr (location, "://") || g_str_has_prefix (location, "file:");
  location[strcspn (location, url ? "#" : "[")] = '\0';
  g_autofree char *path = local_path (location);
  if (path)
    add_local (requirements, path);
  else if (!has_hash (text))
    requirements->changeable = TRUE;
}

/* "name[extra]==1.0 ; marker --hash=…", "name @ URL ; marker". Markers are pip's to judge. */
static void
add_named (VfRequirements *requirements, const char *text)
{
  gsize length = strspn (text, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "._-");
  const char *rest = text + length;
  rest += strspn (rest, " \t");
  if (*rest == '[')
    rest += strcspn (rest, "]");
  rest += strspn (rest, "] \t");
  if (*rest != '@') {
    g_autofree char *version = exact_version (rest);
    if (length > 0 && version)
      pin (requirements, text, length, version);
    return;
  }
  rest += 1 + strspn (rest + 1, " \t");
  add_location (requirements, rest);
  if ((has_hash (rest) || g_str_has_prefix (rest, "file:")) && !strchr (rest, ';'))
    pin (requirements, text, length, NULL);
}

static void
add_requirement (VfRequirements *requirements, const char *text)
{
  g_autofree char *word = g_strndup (text, strcspn (text, " \t;["));
  if (is_location (word))
    add_location (requirements, text);
  else
    add_named (requirements, text);
}

/* The value of the option at @*word, if it is this one, else NULL; @*word moves on to a value that
 * is a word of its own. @short_name may be NULL. */
static const char *
take_value (char ***word, const char *short_name, const char *long_name)
{
  const char *option = **word;
  gsize length = strlen (long_name);
  if (strncmp (option, long_name, length) == 0 && option[length] == '=')
    return option + length + 1;
  if (g_strcmp0 (option, short_name) == 0 || strcmp (option, long_name) == 0)
    return (*word)[1] ? *++*word : NULL;
  return short_name && g_str_has_prefix (option, short_name) ? option + strlen (short_name) : NULL;
}

static gboolean
take_location (VfRequirements *requirements, char ***word, const char *short_name,
               const char *long_name)
{
  const char *value = take_value (word, short_name, long_name);
  if (value)
    g_ptr_array_add (requirements->locations, g_strdup_printf ("%s=%s", long_name, value));
  return value != NULL;
}

static gboolean
add_included (VfRequirements *requirements, const char *value, const char *directory,
              GError **error)
{
  if (strstr (value, "://")) {
    requirements->changeable = TRUE;
    return TRUE;
  }
  g_autofree char *path =
      g_path_is_absolute (value) ? g_strdup (value) : g_build_filename (directory, value, NULL);
  return vf_requirements_add_file (requirements, path, error);
}

/* The options of a line. */
static gboolean
add_options (VfRequirements *requirements, char **words, const char *file, guint number,
             const char *directory, GError **error)
{
  for (char **word = words; *word; word++) {
    const char *value;
    if ((value = take_value (&word, "-r", "--requirement")) ||
        (value = take_value (&word, "-c", "--constraint"))) {
      if (!add_included (requirements, value, directory, error))
        return FALSE;
    } else if ((value = take_value (&word, "-e", "--editable"))) {
      if (!requirements->editable)
        requirements->editable = g_strdup_printf ("%s:%u: -e %s", file, number, value);
      requirements->changeable = TRUE;
    } else if ((value = take_value (&word, "-f", "--find-links"))) {
      add_find_links (requirements, value, directory);
    } else if (!take_location (requirements, &word, "-i", "--index-url") &&
               !take_location (requirements, &word, NULL, "--extra-index-url")) {
      take_location (requirements, &word, NULL, "--trusted-host");
    }
  }
  return TRUE;
}

/* One logical line: comment removed, continuations joined, blanks stripped, not empty. What is
 * quoted wrong is left for pip to refuse. */
static gboolean
add_line (VfRequirements *requirements, const char *text, const char *file, guint number,
          const char *directory, GError **error)
{
  g_autofree char *line = expand_variables (text);
  g_auto (GStrv) words = NULL;
  if (*line != '-')
    add_requirement (requirements, line);
  else if (g_shell_parse_argv (line, NULL, &words, NULL))
    return add_options (requirements, words, file, number, directory, error);
  else
    requirements->changeable = TRUE;
  return TRUE;
}

/* Cuts a comment: '#' at the start or after a blank. */
static void
cut_comment (char *line)
{
  for (char *hash = strchr (line, '#'); hash; hash = strchr (hash + 1, '#'))
    if (hash == line || g_ascii_isspace (hash[-1])) {
      *hash = '\0';
      return;
    }
}

static gboolean
add_lines (VfRequirements *requirements, const char *text, const char *file, GError **error)
{
  g_autofree char *directory = g_path_get_dirname (file);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autoptr (GString) logical = g_string_new (NULL);
  for (guint i = 0; lines[i]; i++) {
    g_strchomp (lines[i]);
    gboolean is_comment = lines[i][strspn (lines[i], " \t")] == '#';
    gsize length = strlen (lines[i]);
    if (length > 0 && lines[i][length - 1] == '\\' && !is_comment) {
      lines[i][length - 1] = ' ';
      g_string_append (logical, lines[i]);
      continue;
    }
    g_string_append (logical, lines[i]);
    cut_comment (logical->str);
    g_strstrip (logical->str);
    if (*logical->str && !add_line (requirements, logical->str, file, i + 1, directory, error))
      return FALSE;
    g_string_truncate (logical, 0);
  }
  g_strstrip (logical->str);
  return !*logical->str ||
         add_line (requirements, logical->str, file, g_strv_length (lines), directory, error);
}

gboolean
vf_requirements_add_file (VfRequirements *requirements, const char *path, GError **error)
{
  struct stat st;
  if (strstr (path, "://")) {
    requirements->changeable = TRUE;
    return TRUE;
  }
  if (stat (path, &st) < 0)
    return vf_error_errno (error, errno, "%s: cannot read these requirements", path);
  if (S_ISDIR (st.st_mode))
    return vf_error_set (error, VF_ERROR_INVALID, "%s: a directory, not a requirements file", path);
  if (!S_ISREG (st.st_mode)) {
    requirements->changeable = TRUE; /* a pipe can be read once: by pip */
    return TRUE;
  }
  if (requirements->depth == MAX_DEPTH)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: more than %d requirements files include one another", path,
                         MAX_DEPTH);
  g_autofree char *resolved = g_canonicalize_filename (path, NULL);
  char *real = realpath (resolved, NULL);
  g_autoptr (GBytes) bytes =
      vf_read_file (AT_FDCWD, real ? real : resolved, MAX_FILE_BYTES, path, error);
  free (real);
  if (!bytes)
    return FALSE;
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  feed (requirements, "file", data, length);
  g_autofree char *text = g_strndup (data, length);
  feed_variables (requirements, text);
  requirements->changeable = requirements->changeable || strlen (text) != length; /* UTF-16 */
  requirements->depth++;
  const char *mark = g_str_has_prefix (text, BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : "";
  gboolean ok = add_lines (requirements, text + strlen (mark), path, error);
  requirements->depth--;
  return ok;
}

void
vf_requirements_add_argument (VfRequirements *requirements, const char *argument)
{
  vf_requirements_add_text (requirements, "argument", argument);
  add_requirement (requirements, argument);
}

void
vf_requirements_add_content (VfRequirements *requirements, const char *path)
{
  g_autofree char *text = NULL;
  gsize length = 0;
  if (g_file_get_contents (path, &text, &length, NULL))
    feed (requirements, path, text, length);
}

void
vf_requirements_key (VfRequirements *requirements, VfDigest *out_key)
{
  vf_hasher_finish (requirements->hasher, out_key);
}

static gboolean
has_pin (const VfRequirements *requirements, const char *name, const char *version)
{
  g_autofree char *one = pin_of (name, version);
  return g_hash_table_contains (requirements->pinned, one);
}

gboolean
vf_requirements_pins (const VfRequirements *requirements, const char *name, const char *version)
{
  g_autofree char *without_local = g_strndup (version, strcspn (version, "+"));
  return has_pin (requirements, name, NULL) || has_pin (requirements, name, version) ||
         has_pin (requirements, name, without_local);
}

gboolean
vf_requirements_changeable (const VfRequirements *requirements)
{
  return requirements->changeable;
}

const char *
vf_requirements_editable (const VfRequirements *requirements)
{
  return requirements->editable;
}

GPtrArray *
vf_requirements_locations (const VfRequirements *requirements)
{
  return requirements->locations;
}
