#include "layers/image-map.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGES 8

static int
make_file (gsize bytes)
{
  int fd = open (g_get_tmp_dir (), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  g_assert_cmpint (fd, >=, 0);
  g_autofree char *data = g_strnfill (bytes, 'x');
  g_assert_cmpint (write (fd, data, bytes), ==, bytes);
  return fd;
}

static void
test_truncated (void)
{
  gsize page = (gsize)getpagesize (), length = PAGES * page;
  int fd = make_file (length), other_fd = make_file (length);
  VfImageMap *map = vf_image_map_new (fd, length);
  VfImageMap *other = vf_image_map_new (other_fd, length);
  const volatile char *data = vf_image_map_data (map);
  const volatile char *other_data = vf_image_map_data (other);

  g_assert_cmpint (data[length - 1], ==, 'x');
  g_assert_false (vf_image_map_bad (map));
  g_assert_cmpint (ftruncate (fd, (goffset)page), ==, 0);
  errno = 77;
  g_assert_cmpint (data[length - 1], ==, 0);
  g_assert_cmpint (errno, ==, 77);
  g_assert_true (vf_image_map_bad (map));
  g_assert_cmpint (data[0], ==, 0);
  g_assert_false (vf_image_map_bad (other));
  g_assert_cmpint (other_data[length - 1], ==, 'x');
  vf_image_map_free (map);
  vf_image_map_free (other);
  close (fd);
  close (other_fd);
}

/* More mappings than a block of the registry has; slots are used again and begin anew. */
static void
test_many (void)
{
  gsize page = (gsize)getpagesize ();
  VfImageMap *maps[200];
  for (int round = 0; round < 3; round++) {
    int bad_fd = make_file (2 * page), good_fd = make_file (2 * page);
    for (gsize i = 0; i < G_N_ELEMENTS (maps); i++)
      maps[i] = vf_image_map_new (i % 3 == 0 ? bad_fd : good_fd, 2 * page);
    g_assert_cmpint (ftruncate (bad_fd, 0), ==, 0);
    for (gsize i = 0; i < G_N_ELEMENTS (maps); i++) {
      const volatile char *data = vf_image_map_data (maps[i]);
      g_assert_false (vf_image_map_bad (maps[i]));
      g_assert_cmpint (data[page], ==, i % 3 == 0 ? 0 : 'x');
      g_assert_cmpint (vf_image_map_bad (maps[i]), ==, i % 3 == 0);
    }
    for (gsize i = 0; i < G_N_ELEMENTS (maps); i++)
      vf_image_map_free (maps[i]);
    close (bad_fd);
    close (good_fd);
  }
}

static gpointer
fault_in_a_loop (gpointer unused)
{
  gsize page = (gsize)getpagesize ();
  for (int i = 0; i < 300; i++) {
    int fd = make_file (2 * page);
    VfImageMap *map = vf_image_map_new (fd, 2 * page);
    const volatile char *data = vf_image_map_data (map);
    g_assert_cmpint (data[page], ==, 'x');
    g_assert_false (vf_image_map_bad (map));
    g_assert_cmpint (ftruncate (fd, 0), ==, 0);
    g_assert_cmpint (data[page], ==, 0);
    g_assert_true (vf_image_map_bad (map));
    vf_image_map_free (map);
    close (fd);
  }
  return NULL;
}

static void
test_threads (void)
{
  GThread *threads[4];
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("fault", fault_in_a_loop, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

/* A fault outside every mapping. */
static void
fault_elsewhere (void)
{
  gsize page = (gsize)getpagesize ();
  int fd = make_file (page);
  const volatile char *data = mmap (NULL, page, PROT_READ, MAP_SHARED, fd, 0);
  g_assert_cmpint (ftruncate (fd, 0), ==, 0);
  g_assert_cmpint (data[0], ==, 'x');
}

static void
test_elsewhere_is_fatal (void)
{
  if (g_test_subprocess ()) {
    const struct rlimit no_core = {0, 0};
    setrlimit (RLIMIT_CORE, &no_core);
    int fd = make_file (1);
    vf_image_map_free (vf_image_map_new (fd, 1));
    fault_elsewhere ();
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_assert_false (g_test_trap_has_passed ());
  g_test_trap_assert_stderr_unmatched ("*assert*");
}

static void
on_former (int number, siginfo_t *info, void *context)
{
  static const char text[] = "the former handler\n";
  if (write (STDOUT_FILENO, text, sizeof text - 1) > 0)
    _exit (3);
}

static void
test_former_handler (void)
{
  if (g_test_subprocess ()) {
    struct sigaction action = {.sa_sigaction = on_former, .sa_flags = SA_SIGINFO};
    sigaction (SIGBUS, &action, NULL);
    int fd = make_file (1);
    vf_image_map_free (vf_image_map_new (fd, 1));
    fault_elsewhere ();
    return;
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_assert_false (g_test_trap_has_passed ());
  g_test_trap_assert_stdout ("*the former handler*");
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/image-map/truncated", test_truncated);
  g_test_add_func ("/image-map/many", test_many);
  g_test_add_func ("/image-map/threads", test_threads);
  g_test_add_func ("/image-map/elsewhere-is-fatal", test_elsewhere_is_fatal);
  g_test_add_func ("/image-map/former-handler", test_former_handler);
  return g_test_run ();
}
