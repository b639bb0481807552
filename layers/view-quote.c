/* One function per dialect. A path or a prompt may hold any byte but NUL; what comes out stands for
 * exactly that text in that language, and runs nothing. */
#include "layers/view.h"

#include <string.h>

/* 'text', where a quote ends the string, stands escaped, and begins it again. Nothing else is
 * special between the quotes, in interactive shells either. */
static void
quote_sh (GString *out, const char *text)
{
  g_string_append_c (out, '\'');
  for (; *text; text++)
    if (*text == '\'')
      g_string_append (out, "'\\''");
    else
      g_string_append_c (out, *text);
  g_string_append_c (out, '\'');
}

/* As sh, but history and line ends work between the quotes too, unless escaped. */
static void
quote_csh (GString *out, const char *text)
{
  g_string_append_c (out, '\'');
  for (; *text; text++)
    if (*text == '\'')
      g_string_append (out, "'\\''");
    else if (*text == '!' || *text == '\n')
      g_string_append_printf (out, "\\%c", *text);
    else
      g_string_append_c (out, *text);
  g_string_append_c (out, '\'');
}

static void
quote_fish (GString *out, const char *text)
{
  g_string_append_c (out, '\'');
  for (; *text; text++)
    if (*text == '\'' || *text == '\\')
      g_string_append_printf (out, "\\%c", *text);
    else
      g_string_append_c (out, *text);
  g_string_append_c (out, '\'');
}

/* Double quotes: the form of Nushell strings that knows escapes and does not interpolate. */
static void
quote_nu (GString *out, const char *text)
{
  g_string_append_c (out, '"');
  for (; *text; text++)
    if (*text == '"' || *text == '\\')
      g_string_append_printf (out, "\\%c", *text);
    else if ((guchar)*text < 0x20 || *text == 0x7f)
      g_string_append_printf (out, "\\u{%x}", (guint)*text);
    else
      g_string_append_c (out, *text);
  g_string_append_c (out, '"');
}

/* A quote is doubled. PowerShell takes U+2018 to U+201B for quotes as well. */
static void
quote_ps1 (GString *out, const char *text)
{
  g_string_append_c (out, '\'');
  while (*text) {
    gboolean typographic =
        strncmp (text, "\xe2\x80", 2) == 0 && (guchar)text[2] >= 0x98 && (guchar)text[2] <= 0x9b;
    gssize length = typographic ? 3 : 1;
    if (typographic || *text == '\'')
      g_string_append_len (out, text, length);
    g_string_append_len (out, text, length);
    text += length;
  }
  g_string_append_c (out, '\'');
}

/* U+2028 and U+2029 end a line for some readers. */
static gboolean
is_printable (gunichar c)
{
  return g_unichar_isprint (c) && c != 0x2028 && c != 0x2029;
}

/* As repr(os.fsdecode(text)): bytes that are no UTF-8 become the surrogates that os.fsencode()
 * turns back, and what cannot be printed is escaped, so that the literal is one line. */
static void
quote_py (GString *out, const char *text)
{
  g_string_append_c (out, '\'');
  while (*text) {
    gunichar c = g_utf8_get_char_validated (text, -1);
    if (c == (gunichar)-1 || c == (gunichar)-2) {
      g_string_append_printf (out, "\\udc%02x", (guchar)*text++);
      continue;
    }
    if (c == '\'' || c == '\\')
      g_string_append_printf (out, "\\%c", (char)c);
    else if (is_printable (c))
      g_string_append_unichar (out, c);
    else
      g_string_append_printf (out, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
    text = g_utf8_next_char (text);
  }
  g_string_append_c (out, '\'');
}

/* A value of pyvenv.cfg, which knows no quoting: one line of valid UTF-8, for people to read. */
static void
quote_cfg (GString *out, const char *text)
{
  while (*text) {
    gunichar c = g_utf8_get_char_validated (text, -1);
    gboolean valid = c != (gunichar)-1 && c != (gunichar)-2;
    g_string_append_unichar (out, valid && is_printable (c) ? c : 0xfffd);
    text = valid ? g_utf8_next_char (text) : text + 1;
  }
}

typedef void (*VfQuote) (GString *out, const char *text);

static const char *const names[] = {"sh", "csh", "fish", "nu", "ps1", "py", "xsh", "cfg", NULL};
/* In the order of the names. xonsh is Python here. */
static const VfQuote quotes[] = {quote_sh,  quote_csh, quote_fish, quote_nu,
                                 quote_ps1, quote_py,  quote_py,   quote_cfg};
G_STATIC_ASSERT (G_N_ELEMENTS (names) == G_N_ELEMENTS (quotes) + 1);

char *
vf_view_quote (const char *dialect, const char *text)
{
  for (gsize i = 0; names[i]; i++)
    if (strcmp (dialect, names[i]) == 0) {
      GString *out = g_string_sized_new (strlen (text) + 16);
      quotes[i](out, text);
      return g_string_free (out, FALSE);
    }
  return NULL;
}
