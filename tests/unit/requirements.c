#include "tools/requirements.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

typedef struct {
  char *root;
} Fixture;

static void
setup (Fixture *fixture, gconstpointer data)
{
  fixture->root = g_dir_make_tmp ("requirements-XXXXXX", NULL);
  g_assert_cmpint (chdir (fixture->root), ==, 0);
}

static void
teardown (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (chdir ("/"), ==, 0);
  g_assert_true (vf_remove_tree (AT_FDCWD, fixture->root, fixture->root, NULL));
  g_free (fixture->root);
}

static void
put (const char *name, const char *text)
{
  g_assert_true (g_file_set_contents (name, text, -1, NULL));
}

static VfRequirements *
scan (const char *file)
{
  VfRequirements *requirements = vf_requirements_new ();
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_requirements_add_file (requirements, file, &error));
  g_assert_no_error (error);
  return requirements;
}

static char *
key_of (const char *file)
{
  g_autoptr (VfRequirements) requirements = scan (file);
  VfDigest key;
  char hex[VF_DIGEST_HEX + 1];
  vf_requirements_key (requirements, &key);
  vf_digest_to_hex (&key, hex);
  return g_strdup (hex);
}

static void
test_pins (Fixture *fixture, gconstpointer data)
{
  put ("r.txt", "one==1.0\n"
                "Two_2[extra,more] == 1.0 ; python_version > '3' # why\n"
                "three===1.0\n"
                "four==1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
                "five (==1.0)\n"
                "six @ https://host/six.tar.gz#sha256=aa\n"
                "a>=1\nb==1.*\nc==1,!=1.1\nd\ne ~= 1.0\nf @ https://host/sha256/f.tar.gz\n"
                "# g==1\n"
                "h<2 # ==2\n"
                "i @ https://host/i.tar.gz#sha256=aa ; python_version < '3'\n");
  g_autoptr (VfRequirements) requirements = scan ("r.txt");
  static const char *const pinned[] = {"one", "two-2", "Two.2", "three", "four", "five", "six"};
  static const char *const loose[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
  for (gsize i = 0; i < G_N_ELEMENTS (pinned); i++)
    g_assert_true (vf_requirements_pins (requirements, pinned[i], "1.0"));
  for (gsize i = 0; i < G_N_ELEMENTS (loose); i++)
    g_assert_false (vf_requirements_pins (requirements, loose[i], "1.0"));
  g_assert_true (vf_requirements_changeable (requirements)); /* f's URL */
}

/* Which of several pins holds here, only pip knows. */
static void
test_pins_of_a_version (Fixture *fixture, gconstpointer data)
{
  put ("old-1.0-py3-none-any.whl", "x");
  put ("r.txt", "one==1.0.0 ; python_version < '3'\n"
                "one>=2 ; python_version >= '3'\n"
                "two == 1.0 ; python_version < '3'\n"
                "two==2.0 ; python_version >= '3'\n"
                "./old-1.0-py3-none-any.whl ; python_version < '3'\n");
  g_autoptr (VfRequirements) requirements = scan ("r.txt");
  g_assert_true (vf_requirements_pins (requirements, "one", "1.0"));
  g_assert_true (vf_requirements_pins (requirements, "one", "1.0+local"));
  g_assert_false (vf_requirements_pins (requirements, "one", "2.1"));
  g_assert_true (vf_requirements_pins (requirements, "two", "1.0"));
  g_assert_true (vf_requirements_pins (requirements, "two", "2"));
  g_assert_false (vf_requirements_pins (requirements, "two", "2.0.post1"));
  g_assert_true (vf_requirements_pins (requirements, "old", "1.0"));
  g_assert_false (vf_requirements_pins (requirements, "old", "1.1"));
}

static void
test_includes (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (mkdir ("sub", 0700), ==, 0);
  put ("r.txt", "-r sub/base.txt\none==1\n");
  put ("sub/base.txt", "--constraint=pins.txt\ntwo==2\n");
  put ("sub/pins.txt", "three==3");
  g_autoptr (VfRequirements) requirements = scan ("r.txt");
  g_assert_true (vf_requirements_pins (requirements, "two", "2"));
  g_assert_true (vf_requirements_pins (requirements, "three", "3"));
  g_assert_false (vf_requirements_changeable (requirements));

  g_autofree char *before = key_of ("r.txt");
  g_autofree char *again = key_of ("r.txt");
  put ("sub/pins.txt", "three==4");
  g_autofree char *after = key_of ("r.txt");
  g_assert_cmpstr (before, ==, again);
  put ("marked.txt", "\xef\xbb\xbf-r sub/pins.txt\n");
  g_autoptr (VfRequirements) marked = scan ("marked.txt");
  g_assert_true (vf_requirements_pins (marked, "three", "4"));
  g_assert_cmpstr (before, !=, after);
}

/* Several on a line, and quoted, as in a shell. */
static void
test_options (Fixture *fixture, gconstpointer data)
{
  put ("a.txt", "one==1\n");
  put ("b c.txt", "two==2\n");
  put ("r.txt",
       "-ra.txt --pre -c 'b c.txt'\n"
       "--no-binary :all: -i https://a/ --extra-index-url=https://b/ --trusted-host \"b\"\n"
       "-f 'not closed\n");
  g_autoptr (VfRequirements) requirements = scan ("r.txt");
  g_assert_true (vf_requirements_pins (requirements, "one", "1"));
  g_assert_true (vf_requirements_pins (requirements, "two", "2"));
  GPtrArray *locations = vf_requirements_locations (requirements);
  g_assert_cmpuint (locations->len, ==, 3);
  g_assert_cmpstr (locations->pdata[0], ==, "--index-url=https://a/");
  g_assert_cmpstr (locations->pdata[1], ==, "--extra-index-url=https://b/");
  g_assert_cmpstr (locations->pdata[2], ==, "--trusted-host=b");
}

static void
test_variables (Fixture *fixture, gconstpointer data)
{
  put ("r.txt", "--index-url https://${USER_TOKEN}@host/\none==1\n");
  g_setenv ("USER_TOKEN", "a", TRUE);
  g_autofree char *a = key_of ("r.txt");
  g_setenv ("USER_TOKEN", "b", TRUE);
  g_autofree char *b = key_of ("r.txt");
  g_assert_cmpstr (a, !=, b);
  put ("included.txt", "${USER_TOKEN}==1\n");
  put ("r.txt", "-r in${USER_PART}.txt\n${UNSET_VARIABLE}two==1\n");
  g_setenv ("USER_PART", "cluded", TRUE);
  g_autoptr (VfRequirements) requirements = scan ("r.txt");
  g_assert_true (vf_requirements_pins (requirements, "b", "1"));
  g_assert_false (vf_requirements_pins (requirements, "two", "1"));
}

static void
test_local (Fixture *fixture, gconstpointer data)
{
  put ("one-1.0-py3-none-any.whl", "x");
  put ("r.txt", "./one-1.0-py3-none-any.whl\n");
  g_autoptr (VfRequirements) archive = scan ("r.txt");
  g_assert_true (vf_requirements_pins (archive, "one", "1.0"));
  g_assert_false (vf_requirements_changeable (archive));
  g_autofree char *before = key_of ("r.txt");
  put ("one-1.0-py3-none-any.whl", "yy");
  g_autofree char *after = key_of ("r.txt");
  g_assert_cmpstr (before, !=, after);

  /* pip looks for it here, not beside the file. */
  g_assert_cmpint (mkdir ("sub", 0700), ==, 0);
  put ("sub/r.txt", "./one-1.0-py3-none-any.whl\n");
  put ("sub/one-1.0-py3-none-any.whl", "x");
  g_autofree char *of_here = key_of ("sub/r.txt");
  put ("one-1.0-py3-none-any.whl", "zzz");
  g_autofree char *of_here_after = key_of ("sub/r.txt");
  g_assert_cmpstr (of_here, !=, of_here_after);

  put ("p.txt", "-e .\n./project\n");
  g_autoptr (VfRequirements) project = scan ("p.txt");
  g_assert_true (vf_requirements_changeable (project));
  g_assert_cmpstr (vf_requirements_editable (project), ==, "p.txt:1: -e .");
}

/* What is beside the file goes before what is here. */
static void
test_find_links (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpint (mkdir ("wheels", 0700), ==, 0);
  g_assert_cmpint (mkdir ("sub", 0700), ==, 0);
  put ("sub/r.txt", "-f wheels\none\n");
  g_autofree char *before = key_of ("sub/r.txt");
  put ("wheels/one-2.0-py3-none-any.whl", "x");
  g_autofree char *after = key_of ("sub/r.txt");
  g_assert_cmpstr (before, !=, after);
  g_assert_cmpint (mkdir ("sub/wheels", 0700), ==, 0);
  g_autofree char *beside = key_of ("sub/r.txt");
  put ("wheels/one-2.1-py3-none-any.whl", "x");
  g_autofree char *same = key_of ("sub/r.txt");
  g_assert_cmpstr (beside, ==, same);
  put ("sub/wheels/one-2.1-py3-none-any.whl", "x");
  g_autofree char *other = key_of ("sub/r.txt");
  g_assert_cmpstr (same, !=, other);
}

static void
test_errors (Fixture *fixture, gconstpointer data)
{
  g_autoptr (VfRequirements) requirements = vf_requirements_new ();
  g_autoptr (GError) absent = NULL, endless = NULL, directory = NULL;
  g_assert_false (vf_requirements_add_file (requirements, "absent.txt", &absent));
  g_assert_error (absent, VF_SYSTEM_ERROR, ENOENT);
  put ("loop.txt", "-r loop.txt\n");
  g_assert_false (vf_requirements_add_file (requirements, "loop.txt", &endless));
  g_assert_error (endless, VF_ERROR, VF_ERROR_INVALID);
  g_assert_false (vf_requirements_add_file (requirements, ".", &directory));
  g_assert_error (directory, VF_ERROR, VF_ERROR_INVALID);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  static const struct {
    const char *path;
    void (*function) (Fixture *, gconstpointer);
  } tests[] = {
      {"/requirements/pins", test_pins},
      {"/requirements/pins-of-a-version", test_pins_of_a_version},
      {"/requirements/includes", test_includes},
      {"/requirements/options", test_options},
      {"/requirements/variables", test_variables},
      {"/requirements/local", test_local},
      {"/requirements/find-links", test_find_links},
      {"/requirements/errors", test_errors},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Fixture, NULL, setup, tests[i].function, teardown);
  return g_test_run ();
}
