#include "fs/lister.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/io.h"

#define LIST_BYTES  (1 << 18)
#define LINGER_USEC (2 * G_USEC_PER_SEC)

struct VfLister {
  int parent_fd; /* borrowed; constant as all up to the lock */
  int other_fd;  /* borrowed */
  char *mount_name;
  VfListerFunc func;
  VfListerIdleFunc idle;
  gpointer user_data;
  char *buffer;     /* the thread's */
  gboolean is_safe; /* the thread's: it has descriptors of its own */

  GMutex lock;
  GCond changed;
  GArray *numbers;     /* to be done; [lock] */
  gint64 until;        /* when the thread ends, if nothing comes; [lock] */
  GThread *thread;     /* [lock] */
  gboolean is_running; /* it will look at the numbers once more; [lock] */
  gboolean stop;       /* [lock] */
};

VfLister *
vf_lister_new (int parent_fd, const char *mount_name, int other_fd, VfListerFunc func,
               VfListerIdleFunc idle, gpointer user_data)
{
  VfLister *lister = g_new0 (VfLister, 1);
  lister->parent_fd = parent_fd;
  lister->other_fd = other_fd;
  lister->mount_name = g_strdup (mount_name);
  lister->func = func;
  lister->idle = idle;
  lister->user_data = user_data;
  lister->numbers = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_mutex_init (&lister->lock);
  g_cond_init (&lister->changed);
  return lister;
}

void
vf_lister_free (VfLister *lister)
{
  if (!lister)
    return;
  g_mutex_lock (&lister->lock);
  lister->stop = TRUE;
  g_cond_signal (&lister->changed);
  g_mutex_unlock (&lister->lock);
  if (lister->thread)
    g_thread_join (lister->thread);
  g_cond_clear (&lister->changed);
  g_mutex_clear (&lister->lock);
  g_array_unref (lister->numbers);
  g_free (lister->mount_name);
  g_free (lister);
}

/* None in between is no failure. */
static gboolean
close_between (int first, int last)
{
  return first > last || close_range ((guint)first, (guint)last, 0) == 0;
}

/* From now on this thread has descriptors of its own: the standard ones and the lister's two. */
static gboolean
keep_descriptors (const VfLister *lister)
{
  int low = MIN (lister->parent_fd, lister->other_fd);
  int high = MAX (lister->parent_fd, lister->other_fd);
  return unshare (CLONE_FILES) == 0 && close_between (STDERR_FILENO + 1, low - 1) &&
         close_between (low + 1, high - 1) && close_between (high + 1, G_MAXINT);
}

/* FALSE when nothing has come for a while. */
static gboolean
next_number (VfLister *lister, guint32 *out_number)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lister->lock);
  while (!lister->stop && lister->numbers->len == 0 && g_get_monotonic_time () < lister->until)
    g_cond_wait_until (&lister->changed, &lister->lock, lister->until);
  lister->is_running = !lister->stop && lister->numbers->len > 0;
  if (!lister->is_running)
    return FALSE;
  *out_number = g_array_index (lister->numbers, guint32, 0);
  g_array_remove_index (lister->numbers, 0);
  lister->until = g_get_monotonic_time () + LINGER_USEC;
  return TRUE;
}

static gpointer
lister_run (gpointer user_data)
{
  VfLister *lister = user_data;
  lister->is_safe = keep_descriptors (lister);
  lister->buffer = g_malloc (LIST_BYTES);
  guint32 number;
  while (next_number (lister, &number))
    lister->func (lister, number, lister->user_data);
  g_clear_pointer (&lister->buffer, g_free);
  lister->idle (lister->user_data);
  return NULL;
}

/* A thread that waits looks at the time itself when it has waited enough: nobody has to signal that
 * there is more of it. Holds: lock. */
static void
wake (VfLister *lister)
{
  lister->until = g_get_monotonic_time () + LINGER_USEC;
  if (lister->is_running || lister->stop)
    return;
  if (lister->thread)
    g_thread_join (lister->thread);
  lister->thread = g_thread_try_new ("venvfs-lister", lister_run, lister, NULL);
  lister->is_running = lister->thread != NULL;
  /* Without it nothing is pushed, and all goes on. */
  if (!lister->is_running)
    g_array_set_size (lister->numbers, 0);
}

void
vf_lister_queue (VfLister *lister, guint32 number)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lister->lock);
  g_array_append_val (lister->numbers, number);
  g_cond_signal (&lister->changed);
  wake (lister);
}

gboolean
vf_lister_has_more (VfLister *lister)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lister->lock);
  return lister->stop || lister->numbers->len > 0;
}

void
vf_lister_wake (VfLister *lister)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&lister->lock);
  wake (lister);
}

void
vf_lister_list (VfLister *lister, const char *path)
{
  g_autofree char *below = g_build_filename (lister->mount_name, path, NULL);
  VF_AUTOFD fd = !lister->is_safe ? -1
                                  : openat (lister->parent_fd, below,
                                            O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  while (fd >= 0 && getdents64 (fd, lister->buffer, LIST_BYTES) > 0)
    ;
}

void
vf_lister_look_up (VfLister *lister, const char *path)
{
  g_autofree char *below = g_build_filename (lister->mount_name, path, NULL);
  struct stat st;
  if (lister->is_safe)
    fstatat (lister->parent_fd, below, &st, AT_SYMLINK_NOFOLLOW);
}
