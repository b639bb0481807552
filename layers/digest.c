#include "layers/digest.h"

#include <nettle/sha2.h>
#include <nettle/version.h>
#include <string.h>

struct VfHasher {
  struct sha256_ctx context;
};

VfHasher *
vf_hasher_new (void)
{
  VfHasher *hasher = g_new (VfHasher, 1);
  sha256_init (&hasher->context);
  return hasher;
}

void
vf_hasher_free (VfHasher *hasher)
{
  g_free (hasher);
}

void
vf_hasher_update (VfHasher *hasher, const void *data, gsize length)
{
  sha256_update (&hasher->context, length, data);
}

/* Which also begins the next one. */
void
vf_hasher_finish (VfHasher *hasher, VfDigest *out_digest)
{
#if NETTLE_VERSION_MAJOR >= 4
  sha256_digest (&hasher->context, out_digest->bytes);
#else
  sha256_digest (&hasher->context, VF_DIGEST_BYTES, out_digest->bytes);
#endif
}

void
vf_digest_of (const void *data, gsize length, VfDigest *out_digest)
{
  VfHasher hasher;
  sha256_init (&hasher.context);
  vf_hasher_update (&hasher, data, length);
  vf_hasher_finish (&hasher, out_digest);
}

void
vf_digest_to_hex (const VfDigest *digest, char out_hex[VF_DIGEST_HEX + 1])
{
  static const char digits[] = "0123456789abcdef";
  for (gsize i = 0; i < VF_DIGEST_BYTES; i++) {
    out_hex[2 * i] = digits[digest->bytes[i] >> 4];
    out_hex[2 * i + 1] = digits[digest->bytes[i] & 15];
  }
  out_hex[VF_DIGEST_HEX] = '\0';
}

char *
vf_digest_path (const char *prefix, const VfDigest *digest)
{
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (digest, hex);
  return g_strconcat (prefix, hex, NULL);
}

gboolean
vf_digest_from_hex (const char *hex, gsize length, VfDigest *out_digest)
{
  if (length != VF_DIGEST_HEX)
    return FALSE;
  for (gsize i = 0; i < VF_DIGEST_BYTES; i++) {
    int high = g_ascii_xdigit_value (hex[2 * i]);
    int low = g_ascii_xdigit_value (hex[2 * i + 1]);
    if (high < 0 || low < 0)
      return FALSE;
    out_digest->bytes[i] = (guint8)(high << 4 | low);
  }
  return TRUE;
}

/* By hand, since RECORDs of whole environments are written with it while somebody waits. */
void
vf_digest_to_base64 (const VfDigest *digest, char out_text[44])
{
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const guint8 *in = digest->bytes;
  char *out = out_text;
  for (gsize i = 0; i < VF_DIGEST_BYTES; i += 3) {
    guint32 group =
        (guint32)in[i] << 16 | (guint32)in[i + 1] << 8 | (i + 2 < VF_DIGEST_BYTES ? in[i + 2] : 0u);
    *out++ = digits[group >> 18];
    *out++ = digits[group >> 12 & 63];
    *out++ = digits[group >> 6 & 63];
    *out++ = digits[group & 63];
  }
  out_text[43] = '\0'; /* the last group is one byte short, its last digit the padding */
}

static void
swap_characters (char *text, char from62, char from63, char to62, char to63)
{
  for (; *text; text++)
    if (*text == from62)
      *text = to62;
    else if (*text == from63)
      *text = to63;
}

gboolean
vf_digest_from_base64 (const char *text, gsize length, VfDigest *out_digest)
{
  while (length > 0 && text[length - 1] == '=')
    length--;
  if (length != 43)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum (text[i]) && text[i] != '-' && text[i] != '_')
      return FALSE;
  char padded[45];
  memcpy (padded, text, 43);
  padded[43] = '=';
  padded[44] = '\0';
  swap_characters (padded, '-', '_', '+', '/');
  gsize n = 0;
  g_autofree guchar *bytes = g_base64_decode (padded, &n);
  if (n != VF_DIGEST_BYTES)
    return FALSE;
  memcpy (out_digest->bytes, bytes, VF_DIGEST_BYTES);
  return TRUE;
}

guint
vf_digest_hash (gconstpointer digest)
{
  guint value;
  memcpy (&value, ((const VfDigest *)digest)->bytes, sizeof value);
  return value;
}

gboolean
vf_digest_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, VF_DIGEST_BYTES) == 0;
}
