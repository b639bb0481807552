#include "tools/fetch.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "layers/error.h"
#include "tools/interrupt.h"
#include "tools/progress.h"

#define MAX_DOWNLOADS      4 /* pips at once: beyond it the network is the limit, or the index minds */
#define ITEMS_PER_DOWNLOAD 4 /* a further pip pays from this many files on */

/* One item on its way. */
typedef struct {
  const VfReportItem *item; /* borrowed */
  char *path;               /* of the wheel file, NULL while it is not here or not needed */
  gboolean known;           /* in the store already */
  VfDigest wheel, package;
} Piece;

static void
piece_clear (gpointer data)
{
  g_free (((Piece *)data)->path);
}

GPtrArray *
vf_fetch_locations (const char *const *options, const GPtrArray *more)
{
  static const char *const prefixes[] = {
      "--index-url=", "--extra-index-url=", "--find-links=", "--trusted-host=", "--no-index"};
  GPtrArray *locations = g_ptr_array_new ();
  for (gsize i = 0; options[i]; i++)
    for (gsize j = 0; j < G_N_ELEMENTS (prefixes); j++)
      if (g_str_has_prefix (options[i], prefixes[j]))
        g_ptr_array_add (locations, (gpointer)options[i]);
  for (guint i = 0; i < more->len; i++)
    g_ptr_array_add (locations, more->pdata[i]);
  g_ptr_array_add (locations, NULL);
  return locations;
}

/* --- ingest */

typedef struct {
  VfProgress *progress;
  GCancellable *cancellable;
} IngestWatch;

static void
watch_ingest (guint64 done_bytes, guint64 total_bytes, gpointer user_data)
{
  IngestWatch *watch = user_data;
  vf_progress_update (watch->progress, done_bytes, total_bytes);
  if (vf_interrupted ())
    g_cancellable_cancel (watch->cancellable);
}

static gboolean
ingest (const VfFetch *fetch, const VfIngestWheel *wheels, gsize n_wheels, VfIngestResult *results,
        GError **error)
{
  g_autoptr (VfProgress) progress =
      vf_progress_new (fetch->output, "Unpacking", VF_PROGRESS_BYTES, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  IngestWatch watch = {progress, cancellable};
  VfIngestOptions options = {
      .accept = fetch->accept,
      .cancellable = cancellable,
      .warnings = warnings,
      .progress = watch_ingest,
      .user_data = &watch,
  };
  guint64 bytes = 0;
  gboolean ok =
      fetch->ahead
          ? vf_ingest_finish (fetch->ahead, wheels, n_wheels, &options, results, &bytes, error)
          : vf_ingest_wheels (fetch->store, wheels, n_wheels, &options, results, &bytes, error);
  for (guint i = 0; ok && i < warnings->len; i++)
    vf_output_warning (fetch->output, "%s", (const char *)warnings->pdata[i]);
  if (fetch->new_bytes)
    *fetch->new_bytes += bytes;
  return ok;
}

static gboolean
ingest_pieces (const VfFetch *fetch, GArray *pieces, GError **error)
{
  g_autofree VfIngestWheel *wheels = g_new0 (VfIngestWheel, pieces->len);
  g_autofree VfIngestResult *results = g_new0 (VfIngestResult, pieces->len);
  gsize n = 0;
  for (guint i = 0; i < pieces->len; i++) {
    const Piece *piece = &g_array_index (pieces, Piece, i);
    if (piece->known)
      continue;
    gboolean check = piece->item->is_wheel && piece->item->has_sha256;
    wheels[n++] = (VfIngestWheel){piece->path, check ? &piece->item->sha256 : NULL};
  }
  if (n > 0 && !ingest (fetch, wheels, n, results, error))
    return FALSE;
  n = 0;
  for (guint i = 0; i < pieces->len; i++) {
    Piece *piece = &g_array_index (pieces, Piece, i);
    if (piece->known)
      continue;
    piece->wheel = results[n].wheel;
    piece->package = results[n++].package;
  }
  return TRUE;
}

/* --- download */

typedef struct {
  const VfFetch *fetch;
  VfPip *pip;
  VfProgress *progress;
  gint *begun; /* of all groups, atomic */
  guint total;
  char *directory, *list_path;
  GPtrArray *pieces; /* of this group; borrowed */
  GThread *thread;
  gboolean ok;
  GError *error;
} Download;

static void
download_clear (gpointer data)
{
  Download *download = data;
  g_free (download->directory);
  g_free (download->list_path);
  g_ptr_array_unref (download->pieces);
  g_clear_error (&download->error);
}

static void
on_download_line (const char *line, gpointer user_data)
{
  Download *download = user_data;
  if (line && (strstr (line, "Downloading ") || strstr (line, "Using cached ")))
    g_atomic_int_inc (download->begun);
  else if (!line)
    vf_progress_set_bytes (download->progress, vf_pip_downloaded_bytes (download->pip));
  gint begun = g_atomic_int_get (download->begun);
  vf_progress_update (download->progress, (guint)MAX (begun - 1, 0), download->total);
}

/* "name @ URL#sha256=…": pip checks the hash, and asks nothing of the other lines. */
static char *
exact_requirement (const VfReportItem *item)
{
  GString *text = g_string_new (item->name);
  gsize bare = strcspn (item->url, "#");
  g_string_append (text, " @ ");
  g_string_append_len (text, item->url, (gssize)bare);
  if (item->hashes[0]) {
    char **parts = g_strsplit (item->hashes[0], ":", 2);
    g_string_append_printf (text, "#%s=%s", parts[0], parts[1]);
    g_strfreev (parts);
  }
  return g_string_free (text, FALSE);
}

static gpointer
run_download (gpointer data)
{
  Download *download = data;
  g_autoptr (GPtrArray) arguments = g_ptr_array_new ();
  const char *fixed[] = {"download",          "--no-input",    "--no-deps",        "--dest",
                         download->directory, "--requirement", download->list_path};
  for (gsize i = 0; i < G_N_ELEMENTS (fixed); i++)
    g_ptr_array_add (arguments, (gpointer)fixed[i]);
  for (gsize i = 0; download->fetch->locations[i]; i++)
    g_ptr_array_add (arguments, (gpointer)download->fetch->locations[i]);
  g_ptr_array_add (arguments, NULL);
  download->ok = vf_pip_run (download->pip, (const char *const *)arguments->pdata, FALSE,
                             on_download_line, download, &download->error);
  return NULL;
}

/* The name under which pip saves what it downloads from @url. */
static char *
file_name_of_url (const char *url)
{
  g_autofree char *bare = g_strndup (url, strcspn (url, "#?"));
  const char *slash = strrchr (bare, '/');
  return g_uri_unescape_string (slash ? slash + 1 : bare, "/");
}

static gboolean
check_size (const VfReportItem *item, const struct stat *st, const char *what, GError **error)
{
  return item->size < 0 || item->size == st->st_size ||
         vf_error_set (error, VF_ERROR_INVALID,
                       "%s: has %" G_GINT64_FORMAT " bytes, the lock file says %" G_GINT64_FORMAT
                       "; get it again, or lock again",
                       what, (gint64)st->st_size, item->size);
}

static gboolean
check_downloaded (const Download *download, GError **error)
{
  for (guint i = 0; i < download->pieces->len; i++) {
    Piece *piece = download->pieces->pdata[i];
    g_autofree char *name = file_name_of_url (piece->item->url);
    struct stat st;
    if (!name)
      return vf_error_set (error, VF_ERROR_INVALID, "%s: not a file's URL", piece->item->url);
    g_free (piece->path);
    piece->path = g_build_filename (download->directory, name, NULL);
    if (stat (piece->path, &st) < 0)
      return vf_error_set (error, VF_ERROR_FAILED, "%s: pip did not download it", name);
    if (!check_size (piece->item, &st, name, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
prepare_download (Download *download, guint number, GError **error)
{
  download->directory = g_strdup_printf ("%s/download-%u", download->fetch->tmp_path, number);
  download->list_path = g_strconcat (download->directory, ".txt", NULL);
  g_autoptr (GString) list = g_string_new (NULL);
  for (guint i = 0; i < download->pieces->len; i++) {
    g_autofree char *line = exact_requirement (((Piece *)download->pieces->pdata[i])->item);
    g_string_append_printf (list, "%s\n", line);
  }
  if (mkdir (download->directory, 0700) < 0)
    return vf_error_errno (error, errno, "%s: cannot create", download->directory);
  g_autoptr (GError) cause = NULL;
  if (!g_file_set_contents (download->list_path, list->str, (gssize)list->len, &cause))
    return vf_error_set (error, VF_ERROR_FAILED, "%s", cause->message);
  return TRUE;
}

static gboolean
run_downloads (GArray *downloads, GError **error)
{
  gboolean ok = TRUE;
  for (guint i = 0; i < downloads->len && ok; i++)
    ok = prepare_download (&g_array_index (downloads, Download, i), i, error);
  if (!ok)
    return FALSE;
  for (guint i = 0; i < downloads->len; i++) {
    Download *download = &g_array_index (downloads, Download, i);
    download->thread = g_thread_try_new ("download", run_download, download, NULL);
    if (download->thread == NULL)
      run_download (download);
  }
  for (guint i = 0; i < downloads->len; i++) {
    Download *download = &g_array_index (downloads, Download, i);
    g_clear_pointer (&download->thread, g_thread_join);
    if (ok && !download->ok) {
      ok = FALSE;
      g_propagate_error (error, g_steal_pointer (&download->error));
    }
  }
  for (guint i = 0; i < downloads->len && ok; i++)
    ok = check_downloaded (&g_array_index (downloads, Download, i), error);
  return ok;
}

/* Downloads @remote (of Piece), split over a few pips. */
static gboolean
download_pieces (const VfFetch *fetch, VfPip *pip, GPtrArray *remote, GError **error)
{
  if (remote->len == 0)
    return TRUE;
  g_autoptr (VfProgress) progress =
      vf_progress_new (fetch->output, "Downloading", VF_PROGRESS_ITEMS, "wheel");
  guint n = CLAMP (remote->len / ITEMS_PER_DOWNLOAD, 1, MAX_DOWNLOADS);
  gint begun = 0;
  g_autoptr (GArray) downloads = g_array_new (FALSE, TRUE, sizeof (Download));
  g_array_set_clear_func (downloads, download_clear);
  for (guint i = 0; i < n; i++) {
    Download download = {
        .fetch = fetch,
        .pip = pip,
        .progress = progress,
        .begun = &begun,
        .total = remote->len,
        .pieces = g_ptr_array_new (),
    };
    for (guint j = i; j < remote->len; j += n)
      g_ptr_array_add (download.pieces, remote->pdata[j]);
    g_array_append_val (downloads, download);
  }
  return run_downloads (downloads, error);
}

/* --- build */

typedef struct {
  VfProgress *progress;
  guint done, total;
} Build;

static void
on_build_line (const char *line, gpointer user_data)
{
  Build *build = user_data;
  vf_progress_update (build->progress, build->done, build->total);
}

static char *
only_wheel_in (const char *directory)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name (dir)))
    if (g_str_has_suffix (name, ".whl"))
      return g_build_filename (directory, name, NULL);
  return NULL;
}

static gboolean
build_piece (const VfFetch *fetch, VfPip *pip, Piece *piece, Build *build, GError **error)
{
  g_autofree char *directory = g_strdup_printf ("%s/build-%u", fetch->tmp_path, build->done);
  g_autoptr (GPtrArray) arguments = g_ptr_array_new ();
  const char *fixed[] = {"wheel",       "--no-input", "--no-deps",
                         "--wheel-dir", directory,    piece->item->build};
  for (gsize i = 0; i < G_N_ELEMENTS (fixed); i++)
    g_ptr_array_add (arguments, (gpointer)fixed[i]);
  for (gsize i = 0; fetch->locations[i]; i++)
    g_ptr_array_add (arguments, (gpointer)fetch->locations[i]);
  g_ptr_array_add (arguments, NULL);
  if (!vf_pip_run (pip, (const char *const *)arguments->pdata, FALSE, on_build_line, build, error))
    return FALSE;
  piece->path = only_wheel_in (directory);
  if (!piece->path)
    return vf_error_set (error, VF_ERROR_FAILED, "%s: pip built no wheel of it", piece->item->name);
  return TRUE;
}

static gboolean
build_pieces (const VfFetch *fetch, VfPip *pip, GPtrArray *sources, GError **error)
{
  g_autoptr (VfProgress) progress =
      vf_progress_new (fetch->output, "Building", VF_PROGRESS_ITEMS, "wheel");
  Build build = {progress, 0, sources->len};
  for (; build.done < sources->len; build.done++)
    if (!build_piece (fetch, pip, sources->pdata[build.done], &build, error))
      return FALSE;
  return TRUE;
}

/* --- */

/* Local wheels are where they are; the size that a lock gives is checked here, the hash by the
 * ingest. */
static gboolean
locate (const VfFetch *fetch, Piece *piece, GError **error)
{
  const VfReportItem *item = piece->item;
  if (item->editable)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: an editable project cannot be part of a new environment; leave it "
                         "out, mount the environment and run 'pip install -e' in it",
                         item->name);
  if (!item->is_wheel)
    return TRUE;
  piece->wheel = item->sha256;
  if (item->has_sha256 && vf_wheel_lookup (fetch->store, &item->sha256, &piece->package)) {
    piece->known = TRUE;
    return TRUE;
  }
  struct stat st;
  piece->path = vf_report_local_path (item);
  if (!piece->path)
    return TRUE;
  if (stat (piece->path, &st) < 0)
    return vf_error_errno (error, errno, "%s: cannot read", piece->path);
  return check_size (item, &st, piece->path, error);
}

static GPtrArray *
make_resolved (GArray *pieces)
{
  GPtrArray *resolved = g_ptr_array_new_with_free_func ((GDestroyNotify)vf_resolved_free);
  for (guint i = 0; i < pieces->len; i++) {
    const Piece *piece = &g_array_index (pieces, Piece, i);
    const VfReportItem *item = piece->item;
    g_ptr_array_add (resolved, vf_resolved_new (item->name, *item->version ? item->version : "?",
                                                &piece->wheel, &piece->package, item->requested,
                                                item->direct_url));
  }
  return resolved;
}

GPtrArray *
vf_fetch_items (const VfFetch *fetch, VfPip *pip, GPtrArray *items, GError **error)
{
  g_autoptr (GArray) pieces = g_array_sized_new (FALSE, TRUE, sizeof (Piece), items->len);
  g_array_set_clear_func (pieces, piece_clear);
  g_array_set_size (pieces, items->len);
  g_autoptr (GPtrArray) remote = g_ptr_array_new ();
  g_autoptr (GPtrArray) sources = g_ptr_array_new ();
  for (guint i = 0; i < items->len; i++) {
    Piece *piece = &g_array_index (pieces, Piece, i);
    piece->item = items->pdata[i];
    if (!locate (fetch, piece, error))
      return NULL;
    if (!piece->known && !piece->path)
      g_ptr_array_add (piece->item->is_wheel ? remote : sources, piece);
  }
  if (!download_pieces (fetch, pip, remote, error) || !build_pieces (fetch, pip, sources, error) ||
      !ingest_pieces (fetch, pieces, error) || !vf_interrupt_check (error))
    return NULL;
  return make_resolved (pieces);
}

GPtrArray *
vf_fetch_wheels (const VfFetch *fetch, const char *const *paths, GError **error)
{
  gsize n = g_strv_length ((char **)paths);
  g_autofree VfIngestWheel *wheels = g_new0 (VfIngestWheel, n);
  g_autofree VfIngestResult *results = g_new0 (VfIngestResult, n);
  for (gsize i = 0; i < n; i++)
    wheels[i].path = paths[i];
  if (!ingest (fetch, wheels, n, results, error))
    return NULL;
  g_autoptr (GPtrArray) resolved =
      g_ptr_array_new_with_free_func ((GDestroyNotify)vf_resolved_free);
  for (gsize i = 0; i < n; i++) {
    g_autoptr (VfPackage) package = vf_package_load (fetch->store, &results[i].package, error);
    if (!package)
      return NULL;
    g_ptr_array_add (resolved, vf_resolved_new (package->name, package->version, &results[i].wheel,
                                                &results[i].package, TRUE, NULL));
  }
  return g_steal_pointer (&resolved);
}
