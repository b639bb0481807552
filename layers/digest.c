#include "layers/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

struct VfHasher {
  EVP_MD_CTX *context;
  EVP_MD *algorithm; /* fetched once: EVP_sha256() would look it up for every hash */
};

VfHasher *
vf_hasher_new (void)
{
  /* Else the first hash of a process reads openssl.cnf, in which there is nothing for us. */
  OPENSSL_init_crypto (OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
  VfHasher *hasher = g_new0 (VfHasher, 1);
  hasher->context = EVP_MD_CTX_new ();
  hasher->algorithm = EVP_MD_fetch (NULL, "SHA256", NULL);
  EVP_DigestInit_ex2 (hasher->context, hasher->algorithm, NULL);
  return hasher;
}

void
vf_hasher_free (VfHasher *hasher)
{
  EVP_MD_CTX_free (hasher->context);
  EVP_MD_free (hasher->algorithm);
  g_free (hasher);
}

void
vf_hasher_update (VfHasher *hasher, const void *data, gsize length)
{
  EVP_DigestUpdate (hasher->context, data, length);
}

void
vf_hasher_finish (VfHasher *hasher, VfDigest *out_digest)
{
  EVP_DigestFinal_ex (hasher->context, out_digest->bytes, NULL);
  EVP_DigestInit_ex2 (hasher->context, NULL, NULL);
}

void
vf_digest_of (const void *data, gsize length, VfDigest *out_digest)
{
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  vf_hasher_update (hasher, data, length);
  vf_hasher_finish (hasher, out_digest);
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
