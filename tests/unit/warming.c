#include "fs/warming.h"

#include <sys/uio.h>

#include "store-fixture.h"

#define N 40

static gboolean
is_there (Fixture *fixture, const VfDigest *digest)
{
  VfExtent content;
  char byte;
  struct iovec vector = {.iov_base = &byte, .iov_len = 1};
  g_assert_cmpint (vf_object_open (fixture->store, digest, &content), ==, 0);
  ssize_t n = preadv2 (content.fd, &vector, 1, content.offset, RWF_NOWAIT);
  close (content.fd);
  return n == 1;
}

/* A file system in memory keeps it all the same. */
static void
drop (Fixture *fixture, const VfDigest *digest)
{
  VfExtent content;
  g_assert_cmpint (vf_object_open (fixture->store, digest, &content), ==, 0);
  g_assert_cmpint (posix_fadvise (content.fd, 0, 0, POSIX_FADV_DONTNEED), ==, 0);
  close (content.fd);
}

static void
test_all_but_what_is_not_there (Fixture *fixture, gconstpointer user_data)
{
  VfDigest digests[N];
  GArray *pieces = g_array_new (FALSE, FALSE, sizeof (VfWarmingPiece));
  VfWarmingPiece absent = {.length = 1};
  for (guint i = 0; i < N; i++) {
    g_autofree char *text = g_strdup_printf ("content %u", i);
    digests[i] = add_object (fixture, text);
    drop (fixture, &digests[i]);
    VfWarmingPiece piece = i == N / 2 ? absent : (VfWarmingPiece){digests[i], 0, 4096};
    g_array_append_val (pieces, piece);
  }
  vf_warming_begin (fixture->store, pieces);
  for (guint i = 0; i < N; i++)
    while (i != N / 2 && !is_there (fixture, &digests[i]))
      g_usleep (1000);
  /* And again, when there is nothing to do. */
  GArray *few = g_array_new (FALSE, FALSE, sizeof (VfWarmingPiece));
  g_array_append_val (few, absent);
  g_array_append_val (few, absent);
  vf_warming_begin (fixture->store, few);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/warming/all", test_all_but_what_is_not_there);
  return g_test_run ();
}
