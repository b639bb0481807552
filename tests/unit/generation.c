#include "environment-fixture.h"

#define NUMPY_URL "{\"url\": \"file:///tmp/a b.whl\",\n \"dir_info\": {}}\n"

static VfGeneration *
parse (const char *text, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  return vf_generation_parse (bytes, "g.ini", error);
}

static void
test_round_trip (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfGeneration) generation = new_generation ();
  add_package (generation, "numpy", TRUE, NUMPY_URL);
  add_package (generation, "six", FALSE, NULL);
  g_free (generation->python);
  generation->python = g_strdup ("/opt/\xff/python");
  g_autofree char *text = vf_generation_serialize (generation, NULL);
  g_autoptr (VfGeneration) again = parse (text, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (again->number, ==, 1);
  g_assert_cmpstr (again->python, ==, "/opt/\xff/python");
  g_assert_cmpstr (again->python_version, ==, "3.13.0");
  g_assert_cmpstr (again->cache_tag, ==, "cpython-313");
  g_assert_true (again->compile);
  g_assert_false (again->system_site_packages);
  g_assert_true (vf_digest_equal (&again->image, &generation->image));
  g_assert_cmpint (again->created, ==, 1700000000);
  g_assert_cmpuint (again->installed->len, ==, 2);
  const VfInstalled *numpy = again->installed->pdata[0], *six = again->installed->pdata[1];
  g_assert_true (numpy->requested);
  g_assert_cmpstr (numpy->direct_url, ==, NUMPY_URL);
  g_assert_false (six->requested);
  g_assert_null (six->direct_url);
  g_autofree char *same = vf_generation_serialize (again, NULL);
  g_assert_cmpstr (same, ==, text);
}

static void
test_every_truncation_is_damage_or_whole (void)
{
  g_autoptr (VfGeneration) generation = new_generation ();
  g_autofree char *text = vf_generation_serialize (generation, NULL);
  gsize length = strlen (text);
  for (gsize n = 0; n + 5 < length; n++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *part = g_strndup (text, n);
    /* "created=17" would be a number too: the last line alone cannot tell. */
    g_autoptr (VfGeneration) parsed = parse (part, &error);
    if (n < length - strlen ("1700000000\n"))
      g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  }
}

static void
assert_damaged (const char *text, const char *from, const char *to, const char *named_key)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) parts = g_strsplit (text, from, 2);
  g_assert_cmpuint (g_strv_length (parts), ==, 2);
  g_autofree char *changed = g_strconcat (parts[0], to, parts[1], NULL);
  g_assert_null (parse (changed, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_true (g_str_has_prefix (error->message, "g.ini: "));
  g_assert_nonnull (strstr (error->message, named_key));
}

static void
test_damage (void)
{
  g_autoptr (VfGeneration) generation = new_generation ();
  add_package (generation, "numpy", TRUE, "{}");
  g_autofree char *text = vf_generation_serialize (generation, NULL);
  assert_damaged (text, "number=1", "number=0", "number");
  assert_damaged (text, "number=1", "number=99999999999", "number");
  assert_damaged (text, "image=", "image=x", "image");
  assert_damaged (text, "compile=true", "compile=maybe", "compile");
  assert_damaged (text, "system-site-packages=false\n", "", "system-site-packages");
  assert_damaged (text, "created=1", "created=-1", "created");
  assert_damaged (text, "python=", "python=\\x", "python");
  assert_damaged (text, "cache-tag=", "cache=", "cache-tag");
  assert_damaged (text, "=requested", "=wanted", "packages");
  assert_damaged (text, "[packages]\n", "[packages]\n0=requested\n", "packages");
  assert_damaged (text, "={}", "=\\x", "packages");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/generation/round-trip", test_round_trip);
  g_test_add_func ("/generation/every-truncation-is-damage-or-whole",
                   test_every_truncation_is_damage_or_whole);
  g_test_add_func ("/generation/damage", test_damage);
  return g_test_run ();
}
