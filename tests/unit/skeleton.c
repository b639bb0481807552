#include "tests/unit/merge-fixture.h"

/* An environment without packages. */
static VfImage *
build_empty (Fixture *fixture, VfInterpreter *interpreter, gboolean system_site_packages)
{
  g_autoptr (GPtrArray) installed = new_installed ();
  const VfMergeInput input = {.interpreter = interpreter,
                              .installed = installed,
                              .system_site_packages = system_site_packages};
  return build (fixture, &input, NULL);
}

static void
test_tree (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (VfImage) image = build_empty (fixture, &interpreter, FALSE);
  static const struct {
    const char *path;
    guint32 mode;
    VfNodeType type;
  } expected[] = {
      {"", 0755, VF_NODE_DIRECTORY},
      {".gitignore", 0644, VF_NODE_FILE},
      {"CACHEDIR.TAG", 0644, VF_NODE_FILE},
      {"pyvenv.cfg", 0644, VF_NODE_VIEW},
      {"lib64", 0777, VF_NODE_SYMLINK},
      {"lib", 0755, VF_NODE_DIRECTORY},
      {"lib/python3.13", 0755, VF_NODE_DIRECTORY},
      {"lib/python3.13/site-packages", 0755, VF_NODE_DIRECTORY},
      {"include", 0755, VF_NODE_DIRECTORY},
      {"include/python3.13", 0755, VF_NODE_DIRECTORY},
      {"bin", 0755, VF_NODE_DIRECTORY},
      {"bin/python", 0777, VF_NODE_SYMLINK},
      {"bin/python3", 0777, VF_NODE_SYMLINK},
      {"bin/python3.13", 0777, VF_NODE_SYMLINK},
      {"bin/activate", 0644, VF_NODE_VIEW},
      {"bin/activate.csh", 0644, VF_NODE_VIEW},
      {"bin/activate.fish", 0644, VF_NODE_VIEW},
      {"bin/activate.nu", 0644, VF_NODE_VIEW},
      {"bin/activate.xsh", 0644, VF_NODE_VIEW},
      {"bin/Activate.ps1", 0644, VF_NODE_VIEW},
      {"bin/activate_this.py", 0644, VF_NODE_VIEW},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (expected); i++) {
    VfImageNode node;
    g_assert_cmpint (vf_image_lookup_path (image, expected[i].path, &node), ==, 0);
    g_assert_cmpuint (node.mode, ==, expected[i].mode);
    g_assert_cmpint (node.type, ==, expected[i].type);
  }
  g_assert_cmpuint (vf_image_n_nodes (image), ==, G_N_ELEMENTS (expected));
  assert_text (fixture, image, "bin/python", 0777, "/opt/python/bin/python3.13");
  assert_text (fixture, image, "bin/python3", 0777, "python");
  assert_text (fixture, image, "bin/python3.13", 0777, "python");
  assert_text (fixture, image, ".gitignore", 0644, "*\n");
  g_autofree char *tag = read_path (fixture, image, "CACHEDIR.TAG");
  g_assert_true (g_str_has_prefix (tag, "Signature: 8a477f597d28d172789f06886806bc55\n"));
}

/* Of an older CPython, and of a platform without lib64. */
static void
test_older (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  interpreter.minor = 10;
  interpreter.lib64 = FALSE;
  g_autoptr (VfImage) image = build_empty (fixture, &interpreter, TRUE);
  VfImageNode node;
  g_assert_cmpint (vf_image_lookup_path (image, "include", &node), ==, 0);
  g_assert_cmpuint (node.n_children, ==, 0);
  assert_absent (image, "lib64");
  assert_text (fixture, image, "pyvenv.cfg", 0644,
               "home = /opt/python/bin\n"
               "include-system-site-packages = true\n"
               "version = 3.13.1\n"
               "implementation = CPython\n"
               "version_info = 3.13.1.final.0\n"
               "prompt = 'p'\n");
}

/* From 3.14 on include/ is empty. */
static void
test_newer (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  interpreter.minor = 14;
  g_autoptr (VfImage) image = build_empty (fixture, &interpreter, TRUE);
  VfImageNode node;
  g_assert_cmpint (vf_image_lookup_path (image, "include", &node), ==, 0);
  g_assert_cmpuint (node.n_children, ==, 0);
}

static void
test_cfg (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (VfImage) image = build_empty (fixture, &interpreter, FALSE);
  assert_text (fixture, image, "pyvenv.cfg", 0644,
               "home = /opt/python/bin\n"
               "include-system-site-packages = false\n"
               "version = 3.13.1\n"
               "executable = /opt/python/bin/python3.13\n"
               "command = /opt/python/bin/python3.13 -m venv /m\n"
               "implementation = CPython\n"
               "version_info = 3.13.1.final.0\n"
               "prompt = 'p'\n");
}

static void
test_home_that_cannot_be_said (Fixture *fixture, gconstpointer unused)
{
  static const char *const homes[] = {"/opt/no\xff", "/opt/two\nlines", ""};
  for (gsize i = 0; i < G_N_ELEMENTS (homes); i++) {
    VfInterpreter interpreter = make_interpreter ();
    g_autoptr (GPtrArray) installed = new_installed ();
    g_autoptr (GError) error = NULL;
    VfDigest id;
    interpreter.home = (char *)homes[i];
    const VfMergeInput input = {.interpreter = &interpreter, .installed = installed};
    g_assert_false (vf_merge_build (fixture->store, &input, NULL, &id, &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  }
}

/* Every template names only references that there are, for the most awkward of paths too. */
static void
test_templates_render (Fixture *fixture, gconstpointer unused)
{
  VfInterpreter interpreter = make_interpreter ();
  g_autoptr (VfImage) image = build_empty (fixture, &interpreter, FALSE);
  for (guint32 i = 0; i < vf_image_n_nodes (image); i++) {
    VfImageNode node;
    g_assert_cmpint (vf_image_get (image, i, &node), ==, 0);
    if (node.type != VF_NODE_VIEW)
      continue;
    const VfViewContext context = {.mount_point = "/a b/$(x)'\"\n\xff", .prompt = "it's"};
    g_autoptr (GBytes) bytes = vf_view_render (node.data, node.size, &context);
    g_assert_nonnull (bytes);
    g_assert_null (memchr (g_bytes_get_data (bytes, NULL), 1, g_bytes_get_size (bytes)));
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  FIXTURE_TEST ("/skeleton/tree", test_tree);
  FIXTURE_TEST ("/skeleton/older", test_older);
  FIXTURE_TEST ("/skeleton/newer", test_newer);
  FIXTURE_TEST ("/skeleton/cfg", test_cfg);
  FIXTURE_TEST ("/skeleton/home-that-cannot-be-said", test_home_that_cannot_be_said);
  FIXTURE_TEST ("/skeleton/templates-render", test_templates_render);
  return g_test_run ();
}
