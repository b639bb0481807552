/* Several wheels at once: worker threads take them largest first; contents, packages and what
 * remembers the wheels go into one batch with one commit, which puts them in place in this order.
 * So a crash leaves no name without what it names.
 *
 * Locking: the lock of a run guards its error and the count of workers; jobs are each one worker's,
 * handed out by an atomic counter. */
#include "layers/ingest.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

#define PROGRESS_USEC (G_USEC_PER_SEC / 20)
#define CHUNK_BYTES   (1u << 20)

typedef struct {
  const VfIngestWheel *wheel;
  VfIngestResult *result;
  guint64 size;       /* bytes of the file */
  VfPackage *package; /* NULL when known */
  guint64 new_bytes;
  GPtrArray *warnings;
} Job;

typedef struct {
  VfStore *store;
  VfObjectBatch *batch;
  const char *const *accept;
  Job *jobs;
  gsize n_jobs;
  gsize *order;                    /* indices of jobs, largest first */
  gint next;                       /* atomic: position in order */
  guint64 done_bytes, total_bytes; /* done: atomic */
  GCancellable *stop;              /* the caller's, or because a wheel failed */
  GMutex lock;
  GCond finished;
  guint n_running;
  GError *error; /* the first */
} Run;

/* --- Workers --- */

static gboolean
hash_file (const char *path, GCancellable *stop, VfDigest *out_digest, GError **error)
{
  VF_AUTOFD fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot open", path);
  g_autoptr (VfHasher) hasher = vf_hasher_new ();
  g_autofree char *chunk = g_malloc (CHUNK_BYTES);
  ssize_t n;
  while ((n = read (fd, chunk, CHUNK_BYTES)) != 0) {
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return vf_error_errno (error, errno, "%s: cannot read", path);
    if (g_cancellable_is_cancelled (stop))
      return vf_error_set (error, VF_ERROR_CANCELLED, "%s: interrupted", path);
    vf_hasher_update (hasher, chunk, (gsize)n);
  }
  vf_hasher_finish (hasher, out_digest);
  return TRUE;
}

static gboolean
run_job (Run *run, Job *job, GError **error)
{
  const VfIngestWheel *wheel = job->wheel;
  VfIngestResult *result = job->result;
  if (wheel->expected)
    result->wheel = *wheel->expected;
  else if (!hash_file (wheel->path, run->stop, &result->wheel, error))
    return FALSE;
  result->known = vf_wheel_lookup (run->store, &result->wheel, &result->package);
  if (result->known) {
    __atomic_add_fetch (&run->done_bytes, job->size, __ATOMIC_RELAXED);
    return TRUE;
  }
  VfWheelOptions options = {
      .accept = run->accept,
      .expected = &result->wheel,
      .cancellable = run->stop,
      .done_bytes = &run->done_bytes,
      .warnings = job->warnings,
  };
  job->package = vf_wheel_ingest (run->batch, wheel->path, &options, NULL, &job->new_bytes, error);
  return job->package != NULL;
}

static gpointer
work (gpointer data)
{
  Run *run = data;
  for (;;) {
    gsize next = (gsize)g_atomic_int_add (&run->next, 1);
    if (next >= run->n_jobs || g_cancellable_is_cancelled (run->stop))
      break;
    g_autoptr (GError) error = NULL;
    if (run_job (run, &run->jobs[run->order[next]], &error))
      continue;
    g_mutex_lock (&run->lock);
    if (!run->error)
      run->error = g_steal_pointer (&error);
    g_mutex_unlock (&run->lock);
    g_cancellable_cancel (run->stop);
  }
  g_mutex_lock (&run->lock);
  run->n_running--;
  g_cond_signal (&run->finished);
  g_mutex_unlock (&run->lock);
  return NULL;
}

/* --- The caller's thread --- */

static int
compare_sizes (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const Job *jobs = user_data;
  guint64 first = jobs[*(const gsize *)a].size, second = jobs[*(const gsize *)b].size;
  return first > second ? -1 : first < second;
}

/* A file that is not there counts nothing: it need not be, when the store knows the wheel. */
static void
prepare (Run *run, const VfIngestWheel *wheels, VfIngestResult *results)
{
  for (gsize i = 0; i < run->n_jobs; i++) {
    struct stat st;
    results[i] = (VfIngestResult){0};
    run->jobs[i] = (Job){
        .wheel = &wheels[i],
        .result = &results[i],
        .size = stat (wheels[i].path, &st) == 0 ? (guint64)st.st_size : 0,
        .warnings = g_ptr_array_new_with_free_func (g_free),
    };
    run->order[i] = i;
    run->total_bytes += run->jobs[i].size;
  }
  g_qsort_with_data (run->order, (int)run->n_jobs, sizeof *run->order, compare_sizes, run->jobs);
}

static void
report (Run *run, const VfIngestOptions *options, guint64 done_bytes)
{
  if (options->progress)
    options->progress (done_bytes, run->total_bytes, options->user_data);
}

static void
wait_for_workers (Run *run, const VfIngestOptions *options)
{
  g_mutex_lock (&run->lock);
  while (run->n_running > 0) {
    g_cond_wait_until (&run->finished, &run->lock, g_get_monotonic_time () + PROGRESS_USEC);
    g_mutex_unlock (&run->lock);
    if (g_cancellable_is_cancelled (options->cancellable))
      g_cancellable_cancel (run->stop);
    report (run, options, __atomic_load_n (&run->done_bytes, __ATOMIC_RELAXED));
    g_mutex_lock (&run->lock);
  }
  g_mutex_unlock (&run->lock);
}

static void
run_workers (Run *run, const VfIngestOptions *options)
{
  guint n = options->n_workers ? options->n_workers : g_get_num_processors ();
  n = (guint)MIN (n, run->n_jobs);
  g_autofree GThread **threads = g_new0 (GThread *, n);
  run->n_running = n;
  for (guint i = 0; i < n; i++)
    threads[i] = g_thread_new ("ingest", work, run);
  wait_for_workers (run, options);
  for (guint i = 0; i < n; i++)
    g_thread_join (threads[i]);
}

static gboolean
publish (Run *run, guint64 *out_new_bytes, GError **error)
{
  guint64 new_bytes = 0;
  for (gsize i = 0; i < run->n_jobs; i++) {
    Job *job = &run->jobs[i];
    if (!job->package)
      continue;
    if (!vf_package_put (job->package, run->batch, error))
      return FALSE;
    job->result->package = job->package->digest;
    if (!vf_wheel_remember (run->batch, &job->result->wheel, &job->result->package, error))
      return FALSE;
    new_bytes += job->new_bytes;
  }
  if (out_new_bytes)
    *out_new_bytes = new_bytes;
  return vf_object_batch_commit (run->batch, error);
}

static gboolean
ingest (Run *run, const VfIngestOptions *options, guint64 *out_new_bytes, GError **error)
{
  run_workers (run, options);
  if (g_cancellable_is_cancelled (options->cancellable))
    return vf_error_set (error, VF_ERROR_CANCELLED, "%s: interrupted", run->jobs[0].wheel->path);
  if (run->error) {
    g_propagate_error (error, g_steal_pointer (&run->error));
    return FALSE;
  }
  if (!publish (run, out_new_bytes, error))
    return FALSE;
  for (gsize i = 0; options->warnings && i < run->n_jobs; i++)
    g_ptr_array_extend_and_steal (options->warnings, g_steal_pointer (&run->jobs[i].warnings));
  report (run, options, run->total_bytes);
  return TRUE;
}

static void
clear_run (Run *run)
{
  for (gsize i = 0; i < run->n_jobs; i++) {
    g_clear_pointer (&run->jobs[i].package, vf_package_free);
    g_clear_pointer (&run->jobs[i].warnings, g_ptr_array_unref);
  }
  g_free (run->jobs);
  g_free (run->order);
  g_clear_pointer (&run->batch, vf_object_batch_free);
  g_object_unref (run->stop);
  g_clear_error (&run->error);
  g_mutex_clear (&run->lock);
  g_cond_clear (&run->finished);
}

gboolean
vf_ingest_wheels (VfStore *store, const VfIngestWheel *wheels, gsize n_wheels,
                  const VfIngestOptions *options, VfIngestResult *out_results,
                  guint64 *out_new_bytes, GError **error)
{
  if (out_new_bytes)
    *out_new_bytes = 0;
  if (n_wheels == 0)
    return TRUE;
  Run run = {
      .store = store,
      .accept = options->accept,
      .jobs = g_new0 (Job, n_wheels),
      .n_jobs = n_wheels,
      .order = g_new0 (gsize, n_wheels),
      .stop = g_cancellable_new (),
  };
  g_mutex_init (&run.lock);
  g_cond_init (&run.finished);
  prepare (&run, wheels, out_results);
  run.batch = vf_object_batch_new (store, error);
  gboolean ok = run.batch && ingest (&run, options, out_new_bytes, error);
  clear_run (&run);
  return ok;
}
