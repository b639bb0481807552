/* fs/lister.c, with plain directories. */
#include "fs/lister.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "layers/io.h"

typedef struct {
  char *root;
  int parent_fd, other_fd, foreign_fd, between;
  VfLister *lister;
  GMutex lock;
  GCond changed;
  GArray *numbers;
  guint n_idle;
  gboolean has_own, has_foreign;
  pid_t thread;
} World;

static void
work (VfLister *lister, guint32 number, gpointer user_data)
{
  World *world = user_data;
  vf_lister_list (lister, "sub");
  vf_lister_list (lister, "absent");
  vf_lister_look_up (lister, "sub");
  vf_lister_look_up (lister, "absent");
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&world->lock);
  g_array_append_val (world->numbers, number);
  world->thread = gettid ();
  world->has_own = fcntl (world->parent_fd, F_GETFD) >= 0 && fcntl (world->other_fd, F_GETFD) >= 0;
  world->has_foreign = fcntl (world->foreign_fd, F_GETFD) >= 0;
  g_cond_signal (&world->changed);
}

static void
idle (gpointer user_data)
{
  World *world = user_data;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&world->lock);
  world->n_idle++;
  g_cond_signal (&world->changed);
}

static void
wait_for (World *world, guint n_numbers, guint n_idle)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&world->lock);
  while (world->numbers->len < n_numbers || world->n_idle < n_idle)
    g_cond_wait (&world->changed, &world->lock);
  g_assert_cmpuint (world->numbers->len, ==, n_numbers);
}

static void
world_begin (World *world)
{
  *world = (World){.numbers = g_array_new (FALSE, FALSE, sizeof (guint32))};
  world->root = g_dir_make_tmp ("venvfs-lister-XXXXXX", NULL);
  g_autofree char *place = g_build_filename (world->root, "mount", "sub", NULL);
  g_assert_cmpint (g_mkdir_with_parents (place, 0700), ==, 0);
  g_mutex_init (&world->lock);
  g_cond_init (&world->changed);
  world->foreign_fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  world->parent_fd = open (world->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  world->between = dup (world->foreign_fd);
  world->other_fd = open (world->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  world->lister = vf_lister_new (world->parent_fd, "mount", world->other_fd, work, idle, world);
}

/* After its lister. */
static void
world_end (World *world)
{
  close (world->between);
  close (world->other_fd);
  close (world->parent_fd);
  close (world->foreign_fd);
  g_array_unref (world->numbers);
  g_mutex_clear (&world->lock);
  g_cond_clear (&world->changed);
  g_assert_true (vf_remove_tree (AT_FDCWD, world->root, world->root, NULL));
  g_free (world->root);
}

static void
test_lister (void)
{
  World world;
  world_begin (&world);
  for (guint32 i = 7; i > 4; i--)
    vf_lister_queue (world.lister, i);
  wait_for (&world, 3, 0);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (g_array_index (world.numbers, guint32, i), ==, 7 - i);
  g_assert_true (world.has_own);
  g_assert_false (world.has_foreign);
  /* It ends by itself, and comes back. */
  wait_for (&world, 3, 1);
  vf_lister_queue (world.lister, 1);
  wait_for (&world, 4, 1);
  vf_lister_wake (world.lister);
  vf_lister_free (world.lister);
  g_assert_cmpuint (world.n_idle, ==, 2);
  world_end (&world);
}

/* How often a thread has gone to sleep; 0 if it has ended. */
static guint64
count_sleeps (pid_t thread)
{
  static const char label[] = "\nvoluntary_ctxt_switches:";
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%d/status", thread);
  g_autofree char *status = NULL;
  if (!g_file_get_contents (path, &status, NULL, NULL))
    return 0;
  const char *line = strstr (status, label);
  g_assert_nonnull (line);
  return g_ascii_strtoull (line + strlen (label), NULL, 10);
}

/* Each READ of a module gives it more time, and must not cost the reader a change of threads. */
static void
test_more_time_wakes_nobody (void)
{
  World world;
  world_begin (&world);
  vf_lister_queue (world.lister, 1);
  wait_for (&world, 1, 0);
  g_usleep (20000);
  guint64 before = count_sleeps (world.thread);
  for (guint i = 0; i < 100; i++) {
    vf_lister_wake (world.lister);
    g_usleep (1000);
  }
  g_assert_cmpuint (count_sleeps (world.thread), <, before + 10);
  vf_lister_free (world.lister);
  world_end (&world);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lister/all", test_lister);
  g_test_add_func ("/lister/more-time", test_more_time_wakes_nobody);
  return g_test_run ();
}
