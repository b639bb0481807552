/* Walks marshal's format (Python/marshal.c, version 4) without building anything.
 *
 * Normalizing takes two passes, so that nothing changes before all of it was understood: the walk
 * collects where flagged objects, references and short strings stand; then these bytes are written.
 * An object's number is the order in which its flag was met, before what it holds, in writer and
 * reader. */
#include "layers/marshal.h"

#include <string.h>

#define FLAG_REF    0x80
#define MAX_DEPTH   2000 /* marshal's own limit */
#define FIRST_MINOR 8
#define LAST_MINOR  15

typedef struct {
  guint32 offset; /* of the type byte */
  guint32 number; /* among those that are referred to, + 1; 0: nobody refers to it */
} Flagged;

typedef struct {
  guint8 *data;
  gsize length, offset;
  int minor;
  int depth;
  gsize instructions; /* offsets of these objects of the outermost code */
  gsize names;
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

/* Numbers; eight objects, of which the first three are instructions, constants and names; the first
 * line's number; one object more, or two. */
static gboolean
walk_code (Walk *walk)
{
  gboolean old = walk->minor < 11, is_outermost = walk->depth == 1;
  if (!skip (walk, old ? 6 * 4 : 5 * 4))
    return FALSE;
  if (is_outermost)
    walk->instructions = walk->offset;
  if (!walk_objects (walk, 2)) /* instructions and constants */
    return FALSE;
  if (is_outermost)
    walk->names = walk->offset;
  return walk_objects (walk, 6) && skip (walk, 4) && walk_objects (walk, old ? 1 : 2);
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

static gboolean
walk_all (Walk *walk, const guint8 *data, gsize length, int minor)
{
  *walk = (Walk){.data = (guint8 *)data, .length = length, .minor = minor};
  walk->flagged = g_array_new (FALSE, FALSE, sizeof (Flagged));
  walk->refs = g_array_new (FALSE, FALSE, sizeof (guint32));
  walk->singles = g_array_new (FALSE, FALSE, sizeof (guint32));
  return minor >= FIRST_MINOR && minor <= LAST_MINOR && length > 0 && length <= G_MAXINT32 &&
         walk_object (walk) && walk->offset == length && (data[0] & ~FLAG_REF) == 'c';
}

static void
walk_clear (Walk *walk)
{
  g_array_unref (walk->flagged);
  g_array_unref (walk->refs);
  g_array_unref (walk->singles);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Walk, walk_clear)

gboolean
vf_marshal_normalize (guint8 *data, gsize length, int minor)
{
  g_auto (Walk) walk = {0};
  if (!walk_all (&walk, data, length, minor))
    return FALSE;
  rewrite (&walk);
  return TRUE;
}

/* ---- What a code object names. All has been walked: what stands at an object's offset is whole.
 */

/* The type of the object at @at, or of that which it refers to, whose offset is left there; NUL if
 * that refers to another one. @out_end: behind a reference, else not set. */
static char
follow (const Walk *walk, gsize *at, gsize *out_end)
{
  char type = (char)(walk->data[*at] & ~FLAG_REF);
  guint32 number;
  if (type != 'r')
    return type;
  memcpy (&number, walk->data + *at + 1, sizeof number);
  *out_end = *at + 1 + sizeof number;
  *at = g_array_index (walk->flagged, Flagged, GUINT32_FROM_LE (number)).offset;
  type = (char)(walk->data[*at] & ~FLAG_REF);
  return type == 'r' ? '\0' : type;
}

/* The number of bytes or objects of the object at @at; where they begin. */
static gsize
read_size (const Walk *walk, gsize at, gboolean is_short, gsize *out_start)
{
  guint32 n;
  *out_start = at + 1 + (is_short ? 1 : sizeof n);
  if (is_short)
    return walk->data[at + 1];
  memcpy (&n, walk->data + at + 1, sizeof n);
  return GUINT32_FROM_LE (n);
}

/* FALSE if there is no string. */
static gboolean
read_name (const Walk *walk, gsize at, gsize *out_end, VfMarshalName *out_name)
{
  gsize start, behind = 0;
  char type = follow (walk, &at, &behind);
  if (type == '\0' || !strchr ("zZaAut", type))
    return FALSE;
  out_name->length = read_size (walk, at, type == 'z' || type == 'Z', &start);
  out_name->text = (const char *)walk->data + start;
  *out_end = behind ? behind : start + out_name->length;
  return TRUE;
}

static gboolean
read_names (const Walk *walk, GArray *names)
{
  gsize at = walk->names, behind;
  char type = follow (walk, &at, &behind);
  if (type != ')' && type != '(')
    return FALSE;
  for (gsize n = read_size (walk, at, type == ')', &at); n > 0; n--) {
    VfMarshalName name;
    if (!read_name (walk, at, &at, &name))
      return FALSE;
    g_array_append_val (names, name);
  }
  return TRUE;
}

gboolean
vf_marshal_read_code (const guint8 *data, gsize length, int minor, VfMarshalCode *out_code)
{
  g_auto (Walk) walk = {0};
  gsize start;
  if (!walk_all (&walk, data, length, minor) || (data[walk.instructions] & ~FLAG_REF) != 's')
    return FALSE;
  *out_code = (VfMarshalCode){.names = g_array_new (FALSE, FALSE, sizeof (VfMarshalName))};
  out_code->n_bytes = read_size (&walk, walk.instructions, FALSE, &start);
  out_code->instructions = data + start;
  if (read_names (&walk, out_code->names))
    return TRUE;
  vf_marshal_code_clear (out_code);
  return FALSE;
}

void
vf_marshal_code_clear (VfMarshalCode *code)
{
  g_clear_pointer (&code->names, g_array_unref);
}
