#include "fs/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int
open_null (void)
{
  int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  g_assert_cmpint (fd, >=, 0);
  return fd;
}

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

static void
test_finds_by_node_and_kind (void)
{
  VfDescriptors *descriptors = vf_descriptors_new (4);
  VfDescriptor *added =
      vf_descriptors_add (descriptors, 5, VF_DESCRIPTOR_READ, open_null (), 10, 20);
  g_assert_null (vf_descriptors_get (descriptors, 5, VF_DESCRIPTOR_WRITE));
  g_assert_null (vf_descriptors_get (descriptors, 6, VF_DESCRIPTOR_READ));
  g_autoptr (VfDescriptor) found = vf_descriptors_get (descriptors, 5, VF_DESCRIPTOR_READ);
  g_assert_true (found == added);
  g_assert_cmpint (found->offset, ==, 10);
  g_assert_cmpuint (found->length, ==, 20);
  vf_descriptor_unref (added);
  vf_descriptors_free (descriptors);
}

static void
test_the_faster_wins (void)
{
  VfDescriptors *descriptors = vf_descriptors_new (4);
  int second_fd = open_null ();
  g_autoptr (VfDescriptor) first =
      vf_descriptors_add (descriptors, 5, VF_DESCRIPTOR_READ, open_null (), 0, 0);
  g_autoptr (VfDescriptor) second =
      vf_descriptors_add (descriptors, 5, VF_DESCRIPTOR_READ, second_fd, 0, 0);
  g_assert_true (first == second);
  g_assert_false (is_open (second_fd));
  vf_descriptors_free (descriptors);
}

static void
test_is_bounded (void)
{
  VfDescriptors *descriptors = vf_descriptors_new (3);
  int fds[10];
  for (guint64 id = 0; id < 10; id++) {
    fds[id] = open_null ();
    vf_descriptor_unref (vf_descriptors_add (descriptors, id, VF_DESCRIPTOR_READ, fds[id], 0, 0));
    /* Used again and again, the first one stays. */
    vf_descriptor_unref (vf_descriptors_get (descriptors, 0, VF_DESCRIPTOR_READ));
  }
  g_assert_cmpuint (vf_descriptors_n_open (descriptors), ==, 3);
  g_assert_true (is_open (fds[0]));
  g_assert_null (vf_descriptors_get (descriptors, 1, VF_DESCRIPTOR_READ));
  vf_descriptors_free (descriptors);
}

static void
test_dropped_while_held (void)
{
  VfDescriptors *descriptors = vf_descriptors_new (3);
  VfDescriptor *held = vf_descriptors_add (descriptors, 1, VF_DESCRIPTOR_READ, open_null (), 0, 0);
  int fd = held->fd;
  vf_descriptors_drop (descriptors, 1);
  g_assert_null (vf_descriptors_get (descriptors, 1, VF_DESCRIPTOR_READ));
  g_assert_true (is_open (fd));
  vf_descriptor_unref (held);
  g_assert_false (is_open (fd));
  vf_descriptors_free (descriptors);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/descriptors/find", test_finds_by_node_and_kind);
  g_test_add_func ("/descriptors/faster", test_the_faster_wins);
  g_test_add_func ("/descriptors/bound", test_is_bounded);
  g_test_add_func ("/descriptors/held", test_dropped_while_held);
  return g_test_run ();
}
