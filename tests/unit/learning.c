/* fs/learning.c */
#include "fs/learning.h"

#include "tests/unit/store-fixture.h"

static const VfDigest image_id = {"an image id"};

static void
note (VfLearning *learning, guint32 group, guint32 node, guint64 offset, guint64 size)
{
  VfImageNode file = {.index = node, .size = 100000};
  vf_learning_note (learning, group, &file, offset, size);
}

static void
assert_ranges (Fixture *fixture, guint32 group, gsize n, const VfProfileRange *wanted)
{
  g_autoptr (VfProfile) profile = vf_profile_open (fixture->store, &image_id);
  gsize found;
  const VfProfileRange *ranges = vf_profile_group (profile, group, &found);
  g_assert_cmpuint (found, ==, n);
  for (gsize i = 0; i < n; i++)
    g_assert_cmpmem (&ranges[i], sizeof *ranges, &wanted[i], sizeof *wanted);
}

static void
test_written (Fixture *fixture, gconstpointer unused)
{
  VfLearning *learning = vf_learning_new (fixture->store, &image_id);
  note (learning, 7, 20, 4096, 5000);
  note (learning, 7, 10, 0, 1 << 20); /* to its end */
  vf_learning_note_other (learning);
  assert_ranges (fixture, 7, 0, NULL);
  vf_learning_write (learning);
  assert_ranges (fixture, 7, 2, (const VfProfileRange[]){{7, 20, 1, 2}, {7, 10, 0, 25}});
  g_autoptr (VfProfile) profile = vf_learning_profile (learning);
  gsize n;
  g_assert_nonnull (vf_profile_group (profile, 7, &n));
  g_assert_cmpuint (n, ==, 2);

  /* More is added; what was not written is dropped. */
  note (learning, 7, 5, 0, 1);
  vf_learning_write (learning);
  note (learning, 7, 6, 0, 1);
  vf_learning_free (learning);
  assert_ranges (fixture, 7, 3,
                 (const VfProfileRange[]){{7, 20, 1, 2}, {7, 10, 0, 25}, {7, 5, 0, 1}});
}

/* As many other files as modules: somebody reads all there is. What came after it counts anew. */
static void
test_no_import (Fixture *fixture, gconstpointer unused)
{
  VfLearning *learning = vf_learning_new (fixture->store, &image_id);
  note (learning, 7, 20, 0, 1);
  vf_learning_note_other (learning);
  vf_learning_write (learning);
  assert_ranges (fixture, 7, 0, NULL);
  note (learning, 7, 21, 0, 1);
  vf_learning_write (learning);
  assert_ranges (fixture, 7, 1, (const VfProfileRange[]){{7, 21, 0, 1}});
  vf_learning_free (learning);
}

/* Each once, and a few. */
static void
test_probes (Fixture *fixture, gconstpointer unused)
{
  VfLearning *learning = vf_learning_new (fixture->store, &image_id);
  g_assert_null (vf_learning_probe (learning, 0));
  vf_learning_note_probe (learning, "__init__.abi3.so");
  vf_learning_note_probe (learning, "__init__.so");
  vf_learning_note_probe (learning, "__init__.abi3.so");
  const char *first = vf_learning_probe (learning, 0);
  g_assert_null (vf_learning_probe (learning, 2));
  for (int i = 0; i < 10; i++) {
    g_autofree char *name = g_strdup_printf ("__init__.%d", i);
    vf_learning_note_probe (learning, name);
  }
  g_assert_cmpstr (first, ==, "__init__.abi3.so");
  g_assert_cmpstr (vf_learning_probe (learning, 1), ==, "__init__.so");
  g_assert_cmpstr (vf_learning_probe (learning, 3), ==, "__init__.1");
  g_assert_null (vf_learning_probe (learning, 4));
  vf_learning_free (learning);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/learning/written", test_written);
  FIXTURE_TEST ("/learning/no import", test_no_import);
  FIXTURE_TEST ("/learning/probes", test_probes);
  return g_test_run ();
}
