#include "tools/mountinfo.h"

#include <sys/sysmacros.h>

static const char table_text[] =
    "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
    "30 21 0:25 / /tmp rw,nosuid - tmpfs tmpfs rw,inode64\n"
    "40 21 0:50 / /home/a\\040b/.venv rw,nosuid,nodev shared:7 master:2 - fuse.venvfs proj "
    "rw,user_id=1000,group_id=1000,default_permissions\n"
    "41 21 0:50 / /srv/bind rw,nosuid,nodev - fuse.venvfs proj rw,user_id=1000,group_id=1000\n"
    "42 21 0:50 /lib /srv/part rw,nosuid,nodev - fuse.venvfs proj rw,user_id=1000,group_id=1000\n"
    "43 21 0:51 / /tmp/x rw - fuse.venvfs old rw,user_id=0,group_id=0\n"
    "44 43 0:52 / /tmp/x rw - fuse.venvfs new rw,user_id=0,group_id=0\n"
    "45 44 0:53 / /tmp/x/cache rw - tmpfs none rw\n"
    "garbage\n"
    "46 1 nonsense / /y rw - ext4 z rw\n"
    "47 1 1:1 / /y rw\n";

static void
test_parse (void)
{
  g_autoptr (GPtrArray) table = vf_mountinfo_parse (table_text);
  g_assert_cmpuint (table->len, ==, 8);
  const VfMountEntry *entry = g_ptr_array_index (table, 2);
  g_assert_cmpint (entry->id, ==, 40);
  g_assert_cmpuint (entry->device, ==, makedev (0, 50));
  g_assert_cmpstr (entry->root, ==, "/");
  g_assert_cmpstr (entry->path, ==, "/home/a b/.venv");
  g_assert_cmpstr (entry->type, ==, VF_MOUNT_TYPE);
  g_assert_cmpstr (entry->source, ==, "proj");
  g_assert_cmpuint (entry->owner, ==, 1000);
  entry = g_ptr_array_index (table, 0);
  g_assert_cmpuint (entry->owner, ==, (uid_t)-1);
}

static void
test_at (void)
{
  g_autoptr (GPtrArray) table = vf_mountinfo_parse (table_text);
  g_assert_cmpstr (vf_mountinfo_at (table, "/tmp/x")->source, ==, "new");
  g_assert_null (vf_mountinfo_at (table, "/tmp/x/lib"));
  g_assert_null (vf_mountinfo_at (table, "/tmp/"));
}

static void
test_containing (void)
{
  g_autoptr (GPtrArray) table = vf_mountinfo_parse (table_text);
  g_assert_cmpstr (vf_mountinfo_containing (table, "/tmp/x")->source, ==, "new");
  g_assert_cmpstr (vf_mountinfo_containing (table, "/tmp/x/lib/a")->source, ==, "new");
  g_assert_cmpstr (vf_mountinfo_containing (table, "/home/a b/.venv/bin")->source, ==, "proj");
  g_assert_null (vf_mountinfo_containing (table, "/tmp/xy"));
  g_assert_null (vf_mountinfo_containing (table, "/tmp/x/cache/a"));
  g_assert_null (vf_mountinfo_containing (table, "/etc"));
}

static void
test_of_device (void)
{
  g_autoptr (GPtrArray) table = vf_mountinfo_parse (table_text);
  dev_t device = makedev (0, 50);
  g_assert_cmpstr (vf_mountinfo_of_device (table, device, NULL)->path, ==, "/home/a b/.venv");
  g_assert_cmpstr (vf_mountinfo_of_device (table, device, "/srv/bind")->path, ==, "/srv/bind");
  /* A part of it is not the environment. */
  g_assert_cmpstr (vf_mountinfo_of_device (table, device, "/srv/part")->path, ==,
                   "/home/a b/.venv");
  g_assert_null (vf_mountinfo_of_device (table, makedev (0, 99), NULL));
}

static void
test_path_is_within (void)
{
  g_assert_true (vf_path_is_within ("/a/b", "/a/b"));
  g_assert_true (vf_path_is_within ("/a/b/c", "/a/b"));
  g_assert_true (vf_path_is_within ("/a", "/"));
  g_assert_false (vf_path_is_within ("/a/bc", "/a/b"));
  g_assert_false (vf_path_is_within ("/a", "/a/b"));
}

static void
test_read (void)
{
  g_autoptr (GPtrArray) table = vf_mountinfo_read (NULL);
  g_assert_nonnull (table);
  g_assert_nonnull (vf_mountinfo_at (table, "/"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/mountinfo/parse", test_parse);
  g_test_add_func ("/mountinfo/at", test_at);
  g_test_add_func ("/mountinfo/containing", test_containing);
  g_test_add_func ("/mountinfo/of-device", test_of_device);
  g_test_add_func ("/mountinfo/path-is-within", test_path_is_within);
  g_test_add_func ("/mountinfo/read", test_read);
  return g_test_run ();
}
