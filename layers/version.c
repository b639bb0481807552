#include "layers/version.h"

#include <string.h>

/* A reader of the lower-case text, '_' replaced by '-'. */
typedef struct {
  const char *at;
  GString *out;
} Reader;

static gboolean
is_separator (char c)
{
  return c == '-' || c == '.';
}

/* Digits at @*at, without leading zeros; "" (and FALSE) if there are none. */
static gboolean
take_number (const char **at, GString *out)
{
  const char *start = *at;
  while (g_ascii_isdigit (**at))
    (*at)++;
  if (*at == start)
    return FALSE;
  while (*start == '0' && start + 1 < *at)
    start++;
  g_string_append_len (out, start, *at - start);
  return TRUE;
}

static void
take_epoch (Reader *reader)
{
  const char *at = reader->at;
  g_autoptr (GString) number = g_string_new (NULL);
  if (!take_number (&at, number) || *at != '!')
    return;
  reader->at = at + 1;
  if (strcmp (number->str, "0") != 0)
    g_string_append_printf (reader->out, "%s!", number->str);
}

/* Trailing zeros mean nothing: 1.0 is 1. */
static gboolean
take_release (Reader *reader)
{
  gsize significant = 0;
  gboolean first = TRUE;
  for (;;) {
    g_autoptr (GString) number = g_string_new (NULL);
    if (!take_number (&reader->at, number))
      return FALSE;
    if (!first)
      g_string_append_c (reader->out, '.');
    g_string_append (reader->out, number->str);
    if (first || strcmp (number->str, "0") != 0)
      significant = reader->out->len;
    first = FALSE;
    if (*reader->at != '.' || !g_ascii_isdigit (reader->at[1]))
      break;
    reader->at++;
  }
  g_string_truncate (reader->out, significant);
  return TRUE;
}

typedef struct {
  const char *spelling; /* a longer one stands before what it begins with */
  const char *normal;
} Spelling;

static const Spelling pre_spellings[] = {
    {"alpha", "a"}, {"beta", "b"}, {"preview", "rc"}, {"pre", "rc"},
    {"rc", "rc"},   {"a", "a"},    {"b", "b"},        {"c", "rc"},
};
static const Spelling post_spellings[] = {{"post", ".post"}, {"rev", ".post"}, {"r", ".post"}};
static const Spelling dev_spellings[] = {{"dev", ".dev"}};

/* [sep] WORD [sep] [number]; moves on only if a word is there. */
static void
take_suffix (Reader *reader, const Spelling *spellings, gsize n)
{
  const char *at = reader->at + is_separator (*reader->at);
  for (gsize i = 0; i < n; i++) {
    if (!g_str_has_prefix (at, spellings[i].spelling))
      continue;
    at += strlen (spellings[i].spelling);
    g_string_append (reader->out, spellings[i].normal);
    if (is_separator (*at) && g_ascii_isdigit (at[1]))
      at++;
    if (!take_number (&at, reader->out))
      g_string_append_c (reader->out, '0');
    reader->at = at;
    return;
  }
}

static void
take_post (Reader *reader)
{
  if (*reader->at == '-' && g_ascii_isdigit (reader->at[1])) {
    reader->at++;
    g_string_append (reader->out, ".post");
    take_number (&reader->at, reader->out);
    return;
  }
  take_suffix (reader, post_spellings, G_N_ELEMENTS (post_spellings));
}

/* +abc.1-2: segments of letters and digits; those of digits alone are numbers. */
static gboolean
take_local (Reader *reader)
{
  if (*reader->at != '+')
    return TRUE;
  g_string_append_c (reader->out, '+');
  do {
    const char *start = ++reader->at;
    gboolean number = TRUE;
    for (; g_ascii_isalnum (*reader->at); reader->at++)
      number = number && g_ascii_isdigit (*reader->at);
    if (reader->at == start)
      return FALSE;
    const char *digits = start;
    if (number)
      take_number (&digits, reader->out);
    else
      g_string_append_len (reader->out, start, reader->at - start);
    if (is_separator (*reader->at))
      g_string_append_c (reader->out, '.');
  } while (is_separator (*reader->at));
  return TRUE;
}

static char *
flatten (const char *version)
{
  g_autofree char *lower = g_ascii_strdown (version, -1);
  return g_strdelimit (g_strdup (g_strstrip (lower)), "_", '-');
}

char *
vf_version_normalize (const char *version)
{
  g_autofree char *text = flatten (version);
  g_autoptr (GString) out = g_string_new (NULL);
  Reader reader = {.at = text + (*text == 'v'), .out = out};
  take_epoch (&reader);
  if (!take_release (&reader))
    return NULL;
  take_suffix (&reader, pre_spellings, G_N_ELEMENTS (pre_spellings));
  take_post (&reader);
  take_suffix (&reader, dev_spellings, G_N_ELEMENTS (dev_spellings));
  if (!take_local (&reader) || *reader.at != '\0')
    return NULL;
  return g_strdup (out->str);
}

gboolean
vf_version_equal (const char *a, const char *b)
{
  g_autofree char *first = vf_version_normalize (a);
  g_autofree char *second = vf_version_normalize (b);
  if (first && second)
    return strcmp (first, second) == 0;
  g_autofree char *first_text = flatten (a);
  g_autofree char *second_text = flatten (b);
  return strcmp (first_text, second_text) == 0;
}
