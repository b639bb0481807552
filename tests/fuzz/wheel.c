/* Whole wheels: any bytes are judged without harm, with every rule kept and with all that may be
 * overridden overridden, and what is taken can be written as a package index. */
#include "tests/fuzz/fuzz.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layers/wheel-rules.h"

#define CENTRAL_BYTES 46
#define LOCAL_BYTES   30
#define END_BYTES     22

static const char *
wheel_path (void)
{
  static char *path;
  if (!path) {
    const char *shm = access ("/dev/shm", W_OK) == 0 ? "/dev/shm" : g_get_tmp_dir ();
    g_autofree char *directory = g_build_filename (shm, "fuzz-wheel-XXXXXX", NULL);
    if (!g_mkdtemp (directory))
      abort ();
    path = g_build_filename (directory, "demo-1.0-py3-none-any.whl", NULL);
  }
  return path;
}

static void
remove_wheel (void)
{
  g_autofree char *directory = g_path_get_dirname (wheel_path ());
  unlink (wheel_path ());
  rmdir (directory);
}

static void
judge (const char *const *accept)
{
  VfWheelOptions options = {.accept = accept};
  g_autoptr (GError) error = NULL;
  g_autoptr (VfPackage) package =
      vf_wheel_ingest (NULL, wheel_path (), &options, NULL, NULL, &error);
  if (!package != !!error)
    abort ();
  if (!package)
    return;
  g_autoptr (GBytes) bytes = vf_package_serialize (package);
  g_autoptr (VfPackage) again = vf_package_parse (bytes, "fuzz", NULL);
  if (!again)
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *accept[VF_N_RULES + 1];
  if (!accept[0]) {
    gsize n;
    const VfWheelRule *rules = vf_wheel_rules (&n);
    for (gsize i = 0, k = 0; i < n; i++)
      if (rules[i].acceptable)
        accept[k++] = rules[i].name;
    atexit (remove_wheel);
  }
  if (!g_file_set_contents_full (wheel_path (), (const char *)data, (gssize)size,
                                 G_FILE_SET_CONTENTS_NONE, 0600, NULL))
    abort ();
  judge (NULL);
  judge (accept);
  return 0;
}

static uint32_t
get (const uint8_t *at, unsigned n)
{
  uint32_t value = 0;
  while (n-- > 0)
    value = value << 8 | at[n];
  return value;
}

static void
put (uint8_t *at, uint32_t value)
{
  for (unsigned i = 0; i < 4; i++)
    at[i] = (uint8_t)(value >> 8 * i);
}

/* A mutation seldom leaves a right CRC, without which nothing behind the zip is ever reached: sets
 * those of stored entries in both headers. */
static void
repair (uint8_t *data, size_t size)
{
  if (size < END_BYTES)
    return;
  size_t at = get (data + size - END_BYTES + 16, 4);
  while (at < size && size - at >= CENTRAL_BYTES && get (data + at, 4) == 0x02014b50) {
    size_t local = get (data + at + 42, 4), length = get (data + at + 20, 4);
    if (get (data + at + 10, 2) == 0 && local < size && size - local >= LOCAL_BYTES) {
      size_t start = local + LOCAL_BYTES + get (data + local + 26, 2) + get (data + local + 28, 2);
      if (start < size && length <= size - start) {
        uint32_t crc = libdeflate_crc32 (0, data + start, length);
        put (data + at + 16, crc);
        put (data + local + 14, crc);
      }
    }
    at +=
        CENTRAL_BYTES + get (data + at + 28, 2) + get (data + at + 30, 2) + get (data + at + 32, 2);
  }
}

size_t
LLVMFuzzerCustomMutator (uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
  size = LLVMFuzzerMutate (data, size, max_size);
  if (seed % 8 != 0)
    repair (data, size);
  return size;
}
