/* Walks marshal's format (Python/marshal.c, version 4) without building anything.
 *
 * Two passes, so that nothing changes before all of it was understood: the walk collects where
 * flagged objects, references and short strings stand; then these bytes are written. An object's
 * number is the order in which its flag was met, before what it holds, in writer and reader. */
#include "layers/marshal.h"

#include <string.h>

#define FLAG_REF    0x80
#define MAX_DEPTH   2000 /* marshal's own limit */
#define FIRST_MINOR 8
#define LAST_MINOR  14

typedef struct {
  guint32 offset; /* of the type byte */
  guint32 number; /* among those that are referred to, + 1; 0: nobody refers to it */
} Flagged;

typedef struct {
  guint8 *data;
  gsize length, offset;
  int minor;
  int depth;
  GArray *flagged; /* Flagged */
  GArray *refs;    /* guint32: offsets of the numbers in references */
  GArray *singles; /* guint32: offsets of the type bytes of short strings */
} Walk;

static gboolean walk_object (Walk *walk);

static gboolean
skip (Walk *walk, gsize n)
{
  if (n > walk->length - walk->offset)
    return FALSE;
  walk->offset += n;
  return TRUE;
}

static gboolean
take_u32 (Walk *walk, guint32 *out)
{
  guint32 value;
  if (walk->length - walk->offset < sizeof value)
    return FALSE;
  memcpy (&value, walk->data + walk->offset, sizeof value);
  walk->offset += sizeof value;
  *out = GUINT32_FROM_LE (value);
  return TRUE;
}

static gboolean
take_u8 (Walk *walk, guint32 *out)
{
  if (walk->offset == walk->length)
    return FALSE;
  *out = walk->data[walk->offset++];
  return TRUE;
}

static gboolean
walk_objects (Walk *walk, gsize n)
{
  for (; n > 0; n--)
    if (!walk_object (walk))
      return FALSE;
  return TRUE;
}

/* Numbers of fields before the first object, of objects, and of objects after the line number. */
static gboolean
walk_code (Walk *walk)
{
  gboolean old = walk->minor < 11;
  return skip (walk, old ? 6 * 4 : 5 * 4) && walk_objects (walk, 8) && skip (walk, 4) &&
         walk_objects (walk, old ? 1 : 2);
}

static gboolean
walk_reference (Walk *walk)
{
  guint32 at = (guint32)walk->offset, number;
  if (!take_u32 (walk, &number) || number >= walk->flagged->len)
    return FALSE;
  g_array_index (walk->flagged, Flagged, number).number = 1;
  g_array_append_val (walk->refs, at);
  return TRUE;
}

static gboolean
walk_string (Walk *walk, gsize type_offset, char type)
{
  gboolean is_short = type == 'z' || type == 'Z';
  guint32 n, at = (guint32)type_offset;
  if (!(is_short ? take_u8 (walk, &n) : take_u32 (walk, &n)))
    return FALSE;
  const guint8 *text = walk->data + walk->offset;
  if (!skip (walk, n))
    return FALSE;
  gboolean latin1 = (type == 'u' || type == 't') && n == 2 && (text[0] == 0xc2 || text[0] == 0xc3);
  if ((is_short && n <= 1) || latin1)
    g_array_append_val (walk->singles, at);
  return TRUE;
}

static gboolean
walk_long (Walk *walk)
{
  guint32 raw;
  if (!take_u32 (walk, &raw))
    return FALSE;
  gint64 digits = (gint32)raw;
  return skip (walk, (gsize)ABS (digits) * 2);
}

static gboolean
walk_content (Walk *walk, char type, gsize type_offset)
{
  guint32 n;
  switch (type) {
  case 'N':
  case 'F':
  case 'T':
  case 'S':
  case '.':
    return TRUE;
  case 'i':
    return skip (walk, 4);
  case 'g':
    return skip (walk, 8);
  case 'y':
    return skip (walk, 16);
  case 'l':
    return walk_long (walk);
  case 's':
    return take_u32 (walk, &n) && skip (walk, n);
  case 'z':
  case 'Z':
  case 'a':
  case 'A':
  case 'u':
  case 't':
    return walk_string (walk, type_offset, type);
  case ')':
    return take_u8 (walk, &n) && walk_objects (walk, n);
  case '(':
  case '>':
    return take_u32 (walk, &n) && walk_objects (walk, n);
  case ':':
    return walk_objects (walk, 3);
  case 'c':
    return walk_code (walk);
  case 'r':
    return walk_reference (walk);
  default:
    return FALSE; /* lists, dictionaries and sets do not occur in code */
  }
}

static gboolean
walk_object (Walk *walk)
{
  if (walk->offset == walk->length || walk->depth == MAX_DEPTH)
    return FALSE;
  gsize at = walk->offset++;
  guint8 byte = walk->data[at];
  if (byte & FLAG_REF) {
    Flagged flagged = {(guint32)at, 0};
    g_array_append_val (walk->flagged, flagged);
  }
  walk->depth++;
  gboolean ok = walk_content (walk, (char)(byte & ~FLAG_REF), at);
  walk->depth--;
  return ok;
}

static void
rewrite (Walk *walk)
{
  guint32 next = 1;
  for (guint i = 0; i < walk->flagged->len; i++) {
    Flagged *flagged = &g_array_index (walk->flagged, Flagged, i);
    if (flagged->number)
      flagged->number = next++;
    else
      walk->data[flagged->offset] &= (guint8)~FLAG_REF;
  }
  for (guint i = 0; i < walk->refs->len; i++) {
    guint8 *at = walk->data + g_array_index (walk->refs, guint32, i);
    guint32 number;
    memcpy (&number, at, sizeof number);
    number = GUINT32_FROM_LE (number);
    number = GUINT32_TO_LE (g_array_index (walk->flagged, Flagged, number).number - 1);
    memcpy (at, &number, sizeof number);
  }
  for (guint i = 0; i < walk->singles->len; i++) {
    guint8 *at = walk->data + g_array_index (walk->singles, guint32, i);
    char type = (char)(*at & ~FLAG_REF);
    *at = (guint8)((*at & FLAG_REF) | (type == 'z' || type == 'Z' ? 'Z' : 't'));
  }
}

gboolean
vf_marshal_normalize (guint8 *data, gsize length, int minor)
{
  if (minor < FIRST_MINOR || minor > LAST_MINOR || length > G_MAXINT32)
    return FALSE;
  Walk walk = {data, length, 0, minor, 0, NULL, NULL, NULL};
  walk.flagged = g_array_new (FALSE, FALSE, sizeof (Flagged));
  walk.refs = g_array_new (FALSE, FALSE, sizeof (guint32));
  walk.singles = g_array_new (FALSE, FALSE, sizeof (guint32));
  gboolean ok = walk_object (&walk) && walk.offset == length && (data[0] & ~FLAG_REF) == 'c';
  if (ok)
    rewrite (&walk);
  g_array_unref (walk.flagged);
  g_array_unref (walk.refs);
  g_array_unref (walk.singles);
  return ok;
}
