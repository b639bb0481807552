/* Rendering templates: one pass, references replaced, everything else copied.
 *
 * Quoting is view-quote.c's; the lines that start a script are here. */
#include "layers/view.h"

#include <string.h>

#define OPEN        '\001'
#define CLOSE       '\002'
#define LONGEST     128 /* bytes of a KIND */
#define SHEBANG_MAX 127 /* bytes of a first line that every kernel takes (BINPRM_BUF_SIZE - 1) */

/* The path inside a string in double quotes that both /bin/sh and Python can read: see below. */
static void
append_shared_literal (GString *out, const char *text)
{
  g_string_append_c (out, '"');
  for (; *text; text++)
    switch (*text) {
    case '\\':
    case '"':
      g_string_append_c (out, '\\');
      g_string_append_c (out, *text);
      break;
    case '$':
    case '`':
      g_string_append_printf (out, "\"'%c'\"", *text);
      break;
    case '\'': /* never three in a row */
      g_string_append (out, "'\"\"");
      break;
    default:
      g_string_append_c (out, *text);
    }
  g_string_append_c (out, '"');
}

/* The kernel takes a first line of at most SHEBANG_MAX bytes and splits it at blanks. Where that
 * does not do, /bin/sh reads the second line as the command exec, since the quotes of ''' cancel
 * out; Python reads the second and third lines as one string and drops it. */
static void
append_shebang (GString *out, const char *mount_point, const char *name)
{
  g_autofree char *path = g_strconcat (mount_point, "/bin/", name, NULL);
  if (strlen (path) + strlen ("#!\n") <= SHEBANG_MAX && !strpbrk (path, " \t\n\r")) {
    g_string_append_printf (out, "#!%s\n", path);
    return;
  }
  g_string_append (out, "#!/bin/sh\n'''exec' ");
  append_shared_literal (out, path);
  g_string_append (out, " \"$0\" \"$@\"\n' '''\n");
}

static gboolean
append_quoted (GString *out, const char *dialect, const char *text)
{
  g_autofree char *quoted = vf_view_quote (dialect, text);
  if (!quoted)
    return FALSE;
  g_string_append (out, quoted);
  return TRUE;
}

static gboolean
append_reference (GString *out, const char *kind, const VfViewContext *context)
{
  if (!*kind) {
    g_string_append_c (out, OPEN);
    return TRUE;
  }
  if (g_str_has_prefix (kind, "shebang:")) {
    const char *name = kind + strlen ("shebang:");
    if (!*name || strchr (name, '/'))
      return FALSE;
    append_shebang (out, context->mount_point, name);
    return TRUE;
  }
  if (strcmp (kind, "path") == 0 || strcmp (kind, "prompt") == 0) {
    g_string_append (out, kind[1] == 'a' ? context->mount_point : context->prompt);
    return TRUE;
  }
  if (g_str_has_prefix (kind, "prompt-"))
    return append_quoted (out, kind + strlen ("prompt-"), context->prompt);
  return append_quoted (out, kind, context->mount_point);
}

GBytes *
vf_view_render (const char *template_text, gsize length, const VfViewContext *context)
{
  g_autoptr (GString) out = g_string_sized_new (length + 256);
  const char *next = template_text, *end = template_text + length;
  while (next < end) {
    const char *open = memchr (next, OPEN, (gsize)(end - next));
    g_string_append_len (out, next, (open ? open : end) - next);
    if (!open)
      break;
    const char *close = memchr (open, CLOSE, MIN ((gsize)(end - open), LONGEST));
    if (!close)
      return NULL;
    g_autofree char *kind = g_strndup (open + 1, (gsize)(close - open - 1));
    if (strlen (kind) != (gsize)(close - open - 1) || !append_reference (out, kind, context))
      return NULL;
    next = close + 1;
  }
  return g_string_free_to_bytes (g_steal_pointer (&out));
}

void
vf_view_append_literal (GString *template_text, const char *data, gsize length)
{
  for (gsize i = 0; i < length; i++) {
    g_string_append_c (template_text, data[i]);
    if (data[i] == OPEN)
      g_string_append_c (template_text, CLOSE);
  }
}

void
vf_view_append_reference (GString *template_text, const char *kind)
{
  g_string_append_c (template_text, OPEN);
  g_string_append (template_text, kind);
  g_string_append_c (template_text, CLOSE);
}
