/* One epoll set per worker, each holding every source with EPOLLEXCLUSIVE.
 *
 * Why not one set that all share: level-triggered, the kernel wakes a second waiter for each event,
 * which then finds nothing to read (on two cores that costs the process inside the mount); edge-
 * triggered, two requests that arrive together wake one worker only, and the second waits for the
 * first, however long that takes. With EPOLLEXCLUSIVE each request wakes exactly one worker that
 * sleeps, the first one first, whose caches are warm; if none sleeps, whichever is done next finds
 * it.
 *
 * Lock: pool->lock guards the tables of sources and workers. It is never held while a source is
 * stepped or freed.
 *
 * Growing: a worker's `turns` is odd while it answers a request or puts a source away. A worker
 * that starts one arms a timer unless it is armed; when that fires, the sentry compares every
 * worker's `turns` with what they were the time before. All odd and unchanged: all are stuck. A few
 * more are started as well when several answers since the time before were slow: those who wait for
 * the disk should do so side by side. An idle daemon has no timer. */
#include "fs/pool.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <fuse_lowlevel.h>

#include "layers/error.h"
#include "layers/io.h"

/* One that is stuck takes some kilobytes. More than there are tasks that can wait at once, by far:
 * if all were stuck, everybody would wait. */
#define WORKERS_MAX 4096
#define TICK_MSEC   10
#define IDLE_MSEC   3000
#define SPIN_MSEC   1 /* then others have their turn, for whom there may be no other worker */
/* So slow an answer, and so many of them in a tick, that the disk was waited for; and how many
 * workers do so side by side. */
#define SLOW_USEC    200
#define SLOW_ANSWERS 4
#define SLOW_WORKERS 4
/* The event of the descriptor that stops the workers; sources count from 1. */
#define STOP_ID 0

typedef struct {
  gatomicrefcount refs; /* the table's and one per worker that is stepping it */
  guint64 id;
  int fd; /* borrowed */
  VfPoolStepFunc step;
  VfPoolGoneFunc gone;
  gpointer user_data;
} Source;

typedef struct {
  VfPool *pool;
  int epoll_fd;
  gboolean extra; /* leaves when idle */
  guint turns;    /* atomic; odd while it is busy */
  guint turns_at_last_tick;
  struct fuse_buf buffer;
} Worker;

struct VfPool {
  pthread_mutex_t lock;
  pthread_cond_t worker_left;
  GHashTable *sources; /* id → Source, owning a reference */
  GPtrArray *workers;  /* of Worker, owned */
  guint64 last_id;
  int stop_fd;          /* eventfd: readable when all shall leave */
  int timer_fd;         /* the sentry's */
  gboolean stop;        /* atomic */
  gboolean armed;       /* atomic: the timer will fire */
  guint n_slow;         /* atomic: answers since the last tick */
  guint spin_usec;      /* constant */
  gboolean is_spinning; /* atomic */
  pthread_t sentry;
};

static void
source_unref (Source *source)
{
  if (!g_atomic_ref_count_dec (&source->refs))
    return;
  source->gone (source->user_data);
  g_free (source);
}

static Source *
pool_acquire (VfPool *pool, guint64 id)
{
  pthread_mutex_lock (&pool->lock);
  Source *source = g_hash_table_lookup (pool->sources, &id);
  if (source != NULL)
    g_atomic_ref_count_inc (&source->refs);
  pthread_mutex_unlock (&pool->lock);
  return source;
}

/* Several workers may notice at once that a source is dead. */
static void
pool_remove (VfPool *pool, Source *source)
{
  pthread_mutex_lock (&pool->lock);
  gboolean removed = g_hash_table_steal (pool->sources, &source->id);
  for (guint i = 0; removed && i < pool->workers->len; i++) {
    Worker *worker = g_ptr_array_index (pool->workers, i);
    epoll_ctl (worker->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
  }
  pthread_mutex_unlock (&pool->lock);
  if (removed)
    source_unref (source);
}

static void
pool_arm (VfPool *pool)
{
  if (g_atomic_int_get (&pool->armed) ||
      !g_atomic_int_compare_and_exchange (&pool->armed, FALSE, TRUE))
    return;
  struct itimerspec tick = {.it_value.tv_nsec = TICK_MSEC * 1000000l};
  timerfd_settime (pool->timer_fd, 0, &tick, NULL);
}

static void
worker_begin_turn (Worker *worker)
{
  g_atomic_int_inc (&worker->turns);
  pool_arm (worker->pool);
}

static void
worker_end_turn (Worker *worker)
{
  g_atomic_int_inc (&worker->turns);
}

static int
worker_step (Worker *worker, Source *source)
{
  gint64 start = g_get_monotonic_time ();
  worker_begin_turn (worker);
  int status = source->step (source->user_data, &worker->buffer);
  worker_end_turn (worker);
  if (status > 0 && g_get_monotonic_time () - start > SLOW_USEC)
    g_atomic_int_inc (&worker->pool->n_slow);
  return status;
}

/* To put away what a dead source leaves may take as long as any request. */
static void
worker_release (Worker *worker, Source *source, gboolean is_dead)
{
  worker_begin_turn (worker);
  if (is_dead)
    pool_remove (worker->pool, source);
  source_unref (source);
  worker_end_turn (worker);
}

/* Who asked once mostly asks again within microseconds, and to wake a worker takes longer than to
 * answer most requests. So one worker, no more, looks for the next one a while before it sleeps. */
static int
worker_spin (Worker *worker, Source *source)
{
  VfPool *pool = worker->pool;
  int status = 1;
  if (pool->spin_usec == 0 || !g_atomic_int_compare_and_exchange (&pool->is_spinning, FALSE, TRUE))
    return status;
  gint64 now = g_get_monotonic_time (), until = 0, end = now + SPIN_MSEC * 1000;
  while (status >= 0 && !g_atomic_int_get (&pool->stop)) {
    until = status > 0 ? MIN (now + pool->spin_usec, end) : until;
    if (now > until)
      break;
    status = worker_step (worker, source);
    now = g_get_monotonic_time ();
  }
  g_atomic_int_set (&pool->is_spinning, FALSE);
  return status;
}

static void
worker_handle (Worker *worker, guint64 id)
{
  VfPool *pool = worker->pool;
  Source *source = pool_acquire (pool, id);
  if (source == NULL)
    return;
  int status = worker_step (worker, source);
  if (status > 0)
    status = worker_spin (worker, source);
  worker_release (worker, source, status < 0);
}

static void
worker_drop_buffer (Worker *worker)
{
  free (worker->buffer.mem);
  memset (&worker->buffer, 0, sizeof worker->buffer);
}

static void
worker_leave (Worker *worker)
{
  VfPool *pool = worker->pool;
  worker_drop_buffer (worker);
  pthread_mutex_lock (&pool->lock);
  close (worker->epoll_fd);
  g_ptr_array_remove (pool->workers, worker);
  g_free (worker);
  pthread_cond_broadcast (&pool->worker_left);
  pthread_mutex_unlock (&pool->lock);
}

static void *
worker_main (void *data)
{
  Worker *worker = data;
  VfPool *pool = worker->pool;
  int timeout = IDLE_MSEC;
  while (!g_atomic_int_get (&pool->stop)) {
    struct epoll_event event;
    int n = epoll_wait (worker->epoll_fd, &event, 1, timeout);
    if (n == 1 && event.data.u64 != STOP_ID)
      worker_handle (worker, event.data.u64);
    if (n != 0) {
      timeout = IDLE_MSEC;
      continue;
    }
    if (worker->extra)
      break;
    /* Of it a large write has touched a megabyte; of the heap, many threads at once. */
    worker_drop_buffer (worker);
    malloc_trim (0);
    timeout = -1;
  }
  worker_leave (worker);
  return NULL;
}

static gboolean
worker_watch (Worker *worker, int fd, guint64 id, guint32 events)
{
  struct epoll_event event = {.events = events, .data.u64 = id};
  return epoll_ctl (worker->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void
worker_free_unstarted (Worker *worker)
{
  int saved_errno = errno;
  close (worker->epoll_fd);
  g_free (worker);
  errno = saved_errno;
}

/* The caller holds the lock. FALSE with errno set. */
static gboolean
pool_start_worker (VfPool *pool, gboolean extra)
{
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (epoll_fd < 0)
    return FALSE;
  Worker *worker = g_new0 (Worker, 1);
  worker->pool = pool;
  worker->epoll_fd = epoll_fd;
  worker->extra = extra;
  gboolean watched = worker_watch (worker, pool->stop_fd, STOP_ID, EPOLLIN);
  GHashTableIter iter;
  gpointer source;
  g_hash_table_iter_init (&iter, pool->sources);
  while (watched && g_hash_table_iter_next (&iter, NULL, &source))
    watched = worker_watch (worker, ((Source *)source)->fd, ((Source *)source)->id,
                            EPOLLIN | EPOLLEXCLUSIVE);
  if (!watched) {
    worker_free_unstarted (worker);
    return FALSE;
  }

  pthread_t thread;
  int failure = pthread_create (&thread, NULL, worker_main, worker);
  if (failure != 0) {
    errno = failure;
    worker_free_unstarted (worker);
    return FALSE;
  }
  pthread_detach (thread);
  g_ptr_array_add (pool->workers, worker);
  return TRUE;
}

/* How many more of @n workers, of whom @n_stuck are stuck, are wanted. */
static guint
sentry_want (VfPool *pool, guint n, guint n_stuck)
{
  guint n_slow = g_atomic_int_and (&pool->n_slow, 0);
  if (n_stuck == n)
    return MIN (MAX (n / 2, 1), WORKERS_MAX - n);
  return n_slow >= SLOW_ANSWERS && n < SLOW_WORKERS ? 1 : 0;
}

/* Whether any worker is busy; starts more where they are wanted. */
static gboolean
sentry_look (VfPool *pool)
{
  guint n_busy = 0, n_stuck = 0;
  pthread_mutex_lock (&pool->lock);
  guint n = pool->workers->len;
  for (guint i = 0; i < n; i++) {
    Worker *worker = g_ptr_array_index (pool->workers, i);
    guint turns = (guint)g_atomic_int_get (&worker->turns);
    gboolean busy = turns % 2 == 1;
    n_busy += busy;
    n_stuck += busy && turns == worker->turns_at_last_tick;
    worker->turns_at_last_tick = turns;
  }
  guint n_more = sentry_want (pool, n, n_stuck);
  for (guint i = 0; i < n_more && !g_atomic_int_get (&pool->stop); i++) {
    if (pool_start_worker (pool, TRUE))
      continue;
    g_warning ("cannot start another worker: %s", g_strerror (errno));
    break;
  }
  pthread_mutex_unlock (&pool->lock);
  return n_busy > 0;
}

static void *
sentry_main (void *data)
{
  VfPool *pool = data;
  for (;;) {
    guint64 n_expirations;
    ssize_t n = read (pool->timer_fd, &n_expirations, sizeof n_expirations);
    if (g_atomic_int_get (&pool->stop))
      return NULL;
    if (n != sizeof n_expirations)
      continue;
    /* In this order: a worker that becomes busy after the look arms the timer itself. */
    g_atomic_int_set (&pool->armed, FALSE);
    if (sentry_look (pool))
      pool_arm (pool);
  }
}

static gboolean
pool_start (VfPool *pool, guint n_workers, GError **error)
{
  pool->stop_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  pool->timer_fd = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC);
  if (pool->stop_fd < 0 || pool->timer_fd < 0)
    return vf_error_errno (error, errno, "daemon: cannot make an event descriptor");
  int failure = pthread_create (&pool->sentry, NULL, sentry_main, pool);
  if (failure != 0)
    return vf_error_errno (error, failure, "daemon: cannot start a thread");
  pthread_mutex_lock (&pool->lock);
  gboolean started = TRUE;
  for (guint i = 0; started && i < MAX (n_workers, 1); i++)
    started = pool_start_worker (pool, FALSE);
  int saved_errno = errno;
  pthread_mutex_unlock (&pool->lock);
  return started || vf_error_errno (error, saved_errno, "daemon: cannot start a worker");
}

VfPool *
vf_pool_new (guint n_workers, guint spin_usec, GError **error)
{
  VfPool *pool = g_new0 (VfPool, 1);
  pthread_mutex_init (&pool->lock, NULL);
  pthread_cond_init (&pool->worker_left, NULL);
  pool->sources = g_hash_table_new (g_int64_hash, g_int64_equal);
  pool->workers = g_ptr_array_new ();
  pool->spin_usec = spin_usec;
  pool->stop_fd = pool->timer_fd = -1;
  if (pool_start (pool, n_workers, error))
    return pool;
  vf_pool_free (pool);
  return NULL;
}

void
vf_pool_free (VfPool *pool)
{
  g_atomic_int_set (&pool->stop, TRUE);
  if (pool->stop_fd >= 0)
    eventfd_write (pool->stop_fd, 1);
  pthread_mutex_lock (&pool->lock);
  while (pool->workers->len > 0)
    pthread_cond_wait (&pool->worker_left, &pool->lock);
  pthread_mutex_unlock (&pool->lock);
  if (pool->sentry != 0) {
    struct itimerspec now = {.it_value.tv_nsec = 1};
    timerfd_settime (pool->timer_fd, 0, &now, NULL);
    pthread_join (pool->sentry, NULL);
  }
  vf_fd_clear (&pool->stop_fd);
  vf_fd_clear (&pool->timer_fd);
  GHashTableIter iter;
  gpointer source;
  g_hash_table_iter_init (&iter, pool->sources);
  while (g_hash_table_iter_next (&iter, NULL, &source))
    g_free (source);
  g_hash_table_unref (pool->sources);
  g_ptr_array_unref (pool->workers);
  pthread_cond_destroy (&pool->worker_left);
  pthread_mutex_destroy (&pool->lock);
  g_free (pool);
}

/* The caller holds the lock. */
static gboolean
pool_watch_everywhere (VfPool *pool, Source *source, GError **error)
{
  for (guint i = 0; i < pool->workers->len; i++) {
    Worker *worker = g_ptr_array_index (pool->workers, i);
    if (worker_watch (worker, source->fd, source->id, EPOLLIN | EPOLLEXCLUSIVE))
      continue;
    int saved_errno = errno;
    while (i-- > 0) {
      worker = g_ptr_array_index (pool->workers, i);
      epoll_ctl (worker->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    }
    return vf_error_errno (error, saved_errno, "daemon: cannot wait for requests");
  }
  return TRUE;
}

gboolean
vf_pool_add (VfPool *pool, int fd, VfPoolStepFunc step, VfPoolGoneFunc gone, gpointer user_data,
             GError **error)
{
  Source *source = g_new0 (Source, 1);
  g_atomic_ref_count_init (&source->refs);
  source->fd = fd;
  source->step = step;
  source->gone = gone;
  source->user_data = user_data;
  pthread_mutex_lock (&pool->lock);
  source->id = ++pool->last_id;
  g_hash_table_insert (pool->sources, &source->id, source);
  gboolean added = pool_watch_everywhere (pool, source, error);
  if (!added)
    g_hash_table_remove (pool->sources, &source->id);
  pthread_mutex_unlock (&pool->lock);
  if (!added)
    g_free (source);
  return added;
}

guint
vf_pool_n_workers (VfPool *pool)
{
  pthread_mutex_lock (&pool->lock);
  guint n = pool->workers->len;
  pthread_mutex_unlock (&pool->lock);
  return n;
}

guint
vf_pool_n_sources (VfPool *pool)
{
  pthread_mutex_lock (&pool->lock);
  guint n = g_hash_table_size (pool->sources);
  pthread_mutex_unlock (&pool->lock);
  return n;
}
