#include "tools/report.h"

#include "layers/error.h"

#define HEX "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ENTRY(info, more)                                                                          \
  "{\"version\":\"1\",\"install\":[{\"download_info\":{" info "}," more                            \
  "\"metadata\":{\"name\":\"One\",\"version\":\"1.0\"}}]}"

static VfReportItem *
parse_one (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) items = vf_report_parse (text, -1, "report", &error);
  g_assert_no_error (error);
  g_assert_cmpuint (items->len, ==, 1);
  return g_ptr_array_steal_index (items, 0);
}

static void
test_wheel (void)
{
  VfReportItem *item = parse_one (ENTRY ("\"url\":\"file:///w/a%20b/one-1.0-py3-none-any.whl\","
                                         "\"archive_info\":{\"hashes\":{\"sha256\":\"" HEX "\"}}",
                                         "\"is_direct\":false,\"requested\":true,\"size\":12,"));
  g_autofree char *path = vf_report_local_path (item);
  char hex[VF_DIGEST_HEX + 1];
  g_assert_true (item->is_wheel && item->has_sha256 && item->requested && !item->editable);
  vf_digest_to_hex (&item->sha256, hex);
  g_assert_cmpstr (hex, ==, HEX);
  g_assert_cmpstr (item->hashes[0], ==, "sha256:" HEX);
  g_assert_cmpstr (path, ==, "/w/a b/one-1.0-py3-none-any.whl");
  g_assert_cmpint (item->size, ==, 12);
  g_assert_null (item->build);
  g_assert_null (item->direct_url);
  vf_report_item_free (item);
}

static void
assert_build (const char *text, const char *build)
{
  VfReportItem *item = parse_one (text);
  g_assert_false (item->is_wheel);
  g_assert_cmpstr (item->build, ==, build);
  vf_report_item_free (item);
}

static void
test_builds (void)
{
  assert_build (ENTRY ("\"url\":\"https://h/one-1.0.tar.gz\","
                       "\"archive_info\":{\"hashes\":{\"sha256\":\"" HEX "\"}}",
                       ""),
                "One @ https://h/one-1.0.tar.gz#sha256=" HEX);
  assert_build (ENTRY ("\"url\":\"https://h/one-1.0.zip\",\"archive_info\":{},"
                       "\"subdirectory\":\"sub\"",
                       ""),
                "One @ https://h/one-1.0.zip#subdirectory=sub");
  assert_build (ENTRY ("\"url\":\"https://h/one\",\"vcs_info\":{\"vcs\":\"git\","
                       "\"commit_id\":\"abc\"}",
                       ""),
                "One @ git+https://h/one@abc");
  assert_build (ENTRY ("\"url\":\"file:///home/one\",\"dir_info\":{}", ""), "/home/one");
}

static void
test_direct (void)
{
  VfReportItem *item = parse_one (ENTRY ("\"url\":\"file:///home/one\","
                                         "\"dir_info\":{\"editable\":true}",
                                         "\"is_direct\":true,"));
  g_assert_true (item->editable);
  g_assert_cmpstr (item->direct_url, ==,
                   "{\"url\":\"file:///home/one\",\"dir_info\":{\"editable\":true}}");
  vf_report_item_free (item);
}

static void
test_refused (void)
{
  static const char *const texts[] = {
      "",
      "[]",
      "{\"version\":\"2\",\"install\":[]}",
      "{\"version\":\"1\"}",
      "{\"version\":1,\"install\":[]}",
      "{\"version\":\"1\",\"install\":[1]}",
      "{\"version\":\"1\",\"install\":[{\"metadata\":{\"name\":\"a\",\"version\":\"1\"}}]}",
      "{\"version\":\"1\",\"install\":[{\"download_info\":{\"url\":\"x\"},"
      "\"metadata\":{\"name\":\"a b\",\"version\":\"1\"}}]}",
      ENTRY ("\"url\":\"https://h/one\",\"vcs_info\":{\"vcs\":\"git\"}", ""),
  };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_null (vf_report_parse (texts[i], -1, "report", &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_INVALID);
  }
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/report/wheel", test_wheel);
  g_test_add_func ("/report/builds", test_builds);
  g_test_add_func ("/report/direct", test_direct);
  g_test_add_func ("/report/refused", test_refused);
  return g_test_run ();
}
