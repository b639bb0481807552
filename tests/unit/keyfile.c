#include <string.h>

#include "layers/keyfile.h"

#include "layers/error.h"

static void
test_bytes_survive (void)
{
  const char *const values[] = {"",         "/home/me/p",   " lead and trail ", "tab\tnew\nline",
                                "\\",       "\\\\n",        "Möbius 𝜋",         "\xff\xfe raw",
                                "a;b,c=#d", "{\"u\": \"\"}"};
  for (gsize i = 0; i < G_N_ELEMENTS (values); i++) {
    g_autoptr (GKeyFile) file = g_key_file_new ();
    g_autoptr (GError) error = NULL;
    gsize length;
    vf_keyfile_set_bytes (file, "g", "k", values[i]);
    char *text = g_key_file_to_data (file, &length, NULL);
    g_autoptr (GBytes) bytes = g_bytes_new_take (text, length);
    g_autoptr (GKeyFile) again = vf_keyfile_parse (bytes, "f", &error);
    g_assert_no_error (error);
    g_autofree char *value = vf_keyfile_get_bytes (again, "g", "k");
    g_assert_cmpstr (value, ==, values[i]);
  }
}

static void
test_plain_values_read_as_they_are (void)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  vf_keyfile_set_bytes (file, "g", "k", "/home/möbius/\"x\"");
  g_autofree char *text = g_key_file_to_data (file, NULL, NULL);
  g_assert_cmpstr (text, ==, "[g]\nk=/home/möbius/\"x\"\n");
}

static GKeyFile *
parse (const char *text, gsize length, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (text, length);
  return vf_keyfile_parse (bytes, "the file", error);
}

static void
test_damage (void)
{
  g_autoptr (GError) error = NULL;
  g_assert_null (parse ("[g]\nk=\0v\n", 9, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_true (g_str_has_prefix (error->message, "the file: "));
  g_clear_error (&error);
  g_assert_null (parse ("not a key file", 14, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
}

static void
test_typed_values (void)
{
  const char *text = "[g]\nunfinished=a\\\\\nodd=a\\x\nyes=true\nno=false\nmaybe=perhaps\n"
                     "n=42\nnegative=-1\nlong=99999999999999999999\nword=x\nraw=\xff\n";
  g_autoptr (GKeyFile) file = parse (text, strlen (text), NULL);
  gboolean flag;
  gint64 number;
  g_assert_nonnull (file);
  g_assert_null (vf_keyfile_get_bytes (file, "g", "unfinished"));
  g_assert_null (vf_keyfile_get_bytes (file, "g", "odd"));
  g_assert_null (vf_keyfile_get_bytes (file, "g", "raw"));
  g_assert_null (vf_keyfile_get_bytes (file, "g", "none"));
  g_assert_true (vf_keyfile_get_flag (file, "g", "yes", &flag) && flag);
  g_assert_true (vf_keyfile_get_flag (file, "g", "no", &flag) && !flag);
  g_assert_false (vf_keyfile_get_flag (file, "g", "maybe", &flag));
  g_assert_false (vf_keyfile_get_flag (file, "none", "yes", &flag));
  g_assert_true (vf_keyfile_get_number (file, "g", "n", &number) && number == 42);
  const char *const bad[] = {"negative", "long", "word", "none"};
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (vf_keyfile_get_number (file, "g", bad[i], &number));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/keyfile/bytes-survive", test_bytes_survive);
  g_test_add_func ("/keyfile/plain-values-read-as-they-are", test_plain_values_read_as_they_are);
  g_test_add_func ("/keyfile/damage", test_damage);
  g_test_add_func ("/keyfile/typed-values", test_typed_values);
  return g_test_run ();
}
