/* tools/mount-options.c */
#include "tools/mount-options.h"

#include "layers/error.h"

static void
parse (VfMountOptions *options, const char *text)
{
  g_autoptr (GError) error = NULL;
  vf_mount_options_parse (options, text, FALSE, &error);
  g_assert_no_error (error);
}

static void
test_flags (void)
{
  g_auto (VfMountOptions) options = {0};
  parse (&options, "rw");
  g_assert_false (options.flags.read_only || options.flags.suid || options.flags.dev);
  parse (&options, "ro,noexec,noatime,nosymfollow,suid,dev,allow_other,remount");
  g_assert_true (options.flags.read_only && options.flags.noexec && options.flags.noatime);
  g_assert_true (options.flags.suid && options.flags.dev && options.flags.nosymfollow);
  g_assert_true (options.allow_other && options.remount);
  parse (&options, "rw,exec,atime,symfollow,nosuid,nodev");
  g_assert_false (options.flags.read_only || options.flags.noexec || options.flags.noatime);
  g_assert_false (options.flags.suid || options.flags.dev || options.flags.nosymfollow);
}

static void
test_what_others_use (void)
{
  g_auto (VfMountOptions) options = {0};
  parse (&options, "defaults,noauto,nofail,user,user=me,_netdev,relatime,default_permissions");
  parse (&options, "x-systemd.requires=/srv,x-systemd.automount,X-mount.mkdir,comment=a b,");
  parse (&options, "rw,user_id=0,group_id=0,max_read=131072,blksize=4096");
  g_assert_null (options.lower);
}

static void
test_directories (void)
{
  g_auto (VfMountOptions) options = {0};
  parse (&options, "lowerdir=/a:/b\\:c:/d\\,e,upperdir=/up\\,per,rw,workdir=/w,store=/s");
  g_assert_cmpuint (g_strv_length (options.lower), ==, 3);
  g_assert_cmpstr (options.lower[0], ==, "/a");
  g_assert_cmpstr (options.lower[1], ==, "/b:c");
  g_assert_cmpstr (options.lower[2], ==, "/d,e");
  g_assert_cmpstr (options.upper, ==, "/up,per");
  g_assert_cmpstr (options.work, ==, "/w");
  g_assert_cmpstr (options.store, ==, "/s");
}

static void
test_unknown (void)
{
  static const char *const unknown[] = {"sync", "upperdir", "volatile", "rw=1", "xino=on"};
  for (gsize i = 0; i < G_N_ELEMENTS (unknown); i++) {
    g_auto (VfMountOptions) options = {0};
    g_autoptr (GError) error = NULL;
    g_assert_true (vf_mount_options_parse (&options, unknown[i], TRUE, NULL));
    g_assert_false (vf_mount_options_parse (&options, unknown[i], FALSE, &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_USAGE);
    g_assert_true (g_str_has_prefix (error->message, unknown[i]));
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mount-options/flags", test_flags);
  g_test_add_func ("/mount-options/others", test_what_others_use);
  g_test_add_func ("/mount-options/directories", test_directories);
  g_test_add_func ("/mount-options/unknown", test_unknown);
  return g_test_run ();
}
