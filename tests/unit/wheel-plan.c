/* layers/wheel-plan.c: places by name, on entries without a zip. */
#include "layers/wheel-private.h"

#include <string.h>

#include "layers/error.h"

typedef struct {
  VfWheel wheel;
  VfZipEntry *entries;
  GError *error;
} Plan;

/* @names: NULL-terminated. An entry is a file of content "", or a directory. */
static gboolean
plan (Plan *p, const char *const *names)
{
  gsize n = g_strv_length ((char **)names);
  *p = (Plan){.wheel = {.rules = {.what = "w"}, .n_items = n}};
  p->entries = g_new0 (VfZipEntry, n);
  p->wheel.items = g_new0 (VfWheelItem, n);
  p->wheel.by_name = g_hash_table_new (g_str_hash, g_str_equal);
  for (gsize i = 0; i < n; i++) {
    p->entries[i].name = names[i];
    p->entries[i].name_length = (guint32)strlen (names[i]);
    p->entries[i].type = g_str_has_suffix (names[i], "/") ? VF_ZIP_DIRECTORY : VF_ZIP_FILE;
    p->wheel.items[i].entry = &p->entries[i];
  }
  if (!vf_wheel_find_dist_info (&p->wheel, &p->error))
    return FALSE;
  p->wheel.package = vf_package_new ("d", "1", p->wheel.dist_info);
  vf_package_add_entry_point (p->wheel.package, FALSE, "tool", "m", "f");
  return vf_wheel_plan (&p->wheel, &p->error);
}

static void
clear (Plan *p)
{
  g_free (p->entries);
  g_free (p->wheel.items);
  g_free (p->wheel.dist_info);
  g_hash_table_unref (p->wheel.by_name);
  g_clear_pointer (&p->wheel.package, vf_package_free);
  g_clear_error (&p->error);
}

static void
test_places (void)
{
  static const struct {
    const char *name;
    int scheme; /* -1: not installed */
    const char *path;
  } cases[] = {
      {"d/m.py", VF_SCHEME_PLATLIB, "d/m.py"},
      {"top.py", VF_SCHEME_PLATLIB, "top.py"},
      {"d/x.data/y", VF_SCHEME_PLATLIB, "d/x.data/y"},
      {"some.data", VF_SCHEME_PLATLIB, "some.data"},
      {"d-1.dist-info/METADATA", VF_SCHEME_PLATLIB, "d-1.dist-info/METADATA"},
      {"d-1.dist-info/RECORD", -1, NULL},
      {"d-1.dist-info/sub/RECORD", VF_SCHEME_PLATLIB, "d-1.dist-info/sub/RECORD"},
      {"d-1.data/purelib/d-1.dist-info/RECORD", -1, NULL},
      {"d-1.data/data/d-1.dist-info/RECORD", VF_SCHEME_DATA, "d-1.dist-info/RECORD"},
      {"d-1.data/", -1, NULL},
      {"d-1.data/purelib/", -1, NULL},
      {"d-1.data/purelib/p.py", VF_SCHEME_PURELIB, "p.py"},
      {"d-1.data/headers/a/b.h", VF_SCHEME_HEADERS, "a/b.h"},
      {"d-1.data/scripts/other", VF_SCHEME_SCRIPTS, "other"},
      {"d-1.data/scripts/tool", -1, NULL},
      {"d-1.data/scripts/tool.EXE", -1, NULL},
      {"d-1.data/scripts/tool-script.py", -1, NULL},
      {"d-1.data/scripts/tool2", VF_SCHEME_SCRIPTS, "tool2"},
      {"d-1.data/data/etc/x", VF_SCHEME_DATA, "etc/x"},
      {"d/__pycache__/m.pyc", -1, NULL},
      {"__pycache__/m.pyc", -1, NULL},
      {"d/x__pycache__/m.pyc", VF_SCHEME_PLATLIB, "d/x__pycache__/m.pyc"},
      {"d/__pycache__", VF_SCHEME_PLATLIB, "d/__pycache__"},
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    const char *names[] = {"d-1.dist-info/WHEEL", cases[i].name, NULL};
    Plan p;
    g_assert_true (plan (&p, names));
    const VfWheelItem *item = &p.wheel.items[1];
    g_assert_cmpint (item->installed ? (int)item->scheme : -1, ==, cases[i].scheme);
    if (item->installed)
      g_assert_cmpstr (item->path, ==, cases[i].path);
    clear (&p);
  }
}

static void
test_broken (void)
{
  static const char *const cases[][3] = {
      {"path-traversal", "../x", NULL},
      {"path-traversal", "d//x/", NULL},
      {"path-conflict", "d", "d/x"},
      {"path-conflict", "d/e", "d/e/f/g"},
      {"path-conflict", "d/e", "d-1.data/purelib/d/e/f"},
      {"path-conflict", "d-1.dist-info/INSTALLER/x", NULL},
      {"path-conflict", "d-1.data/purelib/d-1.dist-info/RECORD/x", NULL},
      {"dist-info", "e-1.dist-info/RECORD", NULL},
      {"dist-info", "e-1.dist-info", NULL},
      {"dist-info", "d-1.data/platlib/e-1.dist-info/RECORD/x", NULL},
      {"data-directory", "D-1.data/purelib/x", NULL},
      {"data-key", "d-1.data/x/y", NULL},
      {"data-key", "d-1.data/purelib", NULL},
      {"script-file", "d-1.data/scripts/a/b", NULL},
      {"reserved-name", "d-1.data/scripts/python3", NULL},
      {"reserved-name", "d-1.data/data/bin/PyPy3.exe", NULL},
      {"reserved-name", "d-1.data/data/pyvenv.cfg", NULL},
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    const char *names[] = {"d-1.dist-info/WHEEL", cases[i][1], cases[i][2], NULL};
    Plan p;
    g_assert_false (plan (&p, names));
    g_assert_error (p.error, VF_ERROR, VF_ERROR_RULE);
    g_autofree char *prefix = g_strconcat ("w: rule ", cases[i][0], ": ", NULL);
    g_assert_true (g_str_has_prefix (p.error->message, prefix));
    clear (&p);
  }
}

static void
test_no_dist_info (void)
{
  static const char *const names[] = {"d/m.py", "d-1.dist-info", NULL};
  Plan p;
  g_assert_false (plan (&p, names));
  g_assert_true (g_str_has_prefix (p.error->message, "w: rule dist-info: "));
  clear (&p);
}

static void
test_same_place (void)
{
  static const char *const names[] = {"d-1.dist-info/WHEEL", "d/m.py", "d/m.py",
                                      "d-1.data/purelib/d/m.py", NULL};
  Plan p;
  g_assert_true (plan (&p, names));
  g_assert_true (p.wheel.items[1].installed);
  g_assert_false (p.wheel.items[2].installed);
  g_assert_cmpuint (p.wheel.items[2].twin, ==, 2);
  g_assert_false (p.wheel.items[3].installed);
  g_assert_cmpuint (p.wheel.items[3].twin, ==, 2);
  clear (&p);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wheel-plan/places", test_places);
  g_test_add_func ("/wheel-plan/broken", test_broken);
  g_test_add_func ("/wheel-plan/no-dist-info", test_no_dist_info);
  g_test_add_func ("/wheel-plan/same-place", test_same_place);
  return g_test_run ();
}
