/* Tells the thread sanitizer what GLib's locks, counters and tasks order. GLib is not built with
 * the sanitizer and makes its mutexes of futexes, so without this every variable behind a GMutex
 * would look unguarded. Linked into each program of a build with -Db_sanitize=thread, and no other.
 * Such a program also wants G_SLICE=always-malloc: GLib hands freed memory from one thread to
 * another by itself. */
#include <dlfcn.h>
#include <gio/gio.h>

#include <sanitizer/tsan_interface.h>

const char *__tsan_default_options (void);
const char *__tsan_default_suppressions (void);

const char *
__tsan_default_options (void)
{
  /* What GLib and GIO do by themselves. */
  return "ignore_noninstrumented_modules=1";
}

const char *
__tsan_default_suppressions (void)
{
  /* G_DEFINE_QUARK: whoever comes first or at the same time stores the same number. */
  return "race:^vf_error_quark$\n";
}

/* The function of this name in GLib. */
static gpointer
real (const char *name, gpointer *found)
{
  if (g_atomic_pointer_get (found) == NULL)
    g_atomic_pointer_set (found, dlsym (RTLD_NEXT, name));
  return g_atomic_pointer_get (found);
}

#define REAL(name, ...)                                                                            \
  ({                                                                                               \
    static gpointer found;                                                                         \
    __typeof__ (&name) function = real (#name, &found);                                            \
    function (__VA_ARGS__);                                                                        \
  })

void
g_mutex_lock (GMutex *mutex)
{
  REAL (g_mutex_lock, mutex);
  __tsan_acquire (mutex);
}

gboolean
g_mutex_trylock (GMutex *mutex)
{
  gboolean locked = REAL (g_mutex_trylock, mutex);
  if (locked)
    __tsan_acquire (mutex);
  return locked;
}

void
g_mutex_unlock (GMutex *mutex)
{
  __tsan_release (mutex);
  REAL (g_mutex_unlock, mutex);
}

void
g_cond_wait (GCond *cond, GMutex *mutex)
{
  __tsan_release (mutex);
  REAL (g_cond_wait, cond, mutex);
  __tsan_acquire (mutex);
}

gboolean
g_cond_wait_until (GCond *cond, GMutex *mutex, gint64 end_time)
{
  __tsan_release (mutex);
  gboolean signalled = REAL (g_cond_wait_until, cond, mutex, end_time);
  __tsan_acquire (mutex);
  return signalled;
}

void (g_atomic_ref_count_inc) (gatomicrefcount *count)
{
  g_atomic_int_inc (count);
}

gboolean (g_atomic_ref_count_dec) (gatomicrefcount *count)
{
  return g_atomic_int_dec_and_test (count);
}

#define TASK_FUNC "tsan-task-func"

static void
run_task (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  __tsan_acquire (task);
  GTaskThreadFunc func = g_object_get_data (G_OBJECT (task), TASK_FUNC);
  func (task, source, data, cancellable);
}

void
g_task_run_in_thread (GTask *task, GTaskThreadFunc func)
{
  g_object_set_data (G_OBJECT (task), TASK_FUNC, func);
  __tsan_release (task);
  REAL (g_task_run_in_thread, task, run_task);
}
