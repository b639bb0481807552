#include "tools/pip-explain.h"

#include <errno.h>
#include <string.h>

#include "layers/error.h"

#define OFFLINE_TEXT "no package index can be reached"
#define MAX_VERSIONS 8

static gboolean
is_offline (const char *text)
{
  static const char *const signs[] = {
      "NewConnectionError",
      "Failed to establish a new connection",
      "Max retries exceeded",
      "Temporary failure in name resolution",
      "Name or service not known",
      "ConnectTimeoutError",
      "Network is unreachable",
      "NameResolutionError",
      "ProxyError",
      "Connection refused",
      "Read timed out",
      "Connection broken",
      "Connection reset by peer",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (signs); i++)
    if (strstr (text, signs[i]))
      return TRUE;
  return FALSE;
}

gboolean
vf_pip_error_is_offline (const GError *error)
{
  return error && strstr (error->message, OFFLINE_TEXT);
}

/* What stands between @before and @after on the first line that has both; NULL if none does. */
static char *
between (const char *text, const char *before, const char *after)
{
  for (const char *start = strstr (text, before); start; start = strstr (start + 1, before)) {
    const char *from = start + strlen (before);
    g_autofree char *line = g_strndup (from, strcspn (from, "\n"));
    char *end = *after ? strstr (line, after) : line + strlen (line);
    if (end)
      return g_strstrip (g_strndup (line, (gsize)(end - line)));
  }
  return NULL;
}

/* "1.0, 1.1, … 2.0" cut down to the newest few. */
static char *
newest_versions (const char *versions)
{
  g_auto (GStrv) all = g_strsplit (versions, ", ", -1);
  gsize n = g_strv_length (all);
  if (n <= MAX_VERSIONS)
    return g_strdup (versions);
  g_autofree char *newest = g_strjoinv (", ", all + n - MAX_VERSIONS);
  return g_strdup_printf ("…, %s", newest);
}

static gboolean
explain_not_found (const char *text, const char *python, GError **error)
{
  g_autofree char *wanted = between (
      text, "Could not find a version that satisfies the requirement ", " (from versions: ");
  g_autofree char *named = between (text, "No matching distribution found for ", "");
  g_autofree char *versions = between (text, "(from versions: ", ")");
  const char *what = wanted ? wanted : named;
  g_autofree char *shown = g_strndup (what, strcspn (what, "("));
  g_strchomp (shown);
  if (is_offline (text))
    return vf_error_set (error, VF_ERROR_FAILED,
                         "%s: " OFFLINE_TEXT
                         "; check the network and proxy, or use --no-index --find-links DIR",
                         shown);
  if (versions && strcmp (versions, "none") != 0) {
    g_autofree char *newest = newest_versions (versions);
    return vf_error_set (error, VF_ERROR_NOT_FOUND,
                         "%s: no such version for %s on this machine; there are %s", shown, python,
                         newest);
  }
  if (strstr (text, "Requires-Python"))
    return vf_error_set (error, VF_ERROR_NOT_FOUND,
                         "%s: all versions need another Python than %s; choose one with --python",
                         shown, python);
  return vf_error_set (error, VF_ERROR_NOT_FOUND,
                       "%s: nothing of this name for %s on the index; check the spelling, or give "
                       "its index with --index-url or --find-links",
                       shown, python);
}

static gboolean
explain_hash (const char *text, GError **error)
{
  const char *list = strstr (text, "DO NOT MATCH THE HASHES");
  g_autofree char *wanted = between (list, "Expected sha256 ", "");
  g_autofree char *got = between (list, "Got ", "");
  g_autofree char *what = between (list, "\n    ", " from ");
  return vf_error_set (error, VF_ERROR_INVALID,
                       "%s: wrong hash: sha256 %s was expected, the file has %s; the file or the "
                       "requirement has been changed",
                       what ? what : "a package", wanted ? wanted : "?", got ? got : "?");
}

static gboolean
explain_conflict (const char *text, GError **error)
{
  g_autofree char *what =
      between (text, "ERROR: Cannot install ", " because these package versions");
  g_autofree char *cause = NULL;
  const char *list = strstr (text, "The conflict is caused by:\n");
  if (list) {
    const char *start = strchr (list, '\n') + 1;
    const char *end = strstr (start, "\n\n");
    cause = end ? g_strndup (start, (gsize)(end - start)) : g_strdup (start);
    g_auto (GStrv) lines = g_strsplit (g_strstrip (cause), "\n", -1);
    for (gsize i = 0; lines[i]; i++)
      g_strstrip (lines[i]);
    g_free (cause);
    cause = g_strjoinv (", ", lines);
  }
  return vf_error_set (error, VF_ERROR_INVALID, "%s: cannot be installed together%s%s; loosen one",
                       what ? what : "the requirements", cause ? ": " : "", cause ? cause : "");
}

/* The last line that begins with @before, without it. */
static char *
last_after (const char *text, const char *before)
{
  g_autofree char *found = NULL;
  for (const char *line = text; line && *line;) {
    const char *content = line + strspn (line, " ");
    if (g_str_has_prefix (content, before)) {
      g_free (found);
      found = g_strndup (content + strlen (before), strcspn (content + strlen (before), "\n"));
    }
    line = strchr (line, '\n');
    line = line ? line + 1 : NULL;
  }
  return g_steal_pointer (&found);
}

/* What the failed program said last: the line before "[end of output]", or git's "fatal: …". */
static char *
build_complaint (const char *text)
{
  const char *end = strstr (text, "[end of output]");
  if (!end)
    return last_after (text, "fatal: ");
  g_autofree char *output = g_strchomp (g_strndup (text, (gsize)(end - text)));
  const char *line = strrchr (output, '\n');
  return line ? g_strstrip (g_strdup (line)) : NULL;
}

static gboolean
explain_build (const char *text, GError **error)
{
  g_autofree char *processing = last_after (text, "Processing ");
  g_autofree char *collecting = last_after (text, "Collecting ");
  g_autofree char *failed = between (text, "Failed building wheel for ", "");
  g_autofree char *complaint = build_complaint (text);
  char *what = failed ? failed : processing ? processing : collecting;
  if (what)
    what[strcspn (what, " ")] = '\0';
  return vf_error_set (
      error, VF_ERROR_FAILED,
      "%s: cannot be built from source here%s%s; install what it needs, or keep to "
      "wheels with --only-binary :all:",
      what ? what : "a package", complaint ? ": " : "", complaint ? complaint : "");
}

static gboolean
explain_missing_hash (const char *text, GError **error)
{
  const char *list = strstr (text, "Hashes are required in --require-hashes mode");
  g_autofree char *line = between (strchr (list, '\n') ?: list, "    ", " --hash=");
  return vf_error_set (
      error, VF_ERROR_INVALID,
      "%s: has no hash, while other requirements have one; add it to the file (pip "
      "hash, uv pip compile --generate-hashes)",
      line ? line : "a requirement");
}

/* What pip says in one line, in ours. FALSE with @error unset: none of these. */
static gboolean
explain_simple (const char *text, const char *python, GError **error)
{
  g_autofree char *unsupported =
      between (text, "ERROR: ", " is not a supported wheel on this platform");
  g_autofree char *wheel = between (text, "' located at ", " is invalid");
  g_autofree char *older = between (text, "ERROR: Package '", "' requires a different Python");
  g_autofree char *wanted = between (text, " not in '", "'");
  g_autofree char *malformed = between (text, "Invalid requirement: '", "'");
  g_autofree char *line = between (text, "^ (", ")");
  if (unsupported)
    vf_error_set (error, VF_ERROR_INVALID,
                  "%s: not for %s on this machine: its tag is not among those that this "
                  "interpreter supports",
                  unsupported, python);
  else if (wheel)
    vf_error_set (error, VF_ERROR_INVALID, "%s: not a valid wheel; fetch or build it again", wheel);
  else if (older && wanted)
    vf_error_set (error, VF_ERROR_INVALID, "%s: needs Python %s, this is %s; choose with --python",
                  older, wanted, python);
  else if (malformed && strstr (text, "' does not exist"))
    vf_error_errno (error, ENOENT, "%s", malformed);
  else if (malformed)
    vf_error_set (error, VF_ERROR_INVALID, "%s: not a requirement%s%s", malformed, line ? ", " : "",
                  line ? line : "");
  return unsupported || wheel || (older && wanted) || malformed;
}

/* The first line that says ERROR:, else the last one of all (of a traceback, before which pip says
 * "ERROR: Exception:", the exception). */
static gboolean
explain_other (const char *text, GError **error)
{
  g_autofree char *line = between (text, "ERROR: ", "");
  if (!line || !*line || strcmp (line, "Exception:") == 0) {
    g_autofree char *copy = g_strchomp (g_strdup (text));
    const char *last = strrchr (copy, '\n');
    g_free (line);
    line = g_strdup (last ? last + 1 : copy);
  }
  if (is_offline (text))
    return vf_error_set (error, VF_ERROR_FAILED,
                         OFFLINE_TEXT "; check the network and proxy, or use --no-index "
                                      "--find-links DIR (pip: %s)",
                         line);
  return vf_error_set (error, VF_ERROR_INVALID, "pip: %s", *line ? line : "it failed");
}

gboolean
vf_pip_explain (const char *text, const char *python, GError **error)
{
  if (strstr (text, "No space left on device"))
    return vf_error_errno (error, ENOSPC, "pip: cannot write its files; make room in the store");
  if (strstr (text, "no such option: --report"))
    return vf_error_set (error, VF_ERROR_FAILED,
                         "pip: the one that %s carries is too old to resolve, and no newer one "
                         "can be fetched; try again where an index can be reached",
                         python);
  if (strstr (text, "DO NOT MATCH THE HASHES"))
    return explain_hash (text, error);
  if (strstr (text, "Failed building wheel") || strstr (text, "metadata-generation-failed") ||
      strstr (text, "subprocess-exited-with-error"))
    return explain_build (text, error);
  if (strstr (text, "No matching distribution found for "))
    return explain_not_found (text, python, error);
  if (strstr (text, "ResolutionImpossible") || strstr (text, "conflicting dependencies"))
    return explain_conflict (text, error);
  if (strstr (text, "Hashes are required in --require-hashes mode"))
    return explain_missing_hash (text, error);
  if (explain_simple (text, python, error))
    return FALSE;
  return explain_other (text, error);
}
