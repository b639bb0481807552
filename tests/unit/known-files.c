/* layers/known-files.c */
#include "tests/unit/store-fixture.h"

#include "layers/known-files.h"

static struct stat
old_file (void)
{
  return (struct stat){
      .st_dev = 1, .st_ino = 2, .st_size = 3, .st_mtim = {4, 5}, .st_ctim = {6, 7}};
}

static void
save (Fixture *fixture, VfKnownFiles *known)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, &error);
  g_assert_true (vf_known_files_save (known, &error));
  g_assert_no_error (error);
}

static void
test_remembers (Fixture *fixture, gconstpointer data)
{
  struct stat st = old_file (), now = old_file ();
  VfDigest one, found;
  vf_digest_of ("one", 3, &one);
  now.st_ctim.tv_sec = time (NULL);
  g_autoptr (VfKnownFiles) first = vf_known_files_load (fixture->store, "/root");
  g_assert_false (vf_known_files_find (first, "a/b", &st, &found));
  vf_known_files_add (first, "a/b", &st, &one);
  vf_known_files_add (first, "young", &now, &one);
  save (fixture, first);

  g_autoptr (VfKnownFiles) second = vf_known_files_load (fixture->store, "/root");
  g_assert_true (vf_known_files_find (second, "a/b", &st, &found));
  g_assert_true (vf_digest_equal (&found, &one));
  g_assert_false (vf_known_files_find (second, "young", &now, &found));
  g_assert_false (vf_known_files_find (second, "a", &st, &found));
  struct stat changed[5] = {st, st, st, st, st};
  changed[0].st_dev = changed[1].st_ino = 9;
  changed[2].st_size = 9;
  changed[3].st_mtim.tv_nsec = changed[4].st_ctim.tv_nsec = 9;
  for (gsize i = 0; i < G_N_ELEMENTS (changed); i++)
    g_assert_false (vf_known_files_find (second, "a/b", &changed[i], &found));
  /* What is not added again is forgotten; another root is another list. */
  save (fixture, second);
  g_autoptr (VfKnownFiles) third = vf_known_files_load (fixture->store, "/root");
  g_assert_false (vf_known_files_find (third, "a/b", &st, &found));
}

static void
test_damage (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  struct stat st = old_file ();
  VfDigest digest;
  VfDigest root;
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_of ("/root", 5, &root);
  vf_digest_to_hex (&root, hex);
  g_autofree char *path = g_build_filename (fixture->path, "cache", NULL);
  g_autofree char *file = g_strdup_printf ("%s/tree-%s", path, hex);
  for (gsize length = 0; length < 64; length += 7) {
    g_autofree char *junk = g_malloc (length + 1);
    memset (junk, 0xa5, length);
    g_assert_true (g_file_set_contents (file, junk, (gssize)length, &error));
    g_autoptr (VfKnownFiles) known = vf_known_files_load (fixture->store, "/root");
    g_assert_false (vf_known_files_find (known, "", &st, &digest));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/known-files/remembers", test_remembers);
  FIXTURE_TEST ("/known-files/damage", test_damage);
  return g_test_run ();
}
