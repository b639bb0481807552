#include "environment-fixture.h"

static VfEnvironment *
reopen (Fixture *fixture, const char *name)
{
  g_autoptr (GError) error = NULL;
  VfEnvironment *environment = vf_environment_open (fixture->store, name, &error);
  g_assert_no_error (error);
  return environment;
}

static void
open_and_expect (Fixture *fixture, const char *name, VfErrorCode code)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_environment_open (fixture->store, name, &error));
  g_assert_error (error, VF_ERROR, (int)code);
}

static void
test_names (void)
{
  const char *const good[] = {"a", "proj", "_x", "3d", "a.b-c_d", "A"};
  const char *const bad[] = {"", ".", "..", ".a", "-a", "a/b", "a b", "ä", "a\n", "a:b"};
  g_autofree char *longest = g_strnfill (128, 'a'), *too_long = g_strnfill (129, 'a');
  for (gsize i = 0; i < G_N_ELEMENTS (good); i++)
    g_assert_true (vf_environment_check_name (good[i], NULL));
  g_assert_true (vf_environment_check_name (longest, NULL));
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_false (vf_environment_check_name (bad[i], &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  }
  g_assert_false (vf_environment_check_name (too_long, NULL));
}

static void
test_open (Fixture *fixture, gconstpointer user_data)
{
  open_and_expect (fixture, "proj", VF_ERROR_NOT_FOUND);
  open_and_expect (fixture, "../objects", VF_ERROR_INVALID);
  vf_environment_free (new_environment (fixture, "proj"));
  g_autoptr (VfEnvironment) environment = reopen (fixture, "proj");
  g_assert_cmpstr (vf_environment_name (environment), ==, "proj");
  g_assert_cmpstr (vf_environment_prompt (environment), ==, "proj");
  g_autofree char *path = vf_store_path_of (fixture->store, "envs/proj");
  g_assert_cmpstr (vf_environment_path (environment), ==, path);
  g_assert_null (vf_environment_mount_point (environment));
  g_assert_false (vf_environment_mount_record (environment)->wanted);
  g_assert_cmpuint (vf_environment_current (environment)->installed->len, ==, 2);
  struct stat by_fd, by_path = store_stat (fixture, "envs/proj");
  g_assert_cmpint (fstat (vf_environment_fd (environment), &by_fd), ==, 0);
  g_assert_cmpuint (by_fd.st_ino, ==, by_path.st_ino);
}

static void
test_list (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  const char *const names[] = {"b", "a", "c"};
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    vf_environment_free (new_environment (fixture, names[i]));
  store_write (fixture, "envs/.stray", "");
  g_auto (GStrv) found = vf_environment_list (fixture->store, &error);
  g_assert_no_error (error);
  const char *const sorted[] = {"a", "b", "c", NULL};
  g_assert_cmpstrv (found, sorted);
}

static void
test_mount_record (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  const char *const points[] = {"/home/me/p/.venv", "/tmp/\xff odd/.venv", "/tmp/Möbius/.venv"};
  vf_environment_free (new_environment (fixture, "proj"));
  for (gsize i = 0; i < G_N_ELEMENTS (points); i++) {
    g_autoptr (VfEnvironment) environment = reopen (fixture, "proj");
    vf_environment_set_mount_record (environment, points[i], i + 1, i % 2 == 0, &error);
    g_assert_no_error (error);
    g_autoptr (VfEnvironment) again = reopen (fixture, "proj");
    g_assert_cmpstr (vf_environment_mount_point (again), ==, points[i]);
    const VfMountRecord *record = vf_environment_mount_record (again);
    g_assert_true (record->wanted == (i % 2 == 0) && record->device == i + 1);
  }
}

static void
test_lock (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfEnvironment) one = new_environment (fixture, "proj");
  g_autoptr (VfEnvironment) two = reopen (fixture, "proj");
  VF_AUTOFD lock_fd = vf_environment_lock (one, &error);
  g_assert_no_error (error);
  g_assert_cmpint (vf_environment_lock (two, &error), ==, -1);
  g_assert_error (error, VF_ERROR, VF_ERROR_BUSY);
  g_clear_error (&error);
  vf_environment_delete (one, NULL, &error);
  g_assert_no_error (error);
  vf_fd_clear (&lock_fd);
  g_assert_cmpint (vf_environment_lock (two, &error), ==, -1);
  g_assert_error (error, VF_ERROR, VF_ERROR_NOT_FOUND);
}

static void
test_damage (Fixture *fixture, gconstpointer user_data)
{
  vf_environment_free (new_environment (fixture, "proj"));
  g_autofree char *generation = store_text (fixture, "envs/proj/generations/1.ini");
  g_autofree char *env = store_text (fixture, "envs/proj/env.ini");
  const char *const damaged[] = {
      "",
      "garbage",
      "[environment]\nprompt=p\n",
      "[environment]\nprompt=p\ngeneration=0\n",
      "[environment]\nprompt=p\ngeneration=2\n",
      "[environment]\nprompt=p\\x\ngeneration=1\n",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (damaged); i++) {
    store_write (fixture, "envs/proj/env.ini", damaged[i]);
    open_and_expect (fixture, "proj", VF_ERROR_DAMAGED);
  }
  store_write (fixture, "envs/proj/env.ini", env);
  vf_environment_free (reopen (fixture, "proj"));
  int fd = vf_store_fd (fixture->store);
  g_assert_cmpint (unlinkat (fd, "envs/proj/generations/1.ini", 0), ==, 0);
  open_and_expect (fixture, "proj", VF_ERROR_DAMAGED);
  g_assert_cmpint (mkdirat (fd, "envs/proj/generations/1.ini", 0700), ==, 0);
  open_and_expect (fixture, "proj", VF_ERROR_DAMAGED);
}

static void
test_generations (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfEnvironment) environment = new_environment (fixture, "proj");
  g_autoptr (VfGeneration) tenth = new_generation ();
  tenth->number = 10;
  g_autofree char *text = vf_generation_serialize (tenth, NULL);
  store_write (fixture, "envs/proj/generations/10.ini", text);
  g_autoptr (GPtrArray) all = vf_environment_load_generations (environment, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (all->len, ==, 2);
  g_assert_cmpuint (((VfGeneration *)all->pdata[0])->number, ==, 1);
  g_assert_cmpuint (((VfGeneration *)all->pdata[1])->number, ==, 10);

  const char *const strays[] = {"x", "2.txt", "0.ini", "02x.ini", ".ini", "3.ini"};
  for (gsize i = 0; i < G_N_ELEMENTS (strays); i++) {
    g_autofree char *path = g_strconcat ("envs/proj/generations/", strays[i], NULL);
    store_write (fixture, path, text);
    g_assert_null (vf_environment_load_generations (environment, &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
    g_assert_nonnull (strstr (error->message, strays[i]));
    g_clear_error (&error);
    g_assert_cmpint (unlinkat (vf_store_fd (fixture->store), path, 0), ==, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/environment/names", test_names);
  FIXTURE_TEST ("/environment/open", test_open);
  FIXTURE_TEST ("/environment/list", test_list);
  FIXTURE_TEST ("/environment/mount-point", test_mount_record);
  FIXTURE_TEST ("/environment/lock", test_lock);
  FIXTURE_TEST ("/environment/damage", test_damage);
  FIXTURE_TEST ("/environment/generations", test_generations);
  return g_test_run ();
}
