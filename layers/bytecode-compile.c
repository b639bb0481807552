/* Compiles the modules of packages on several workers, and lists what came of it.
 *
 * The work is a list of tasks, one for each different (source, base name): an empty __init__.py of
 * a thousand packages is compiled once. Threads, one for each worker process, take the largest that
 * is left. Objects and listings are committed together, the listings last: a crash between
 * leaves objects that the sweep takes.
 *
 * Locking: `lock` guards all of Work but `tasks`' elements, each of which belongs to the thread
 * that took it. */
#include "layers/bytecode.h"

#include <string.h>

#include "layers/compiler.h"
#include "layers/error.h"
#include "layers/image.h"

#define PYC_HEAD_BYTES   16
#define PROGRESS_USEC    (G_USEC_PER_SEC / 10)
#define MAX_SOURCE_BYTES (256u << 20) /* what is larger is no module that anybody wrote */

typedef struct {
  VfDigest source;
  guint64 source_bytes;
  const char *name; /* borrowed from the package */
  guint32 size;     /* of the .pyc; 0: there is none */
  VfDigest pyc;
} Task;

typedef struct {
  VfStore *store;
  const VfInterpreter *interpreter;
  VfObjectBatch *batch;
  GPtrArray *tasks;   /* Task, largest first */
  GCancellable *stop; /* at once: the work failed or is not wanted any more */

  GMutex lock;
  GCond changed;
  guint next, done, running;
  GError *error; /* the first one; ends the work */
} Work;

static guint
task_hash (gconstpointer key)
{
  const Task *task = key;
  return vf_digest_hash (&task->source) ^ g_str_hash (task->name);
}

static gboolean
task_equal (gconstpointer a, gconstpointer b)
{
  const Task *x = a, *y = b;
  return vf_digest_equal (&x->source, &y->source) && strcmp (x->name, y->name) == 0;
}

static int
compare_tasks (gconstpointer a, gconstpointer b)
{
  const Task *x = *(Task *const *)a, *y = *(Task *const *)b;
  if (x->source_bytes != y->source_bytes)
    return x->source_bytes > y->source_bytes ? -1 : 1;
  int order = memcmp (x->source.bytes, y->source.bytes, VF_DIGEST_BYTES);
  return order ? order : strcmp (x->name, y->name);
}

static Task *
task_of (GHashTable *known, const VfPackageFile *file)
{
  const char *slash = strrchr (file->path, '/');
  Task key = {
      .source = file->digest, .source_bytes = file->size, .name = slash ? slash + 1 : file->path};
  Task *task = g_hash_table_lookup (known, &key);
  if (!task) {
    task = g_memdup2 (&key, sizeof key);
    g_hash_table_add (known, task);
  }
  return task;
}

static GPtrArray *
sorted_tasks (GHashTable *known)
{
  GPtrArray *tasks = g_ptr_array_sized_new (g_hash_table_size (known));
  GHashTableIter iter;
  gpointer task;
  g_hash_table_iter_init (&iter, known);
  while (g_hash_table_iter_next (&iter, &task, NULL))
    g_ptr_array_add (tasks, task);
  g_ptr_array_sort (tasks, compare_tasks);
  return tasks;
}

static GBytes *
read_source (Work *work, const Task *task, GError **error)
{
  VfExtent extent;
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (&task->source, hex);
  int result = vf_object_open (work->store, &task->source, &extent);
  if (result < 0) {
    vf_error_errno (error, -result, "%s: cannot open its source, object %s", task->name, hex);
    return NULL;
  }
  VF_AUTOFD fd = extent.fd;
  if (extent.length != task->source_bytes) {
    vf_error_set (error, VF_ERROR_DAMAGED, "%s: its source, object %s, has not its size",
                  task->name, hex);
    return NULL;
  }
  g_autofree guint8 *data = g_malloc (MAX (extent.length, 1));
  if (!vf_read_all (fd, data, extent.length, extent.offset, task->name, error))
    return NULL;
  return g_bytes_new_take (g_steal_pointer (&data), extent.length);
}

/* The next task, or NULL at the end or after an error. */
static Task *
take_task (Work *work)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&work->lock);
  return work->error || work->next == work->tasks->len
             ? NULL
             : g_ptr_array_index (work->tasks, work->next++);
}

static void
task_done (Work *work)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&work->lock);
  work->done++;
  g_cond_signal (&work->changed);
}

/* The .pyc of a source is checked by its mtime and size (PEP 552: flags 0). */
static gboolean
store_code (Work *work, Task *task, const GByteArray *code, GError **error)
{
  g_autofree guint8 *pyc = g_malloc (PYC_HEAD_BYTES + code->len);
  guint32 head[4] = {0, 0, GUINT32_TO_LE ((guint32)vf_content_mtime (&task->source)),
                     GUINT32_TO_LE ((guint32)task->source_bytes)};
  const char *hex = work->interpreter->bytecode_magic;
  memcpy (pyc, head, sizeof head);
  for (int i = 0; i < 4; i++)
    pyc[i] =
        (guint8)(g_ascii_xdigit_value (hex[2 * i]) << 4 | g_ascii_xdigit_value (hex[2 * i + 1]));
  memcpy (pyc + PYC_HEAD_BYTES, code->data, code->len);
  task->size = PYC_HEAD_BYTES + code->len;
  vf_digest_of (pyc, task->size, &task->pyc);
  return vf_object_batch_add (work->batch, &task->pyc, pyc, task->size, NULL, error);
}

static gboolean
send_task (Work *work, VfCompiler *compiler, const Task *task, GError **error)
{
  g_autoptr (GBytes) source = read_source (work, task, error);
  return source && vf_compiler_send (compiler, task->name, source, error);
}

/* Waits for @task; a crash is tried once more, so that no accident drops a module. */
static gboolean
receive_task (Work *work, VfCompiler *compiler, Task *task, GByteArray **out_code, GError **error)
{
  VfCompileResult result = VF_COMPILER_DIED;
  for (int attempt = 0; result == VF_COMPILER_DIED && attempt < 2; attempt++)
    if ((attempt > 0 && !send_task (work, compiler, task, error)) ||
        !vf_compiler_receive (compiler, &result, out_code, error)) {
      g_prefix_error (error, "%s: ", task->name);
      return FALSE;
    }
  return TRUE;
}

/* Keeps the worker busy: it has its next module before the code of the last one is stored. */
static gboolean
run_tasks (Work *work, VfCompiler *compiler, GError **error)
{
  Task *task = take_task (work);
  if (task && !send_task (work, compiler, task, error))
    return FALSE;
  while (task) {
    g_autoptr (GByteArray) code = NULL;
    if (!receive_task (work, compiler, task, &code, error))
      return FALSE;
    Task *next = take_task (work);
    if (next && !send_task (work, compiler, next, error))
      return FALSE;
    if (code && !store_code (work, task, code, error))
      return FALSE;
    task_done (work);
    task = next;
  }
  return TRUE;
}

static gpointer
run_worker (gpointer user_data)
{
  Work *work = user_data;
  g_autoptr (VfCompiler) compiler = vf_compiler_new (work->interpreter, work->stop);
  g_autoptr (GError) error = NULL;
  gboolean ok = run_tasks (work, compiler, &error);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&work->lock);
  if (!ok)
    g_cancellable_cancel (work->stop);
  if (!ok && !work->error)
    work->error = g_steal_pointer (&error);
  work->running--;
  g_cond_signal (&work->changed);
  return NULL;
}

static void
wait_for_workers (Work *work, VfBytecodeProgress progress, gpointer user_data)
{
  gboolean ended = FALSE;
  g_mutex_lock (&work->lock);
  while (!ended) {
    if (work->running > 0)
      g_cond_wait_until (&work->changed, &work->lock, g_get_monotonic_time () + PROGRESS_USEC);
    ended = work->running == 0;
    guint done = work->done;
    g_mutex_unlock (&work->lock);
    gboolean go_on = !progress || progress (done, work->tasks->len, user_data);
    g_mutex_lock (&work->lock);
    if (!go_on && !work->error) {
      vf_error_set (&work->error, VF_ERROR_CANCELLED, "compiling was interrupted");
      g_cancellable_cancel (work->stop);
    }
  }
  g_mutex_unlock (&work->lock);
}

/* Where no thread is to be had, this one works. */
static gboolean
compile_tasks (Work *work, guint n_workers, VfBytecodeProgress progress, gpointer user_data,
               GError **error)
{
  guint n = MIN (n_workers ? n_workers : g_get_num_processors (), work->tasks->len);
  g_autofree GThread **threads = g_new0 (GThread *, n + 1);
  work->running = n;
  for (guint i = 0; i < n; i++) {
    threads[i] = g_thread_try_new ("compile", run_worker, work, NULL);
    if (!threads[i])
      run_worker (work);
  }
  wait_for_workers (work, progress, user_data);
  for (guint i = 0; i < n; i++)
    g_clear_pointer (&threads[i], g_thread_join);
  if (!work->error)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&work->error));
  return FALSE;
}

/* A package whose listing is to be written. */
typedef struct {
  const VfPackage *package; /* borrowed */
  GPtrArray *tasks;         /* by index of the source; NULL where it is no module */
} Job;

static void
job_free (gpointer data)
{
  Job *job = data;
  g_ptr_array_unref (job->tasks);
  g_free (job);
}

/* NULL without error when the package is compiled already. */
static Job *
job_new (VfStore *store, const VfInterpreter *interpreter, const VfPackage *package,
         GHashTable *known, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (VfBytecode) listing = vf_bytecode_load (store, interpreter, package, &local);
  if (local) {
    g_propagate_error (error, g_steal_pointer (&local));
    return NULL;
  }
  if (listing)
    return NULL;
  Job *job = g_new0 (Job, 1);
  job->package = package;
  job->tasks = g_ptr_array_sized_new (package->files->len);
  for (guint i = 0; i < package->files->len; i++) {
    const VfPackageFile *file = &g_array_index (package->files, VfPackageFile, i);
    gboolean wanted = vf_bytecode_is_module (file) && file->size <= MAX_SOURCE_BYTES;
    g_ptr_array_add (job->tasks, wanted ? task_of (known, file) : NULL);
  }
  return job;
}

static gboolean
put_listing (Work *work, const Job *job, GError **error)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (VfBytecodeEntry));
  for (guint i = 0; i < job->tasks->len; i++) {
    const Task *task = g_ptr_array_index (job->tasks, i);
    if (!task || task->size == 0)
      continue;
    VfBytecodeEntry entry = {.source = i, .size = task->size, .digest = task->pyc};
    g_array_append_val (entries, entry);
  }
  g_autoptr (GBytes) bytes = vf_bytecode_serialize (entries);
  g_autofree char *path = vf_bytecode_path (work->interpreter, &job->package->digest);
  gsize length;
  const void *data = g_bytes_get_data (bytes, &length);
  return vf_object_batch_put (work->batch, path, data, length, error);
}

static gboolean
put_listings (Work *work, GPtrArray *jobs, GError **error)
{
  for (guint i = 0; i < jobs->len; i++)
    if (!put_listing (work, g_ptr_array_index (jobs, i), error))
      return FALSE;
  return TRUE;
}

/* Jobs of the packages that lack bytecode; FALSE on error. */
static gboolean
find_jobs (Work *work, VfPackage *const *packages, gsize n_packages, GHashTable *known,
           GPtrArray *jobs, GError **error)
{
  for (gsize i = 0; i < n_packages; i++) {
    g_autoptr (GError) local = NULL;
    Job *job = job_new (work->store, work->interpreter, packages[i], known, &local);
    if (local) {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
    if (job)
      g_ptr_array_add (jobs, job);
  }
  return TRUE;
}

static gboolean
run_jobs (Work *work, GPtrArray *jobs, guint n_workers, VfBytecodeProgress progress,
          gpointer user_data, GError **error)
{
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (work->store, error);
  g_autoptr (GCancellable) stop = g_cancellable_new ();
  work->batch = batch;
  work->stop = stop;
  return batch && compile_tasks (work, n_workers, progress, user_data, error) &&
         put_listings (work, jobs, error) && vf_object_batch_commit (batch, error);
}

gboolean
vf_bytecode_compile (VfStore *store, const VfInterpreter *interpreter, VfPackage *const *packages,
                     gsize n_packages, guint n_workers, VfBytecodeProgress progress,
                     gpointer user_data, GError **error)
{
  g_autoptr (GHashTable) known = g_hash_table_new_full (task_hash, task_equal, g_free, NULL);
  g_autoptr (GPtrArray) jobs = g_ptr_array_new_with_free_func (job_free);
  Work work = {.store = store, .interpreter = interpreter};
  if (!find_jobs (&work, packages, n_packages, known, jobs, error))
    return FALSE;
  if (jobs->len == 0)
    return TRUE;
  g_autoptr (GPtrArray) tasks = sorted_tasks (known);
  work.tasks = tasks;
  g_mutex_init (&work.lock);
  g_cond_init (&work.changed);
  gboolean ok = run_jobs (&work, jobs, n_workers, progress, user_data, error);
  g_mutex_clear (&work.lock);
  g_cond_clear (&work.changed);
  return ok;
}
