/* Integers as zip archives, package indexes and listings have them: little-endian, at any address.
 */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

static inline guint16
vf_get_u16 (const guint8 *at)
{
  guint16 wire;
  memcpy (&wire, at, sizeof wire);
  return GUINT16_FROM_LE (wire);
}

static inline guint32
vf_get_u32 (const guint8 *at)
{
  guint32 wire;
  memcpy (&wire, at, sizeof wire);
  return GUINT32_FROM_LE (wire);
}

static inline guint64
vf_get_u64 (const guint8 *at)
{
  guint64 wire;
  memcpy (&wire, at, sizeof wire);
  return GUINT64_FROM_LE (wire);
}

G_END_DECLS
