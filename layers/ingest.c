/* Several wheels at once: worker threads take one after the other; contents, packages and what
 * remembers the wheels go into one batch with one commit, which puts them in place in this order.
 * So a crash leaves no name without what it names.
 *
 * A wheel that is announced (vf_ingest_ahead) is unpacked while its announcer goes on; whether it
 * is wanted, and with which hash, is known when the ingest is finished. What was announced and is
 * not wanted, or did not work, is as if it had not been: at most its contents are in the store,
 * which a sweep takes.
 *
 * Locking: `lock` guards the list of jobs and all fields that say so; a job is its worker's from
 * when it is taken until it is done. */
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
  char *path;
  VfDigest wheel;     /* as it must be if @expected, else as it is once done */
  gboolean expected;  /* the hash is given */
  guint64 size;       /* bytes of the file */
  gboolean known;     /* in the store already, as... */
  VfDigest digest;    /* ...this package */
  VfPackage *package; /* NULL when known */
  guint64 new_bytes;
  GPtrArray *warnings;
  GError *error;
  gboolean done;   /* lock */
  gboolean wanted; /* by who finishes the ingest */
} Job;

struct VfIngest {
  VfStore *store; /* borrowed */
  VfObjectBatch *batch;
  const char *const *accept; /* borrowed */
  GPtrArray *jobs;           /* lock: owned Job, in the order in which they are taken */
  GHashTable *ahead;         /* path → Job of @jobs that was announced */
  guint next;                /* lock: of @jobs */
  gboolean closed;           /* lock: no more jobs will come */
  guint64 done_bytes;        /* atomic */
  GCancellable *stop;        /* nothing more is to be done */
  GPtrArray *threads;
  GMutex lock;
  GCond changed; /* a job came or is done, or no more will come */
};

static void
job_free (Job *job)
{
  g_free (job->path);
  g_clear_pointer (&job->package, vf_package_free);
  g_ptr_array_unref (job->warnings);
  g_clear_error (&job->error);
  g_free (job);
}

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
run_job (VfIngest *ingest, Job *job, GError **error)
{
  if (g_cancellable_is_cancelled (ingest->stop))
    return vf_error_set (error, VF_ERROR_CANCELLED, "%s: interrupted", job->path);
  if (!job->expected && !hash_file (job->path, ingest->stop, &job->wheel, error))
    return FALSE;
  job->known = vf_wheel_lookup (ingest->store, &job->wheel, &job->digest);
  if (job->known) {
    __atomic_add_fetch (&ingest->done_bytes, job->size, __ATOMIC_RELAXED);
    return TRUE;
  }
  VfWheelOptions options = {
      .accept = ingest->accept,
      .expected = &job->wheel,
      .cancellable = ingest->stop,
      .done_bytes = &ingest->done_bytes,
      .warnings = job->warnings,
  };
  job->package = vf_wheel_ingest (ingest->batch, job->path, &options, NULL, &job->new_bytes, error);
  return job->package != NULL;
}

static gpointer
work (gpointer data)
{
  VfIngest *ingest = data;
  g_mutex_lock (&ingest->lock);
  for (;;) {
    while (ingest->next == ingest->jobs->len && !ingest->closed)
      g_cond_wait (&ingest->changed, &ingest->lock);
    if (ingest->next == ingest->jobs->len)
      break;
    Job *job = ingest->jobs->pdata[ingest->next++];
    g_mutex_unlock (&ingest->lock);
    run_job (ingest, job, &job->error);
    g_mutex_lock (&ingest->lock);
    job->done = TRUE;
    g_cond_broadcast (&ingest->changed);
  }
  g_mutex_unlock (&ingest->lock);
  return NULL;
}

/* Up to @n; FALSE when there is none. */
static gboolean
start_workers (VfIngest *ingest, guint n)
{
  GThread *thread;
  while (ingest->threads->len < n &&
         (thread = g_thread_try_new ("ingest", work, ingest, NULL)) != NULL)
    g_ptr_array_add (ingest->threads, thread);
  return ingest->threads->len > 0;
}

/* --- The caller's threads --- */

VfIngest *
vf_ingest_new (VfStore *store, const char *const *accept, GError **error)
{
  VfObjectBatch *batch = vf_object_batch_new (store, error);
  if (!batch)
    return NULL;
  VfIngest *ingest = g_new0 (VfIngest, 1);
  ingest->store = store;
  ingest->batch = batch;
  ingest->accept = accept;
  ingest->jobs = g_ptr_array_new_with_free_func ((GDestroyNotify)job_free);
  ingest->ahead = g_hash_table_new (g_str_hash, g_str_equal);
  ingest->stop = g_cancellable_new ();
  ingest->threads = g_ptr_array_new ();
  g_mutex_init (&ingest->lock);
  g_cond_init (&ingest->changed);
  return ingest;
}

void
vf_ingest_free (VfIngest *ingest)
{
  g_cancellable_cancel (ingest->stop);
  g_mutex_lock (&ingest->lock);
  ingest->closed = TRUE;
  g_cond_broadcast (&ingest->changed);
  g_mutex_unlock (&ingest->lock);
  for (guint i = 0; i < ingest->threads->len; i++)
    g_thread_join (ingest->threads->pdata[i]);
  g_ptr_array_unref (ingest->threads);
  g_ptr_array_unref (ingest->jobs);
  g_hash_table_unref (ingest->ahead);
  vf_object_batch_free (ingest->batch);
  g_object_unref (ingest->stop);
  g_mutex_clear (&ingest->lock);
  g_cond_clear (&ingest->changed);
  g_free (ingest);
}

/* A file that is not there counts nothing: it need not be, when the store knows the wheel. */
static Job *
job_new (const char *path, const VfDigest *expected)
{
  struct stat st;
  Job *job = g_new0 (Job, 1);
  job->path = g_strdup (path);
  job->size = stat (path, &st) == 0 ? (guint64)st.st_size : 0;
  job->warnings = g_ptr_array_new_with_free_func (g_free);
  job->expected = expected != NULL;
  if (expected)
    job->wheel = *expected;
  return job;
}

static void
add_job (VfIngest *ingest, Job *job)
{
  g_mutex_lock (&ingest->lock);
  g_ptr_array_add (ingest->jobs, job);
  g_cond_broadcast (&ingest->changed);
  g_mutex_unlock (&ingest->lock);
}

void
vf_ingest_ahead (VfIngest *ingest, const char *path)
{
  if (g_hash_table_contains (ingest->ahead, path))
    return;
  Job *job = job_new (path, NULL);
  g_hash_table_insert (ingest->ahead, job->path, job);
  add_job (ingest, job);
  start_workers (ingest, g_get_num_processors ());
}

static gint
compare_sizes (gconstpointer a, gconstpointer b)
{
  const Job *x = *(const Job *const *)a, *y = *(const Job *const *)b;
  return x->size > y->size ? -1 : x->size < y->size;
}

/* The job of each of @wheels; those that were not announced are added, largest first. */
static void
assign (VfIngest *ingest, const VfIngestWheel *wheels, gsize n_wheels, Job **jobs)
{
  g_autoptr (GPtrArray) fresh = g_ptr_array_new ();
  for (gsize i = 0; i < n_wheels; i++) {
    jobs[i] = g_hash_table_lookup (ingest->ahead, wheels[i].path);
    if (!jobs[i])
      g_ptr_array_add (fresh, jobs[i] = job_new (wheels[i].path, wheels[i].expected));
    jobs[i]->wanted = TRUE;
  }
  g_ptr_array_sort (fresh, compare_sizes);
  for (guint i = 0; i < fresh->len; i++)
    add_job (ingest, fresh->pdata[i]);
}

/* Locked. Whether there is nothing to wait for: one failed, or all are done. */
static gboolean
settled (Job *const *jobs, gsize n, GError **error)
{
  gboolean all = TRUE;
  for (gsize i = 0; i < n; i++) {
    if (jobs[i]->done && jobs[i]->error) {
      g_propagate_error (error, g_error_copy (jobs[i]->error));
      return TRUE;
    }
    all = all && jobs[i]->done;
  }
  return all;
}

static gboolean
wait_for (VfIngest *ingest, Job *const *jobs, gsize n, guint64 total_bytes,
          const VfIngestOptions *options, GError **error)
{
  GError *cause = NULL;
  g_mutex_lock (&ingest->lock);
  while (!settled (jobs, n, &cause)) {
    g_cond_wait_until (&ingest->changed, &ingest->lock, g_get_monotonic_time () + PROGRESS_USEC);
    g_mutex_unlock (&ingest->lock);
    guint64 done = __atomic_load_n (&ingest->done_bytes, __ATOMIC_RELAXED);
    if (options->progress)
      options->progress (MIN (done, total_bytes), total_bytes, options->user_data);
    if (g_cancellable_is_cancelled (options->cancellable))
      g_cancellable_cancel (ingest->stop);
    g_mutex_lock (&ingest->lock);
  }
  g_mutex_unlock (&ingest->lock);
  if (g_cancellable_is_cancelled (options->cancellable)) {
    g_clear_error (&cause);
    return vf_error_set (error, VF_ERROR_CANCELLED, "%s: interrupted", jobs[0]->path);
  }
  if (!cause)
    return TRUE;
  g_propagate_error (error, cause);
  return FALSE;
}

/* An announced wheel that turned out to have another hash than it should is read again, as it
 * should be: it has changed meanwhile, or is refused. */
static gboolean
check_expected (VfIngest *ingest, const VfIngestWheel *wheels, gsize n, Job **jobs)
{
  gboolean all = TRUE;
  for (gsize i = 0; i < n; i++) {
    if (!wheels[i].expected || vf_digest_equal (wheels[i].expected, &jobs[i]->wheel))
      continue;
    jobs[i]->wanted = FALSE;
    jobs[i] = job_new (wheels[i].path, wheels[i].expected);
    jobs[i]->wanted = TRUE;
    add_job (ingest, jobs[i]);
    all = FALSE;
  }
  return all;
}

/* No worker has any of them any more. */
static gboolean
publish (VfIngest *ingest, Job *const *jobs, gsize n, VfIngestResult *results,
         guint64 *out_new_bytes, GError **error)
{
  for (gsize i = 0; i < n; i++) {
    Job *job = jobs[i];
    if (job->package && job->wanted) {
      if (!vf_package_put (job->package, ingest->batch, error))
        return FALSE;
      job->digest = job->package->digest;
      if (!vf_wheel_remember (ingest->batch, &job->wheel, &job->digest, error))
        return FALSE;
      *out_new_bytes += job->new_bytes;
      job->wanted = FALSE; /* once, however often it was asked for */
    }
    results[i] = (VfIngestResult){job->wheel, job->digest, job->known};
  }
  return vf_object_batch_commit (ingest->batch, error);
}

/* Nobody writes into a batch that is committed. */
static void
join_workers (VfIngest *ingest)
{
  g_mutex_lock (&ingest->lock);
  ingest->next = ingest->jobs->len; /* what was announced and is not wanted */
  ingest->closed = TRUE;
  g_cond_broadcast (&ingest->changed);
  g_mutex_unlock (&ingest->lock);
  for (guint i = 0; i < ingest->threads->len; i++)
    g_thread_join (ingest->threads->pdata[i]);
  g_ptr_array_set_size (ingest->threads, 0);
}

gboolean
vf_ingest_finish (VfIngest *ingest, const VfIngestWheel *wheels, gsize n_wheels,
                  const VfIngestOptions *options, VfIngestResult *out_results,
                  guint64 *out_new_bytes, GError **error)
{
  g_autofree Job **jobs = g_new (Job *, n_wheels);
  guint64 total_bytes = 0, new_bytes = 0;
  assign (ingest, wheels, n_wheels, jobs);
  for (gsize i = 0; i < n_wheels; i++)
    total_bytes += jobs[i]->size;
  guint n = options->n_workers ? options->n_workers : g_get_num_processors ();
  if (!start_workers (ingest, (guint)MIN (n, n_wheels)))
    return vf_error_set (error, VF_ERROR_FAILED,
                         "%s: no thread can be started to unpack it; end some processes, or raise "
                         "the limit on them (ulimit -u)",
                         wheels[0].path);
  do
    if (!wait_for (ingest, jobs, n_wheels, total_bytes, options, error))
      return FALSE;
  while (!check_expected (ingest, wheels, n_wheels, jobs));
  join_workers (ingest);
  if (!publish (ingest, jobs, n_wheels, out_results, &new_bytes, error))
    return FALSE;
  if (out_new_bytes)
    *out_new_bytes = new_bytes;
  for (gsize i = 0; options->warnings && i < n_wheels; i++)
    while (jobs[i]->warnings->len > 0)
      g_ptr_array_add (options->warnings, g_ptr_array_steal_index (jobs[i]->warnings, 0));
  if (options->progress)
    options->progress (total_bytes, total_bytes, options->user_data);
  return TRUE;
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
  g_autoptr (VfIngest) ingest = vf_ingest_new (store, options->accept, error);
  return ingest &&
         vf_ingest_finish (ingest, wheels, n_wheels, options, out_results, out_new_bytes, error);
}
