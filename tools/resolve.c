#include "tools/resolve.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "layers/error.h"
#include "tools/interrupt.h"
#include "tools/pip-explain.h"
#include "tools/progress.h"
#include "tools/requirements.h"
#include "tools/seed.h"

#define KEY_VERSION      "venvfs resolution key 1"
#define FRESH_SECONDS    (10 * 60)
#define MAX_REPORT_BYTES (256 * 1024 * 1024)

static const char pylock_script[] =
#include "tools/pylock.py.inc"
    ;

void
vf_answer_clear (VfAnswer *answer)
{
  g_clear_pointer (&answer->packages, g_ptr_array_unref);
}

/* --- the key */

/* Whether @line begins an option of pip's configuration that names files or directories whose
 * content has a part in the answer. */
static gboolean
names_files (const char *line)
{
  static const char *const options[] = {"constraint", "requirement", "find-links"};
  g_autofree char *name = g_strndup (line, strcspn (line, "=:"));
  g_strchomp (name);
  for (gsize i = 0; i < G_N_ELEMENTS (options); i++)
    if (g_ascii_strcasecmp (name, options[i]) == 0)
      return TRUE;
  return FALSE;
}

/* An INI file as Python's configparser reads it: what is indented continues the option above. */
static void
add_configuration (VfRequirements *requirements, const char *path)
{
  g_autofree char *text = NULL;
  gboolean is_named = FALSE;
  if (!g_file_get_contents (path, &text, NULL, NULL))
    return;
  vf_requirements_add_text (requirements, path, text);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  for (gsize i = 0; lines[i]; i++) {
    const char *values = lines[i];
    if (!g_ascii_isspace (*values)) {
      is_named = names_files (values);
      values += strcspn (values, "=:");
    }
    g_auto (GStrv) words = g_strsplit_set (is_named ? values : "", " \t\r=", -1);
    for (gsize k = 0; words[k]; k++)
      if (*words[k])
        vf_requirements_add_find_links (requirements, words[k]);
  }
}

/* Where pip reads its configuration, in its own order. */
static void
add_configuration_files (VfRequirements *requirements, const VfInterpreter *interpreter)
{
  const char *chosen = g_getenv ("PIP_CONFIG_FILE");
  const char *const *system = g_get_system_config_dirs ();
  for (gsize i = 0; system[i]; i++) {
    g_autofree char *path = g_build_filename (system[i], "pip", "pip.conf", NULL);
    add_configuration (requirements, path);
  }
  g_autofree char *legacy = g_build_filename (g_get_home_dir (), ".pip", "pip.conf", NULL);
  g_autofree char *user = g_build_filename (g_get_user_config_dir (), "pip", "pip.conf", NULL);
  g_autofree char *prefix = g_path_get_dirname (interpreter->home);
  g_autofree char *site = g_build_filename (prefix, "pip.conf", NULL);
  add_configuration (requirements, "/etc/pip.conf");
  add_configuration (requirements, legacy);
  add_configuration (requirements, user);
  add_configuration (requirements, site);
  if (chosen)
    add_configuration (requirements, chosen);
}

static int
compare_strings (const void *a, const void *b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* How pip goes about it, not what it answers. */
static gboolean
is_manner (const char *variable)
{
  static const char *const manners[] = {
      "CACHE_DIR", "CERT",         "CLIENT_CERT", "DEFAULT_TIMEOUT",  "DISABLE_PIP_VERSION_CHECK",
      "LOG",       "NO_CACHE_DIR", "NO_COLOR",    "NO_INPUT",         "PROGRESS_BAR",
      "PROXY",     "QUIET",        "RETRIES",     "ROOT_USER_ACTION", "TIMEOUT",
      "VERBOSE",
  };
  const char *name = variable + strlen ("PIP_");
  for (gsize i = 0; i < G_N_ELEMENTS (manners); i++) {
    gsize length = strlen (manners[i]);
    if (strncmp (name, manners[i], length) == 0 && name[length] == '=')
      return TRUE;
  }
  return FALSE;
}

static void
add_environment (VfRequirements *requirements)
{
  g_auto (GStrv) environment = g_get_environ ();
  qsort (environment, g_strv_length (environment), sizeof *environment, compare_strings);
  for (gsize i = 0; environment[i]; i++)
    if (g_str_has_prefix (environment[i], "PIP_") && !is_manner (environment[i]))
      vf_requirements_add_text (requirements, "environment", environment[i]);
  g_auto (GStrv) links = g_strsplit_set (g_getenv ("PIP_FIND_LINKS") ?: "", " \t\n", -1);
  for (gsize i = 0; links[i]; i++)
    if (*links[i])
      vf_requirements_add_find_links (requirements, links[i]);
}

/* Interpreter, options, environment, configuration: what both the seed and the packages hang on. */
static void
add_index (VfRequirements *requirements, const VfInterpreter *interpreter,
           const char *const *index_options)
{
  vf_requirements_add_text (requirements, "key", KEY_VERSION);
  vf_requirements_add_text (requirements, "interpreter", interpreter->probe_id);
  for (gsize i = 0; index_options[i]; i++) {
    vf_requirements_add_text (requirements, "option", index_options[i]);
    if (g_str_has_prefix (index_options[i], "--find-links="))
      vf_requirements_add_find_links (requirements, strchr (index_options[i], '=') + 1);
  }
  add_environment (requirements);
  add_configuration_files (requirements, interpreter);
}

static gboolean
asks_for_packages (const VfRequest *request)
{
  return (request->packages && request->packages[0]) || (request->files && request->files[0]) ||
         request->lock;
}

/* The files that an environment variable of pip's names. */
static gboolean
add_files_of (VfRequirements *requirements, const char *variable, GError **error)
{
  g_auto (GStrv) paths = g_strsplit_set (g_getenv (variable) ?: "", " \t\n", -1);
  for (gsize i = 0; paths[i]; i++)
    if (*paths[i] && !vf_requirements_add_file (requirements, paths[i], error))
      return FALSE;
  return TRUE;
}

static VfRequirements *
scan_request (const VfInterpreter *interpreter, const VfRequest *request, GError **error)
{
  g_autoptr (VfRequirements) requirements = vf_requirements_new ();
  add_index (requirements, interpreter, request->index_options);
  for (gsize i = 0; request->accept && request->accept[i]; i++)
    vf_requirements_add_text (requirements, "accept", request->accept[i]);
  for (gsize i = 0; request->files && request->files[i]; i++)
    if (!vf_requirements_add_file (requirements, request->files[i], error))
      return NULL;
  vf_requirements_add_text (requirements, "constraints", "");
  for (gsize i = 0; request->constraints && request->constraints[i]; i++)
    if (!vf_requirements_add_file (requirements, request->constraints[i], error))
      return NULL;
  if (asks_for_packages (request) && !request->lock &&
      (!add_files_of (requirements, "PIP_REQUIREMENT", error) ||
       !add_files_of (requirements, "PIP_CONSTRAINT", error)))
    return NULL;
  if (request->lock) {
    g_autofree char *path = g_canonicalize_filename (request->lock, NULL);
    vf_requirements_add_text (requirements, "lock", path);
    vf_requirements_add_content (requirements, path);
  }
  for (gsize i = 0; request->packages && request->packages[i]; i++)
    vf_requirements_add_argument (requirements, request->packages[i]);
  const char *editable = vf_requirements_editable (requirements);
  if (editable) {
    vf_error_set (error, VF_ERROR_INVALID,
                  "%s: an editable project cannot be part of a new environment; leave it out, "
                  "mount the environment and run 'pip install -e' in it",
                  editable);
    return NULL;
  }
  return g_steal_pointer (&requirements);
}

/* --- asking */

typedef struct {
  const VfPip *pip;
  VfProgress *progress;
  guint64 done;
  VfIngest *ahead;
} ResolverWatch;

/* "Processing ./wheels/name-1.0-py3-none-any.whl (from -r FILE (line 1))": a local wheel that pip
 * takes, but for the rare case that it finds it does not fit and takes another one instead. */
static void
begin_unpacking (VfIngest *ahead, const char *line)
{
  const char *start = line + strspn (line, " ");
  const char *end = strstr (start, ".whl");
  if (!g_str_has_prefix (start, "Processing ") || !end)
    return;
  start += strlen ("Processing ");
  g_autofree char *shown = g_strndup (start, (gsize)(end - start) + strlen (".whl"));
  g_autofree char *path = g_canonicalize_filename (shown, NULL);
  if (g_file_test (path, G_FILE_TEST_IS_REGULAR))
    vf_ingest_ahead (ahead, path);
}

static void
on_resolver_line (const char *line, gpointer user_data)
{
  ResolverWatch *watch = user_data;
  if (line && (strstr (line, "Collecting ") || strstr (line, "Requirement already") ||
               strstr (line, "Processing ")))
    watch->done++;
  else if (!line) /* where an index does not give metadata apart, wheels are downloaded for it */
    vf_progress_set_bytes (watch->progress, vf_pip_downloaded_bytes (watch->pip));
  vf_progress_update (watch->progress, watch->done, 0);
  if (line)
    begin_unpacking (watch->ahead, line);
}

static void
add_all (GPtrArray *arguments, const char *option, const char *const *values)
{
  for (gsize i = 0; values && values[i]; i++) {
    if (option)
      g_ptr_array_add (arguments, (gpointer)option);
    g_ptr_array_add (arguments, (gpointer)values[i]);
  }
}

static GPtrArray *
ask_pip (const VfFetch *fetch, VfPip *pip, const VfRequest *request, GError **error)
{
  g_autofree char *report = g_build_filename (fetch->tmp_path, "report.json", NULL);
  g_autoptr (GPtrArray) arguments = g_ptr_array_new ();
  const char *fixed[] = {"install",  "--no-input", "--dry-run", "--ignore-installed",
                         "--report", report};
  for (gsize i = 0; i < G_N_ELEMENTS (fixed); i++)
    g_ptr_array_add (arguments, (gpointer)fixed[i]);
  add_all (arguments, NULL, request->index_options);
  add_all (arguments, "--requirement", request->files);
  add_all (arguments, "--constraint", request->constraints);
  g_ptr_array_add (arguments, (gpointer) "--");
  add_all (arguments, NULL, request->packages);
  g_ptr_array_add (arguments, NULL);

  ResolverWatch watch = {pip,
                         vf_progress_new (fetch->output, "Resolving", VF_PROGRESS_ITEMS, "package"),
                         0, fetch->ahead};
  gboolean ok = vf_pip_run (pip, (const char *const *)arguments->pdata, TRUE, on_resolver_line,
                            &watch, error);
  vf_progress_free (watch.progress);
  if (!ok)
    return NULL;
  g_autoptr (GError) cause = NULL;
  g_autoptr (GBytes) bytes =
      vf_read_file (AT_FDCWD, report, MAX_REPORT_BYTES, "pip's report", &cause);
  if (!bytes && g_error_matches (cause, VF_ERROR, VF_ERROR_INVALID))
    vf_error_set (error, VF_ERROR_INVALID,
                  "%s; leave out the package whose metadata are that large", cause->message);
  else if (!bytes)
    g_propagate_error (error, g_steal_pointer (&cause));
  if (!bytes)
    return NULL;
  return vf_report_parse (g_bytes_get_data (bytes, NULL), (gssize)g_bytes_get_size (bytes),
                          "pip's report", error);
}

static GPtrArray *
ask_lock (VfPip *pip, const VfRequest *request, GError **error)
{
  const char *arguments[] = {request->lock, NULL};
  g_autofree char *text = NULL;
  if (!vf_pip_run_script (pip, pylock_script, arguments, &text, error))
    return NULL;
  return vf_report_parse (text, -1, request->lock, error);
}

/* --- remembering */

static gboolean
is_fresh (const VfResolution *known)
{
  gint64 now = g_get_real_time () / G_USEC_PER_SEC;
  return known->pinned || (now >= known->time && now < known->time + FRESH_SECONDS);
}

static gboolean
pins_all (const VfRequirements *requirements, GPtrArray *packages)
{
  for (guint i = 0; i < packages->len; i++) {
    const VfResolved *one = packages->pdata[i];
    if (!vf_requirements_pins (requirements, one->name, one->version))
      return FALSE;
  }
  return TRUE;
}

static gboolean
has_project (GPtrArray *items)
{
  for (guint i = 0; i < items->len; i++)
    if (((VfReportItem *)items->pdata[i])->is_project)
      return TRUE;
  return FALSE;
}

/* What the caller asked for, apart from the seed: by pip or the lock, remembered if it may be. */
static VfResolution *
resolve_anew (const VfFetch *fetch, const VfRequest *request, const VfRequirements *requirements,
              const char *name, GPtrArray *seed, GError **error)
{
  g_autoptr (VfPip) pip =
      vf_pip_new (fetch->store, fetch->interpreter, vf_seed_pip (seed), fetch->tmp_path, error);
  if (!pip)
    return NULL;
  g_autoptr (VfIngest) ahead = vf_ingest_new (fetch->store, fetch->accept, error);
  if (!ahead)
    return NULL;
  VfFetch fetch_ahead = *fetch;
  fetch_ahead.ahead = ahead;
  g_autoptr (GPtrArray) items =
      request->lock ? ask_lock (pip, request, error) : ask_pip (&fetch_ahead, pip, request, error);
  if (!items)
    return NULL;
  GPtrArray *packages = vf_fetch_items (&fetch_ahead, pip, items, error);
  if (!packages)
    return NULL;
  gboolean pinned = request->lock || pins_all (requirements, packages);
  g_autoptr (VfResolution) resolution =
      vf_resolution_new (g_get_real_time () / G_USEC_PER_SEC, pinned);
  g_ptr_array_unref (resolution->packages);
  resolution->packages = packages;
  if (!vf_requirements_changeable (requirements) && !has_project (items) &&
      !vf_resolution_save (fetch->store, name, resolution, error))
    return NULL;
  return g_steal_pointer (&resolution);
}

/* pip's answer, else the one of before when there is no network now. */
static VfResolution *
resolve_or_recall (const VfFetch *fetch, const VfRequest *request,
                   const VfRequirements *requirements, const char *name, GPtrArray *seed,
                   VfResolution *old, GError **error)
{
  g_autoptr (VfResolution) before = old;
  g_autoptr (GError) cause = NULL;
  VfResolution *answer = resolve_anew (fetch, request, requirements, name, seed, &cause);
  if (answer)
    return answer;
  if (before && vf_pip_error_is_offline (cause)) {
    gint64 hours = (g_get_real_time () / G_USEC_PER_SEC - before->time) / 3600;
    vf_output_warning (
        fetch->output,
        "no package index can be reached: taking the versions that were resolved %" G_GINT64_FORMAT
        " hours ago",
        hours);
    return g_steal_pointer (&before);
  }
  g_propagate_error (error, g_steal_pointer (&cause));
  return NULL;
}

/* The seed's packages that the user did not ask for in another version. */
static void
add_seed (GPtrArray *packages, GPtrArray *seed)
{
  guint n = packages->len;
  for (guint i = 0; i < seed->len; i++) {
    const VfResolved *one = seed->pdata[i];
    gboolean there = FALSE;
    for (guint j = 0; j < n && !there; j++)
      there = g_ascii_strcasecmp (((VfResolved *)packages->pdata[j])->name, one->name) == 0;
    if (!there)
      g_ptr_array_add (packages, vf_resolved_new (one->name, one->version, &one->wheel,
                                                  &one->package, one->requested, one->direct_url));
  }
}

/* One resolution in progress. */
typedef struct {
  const VfRequest *request;
  VfRequirements *requirements;
  char name[VF_DIGEST_HEX + 1]; /* of the remembered resolution */
  VfDigest seed_key;
  VfResolution *known; /* what was remembered, then the answer */
  GPtrArray *seed;
} Job;

static void
job_clear (Job *job)
{
  g_clear_pointer (&job->requirements, vf_requirements_free);
  g_clear_pointer (&job->known, vf_resolution_free);
  g_clear_pointer (&job->seed, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Job, job_clear)

static gboolean
prepare (Job *job, VfStore *store, const VfInterpreter *interpreter, GError **error)
{
  g_autoptr (VfRequirements) index = vf_requirements_new ();
  VfDigest key;
  job->requirements = scan_request (interpreter, job->request, error);
  if (!job->requirements)
    return FALSE;
  vf_requirements_key (job->requirements, &key);
  vf_digest_to_hex (&key, job->name);
  add_index (index, interpreter, job->request->index_options);
  vf_requirements_key (index, &job->seed_key);
  job->known = asks_for_packages (job->request) ? vf_resolution_load (store, job->name)
                                                : vf_resolution_new (0, TRUE);
  return TRUE;
}

/* With a Python: whatever is not remembered. */
static gboolean
ask (Job *job, VfFetch *fetch, gboolean packages_known, GError **error)
{
  g_autoptr (VfStoreTmp) tmp = vf_store_tmp_new (fetch->store, error);
  if (!tmp)
    return FALSE;
  fetch->tmp_path = vf_store_tmp_path (tmp);
  job->seed = vf_seed_find (fetch, &job->seed_key, error);
  if (!job->seed)
    return FALSE;
  if (packages_known)
    return TRUE;
  job->known = resolve_or_recall (fetch, job->request, job->requirements, job->name, job->seed,
                                  g_steal_pointer (&job->known), error);
  return job->known != NULL;
}

gboolean
vf_resolve (VfStore *store, const VfInterpreter *interpreter, VfOutput *output,
            const VfRequest *request, VfAnswer *out_answer, GError **error)
{
  g_auto (Job) job = {.request = request};
  if (!prepare (&job, store, interpreter, error))
    return FALSE;
  g_autoptr (GPtrArray) locations =
      vf_fetch_locations (request->index_options, vf_requirements_locations (job.requirements));
  VfFetch fetch = {
      .store = store,
      .interpreter = interpreter,
      .output = output,
      .locations = (const char *const *)locations->pdata,
      .accept = request->accept,
      .new_bytes = &out_answer->new_bytes,
  };
  gboolean packages_known = job.known && is_fresh (job.known);
  if (request->seeded && packages_known)
    job.seed = vf_seed_recall (&fetch, &job.seed_key, !asks_for_packages (request));
  out_answer->remembered = packages_known && (job.seed || !request->seeded);
  if (!out_answer->remembered && !ask (&job, &fetch, packages_known, error))
    return FALSE;
  if (request->seeded)
    add_seed (job.known->packages, job.seed);
  out_answer->packages = g_ptr_array_ref (job.known->packages);
  return TRUE;
}
