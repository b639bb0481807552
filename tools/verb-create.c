/* venvfs create NAME [PACKAGE…] */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "layers/environment.h"
#include "layers/error.h"
#include "layers/wheel.h"
#include "tools/find-python.h"
#include "tools/interrupt.h"
#include "tools/pip-options.h"
#include "tools/progress.h"
#include "tools/resolve.h"
#include "tools/suggest.h"
#include "tools/verb.h"

static char *python_request, *lock, *prompt;
static char **files, **constraints, **accept_rules;
static gboolean without_pip, system_site_packages, no_compile;

static const GOptionEntry entries[] = {
    {"python", 'p', 0, G_OPTION_ARG_FILENAME, &python_request,
     "Version, name on PATH or path (default: python3)", "PYTHON"},
    {"requirement", 'r', 0, G_OPTION_ARG_FILENAME_ARRAY, &files, "Requirements file; repeatable",
     "FILE"},
    {"constraint", 'c', 0, G_OPTION_ARG_FILENAME_ARRAY, &constraints,
     "Constraints file; repeatable", "FILE"},
    {"lock", 0, 0, G_OPTION_ARG_FILENAME, &lock, "Lock file (PEP 751) instead of requirements",
     "PYLOCK"},
    {"prompt", 0, 0, G_OPTION_ARG_FILENAME, &prompt, "Prompt when activated (default: NAME)",
     "TEXT"},
    {"system-site-packages", 0, 0, G_OPTION_ARG_NONE, &system_site_packages,
     "Let the base Python's packages show", NULL},
    {"without-pip", 0, 0, G_OPTION_ARG_NONE, &without_pip, "Put no pip into it", NULL},
    {"no-compile", 0, 0, G_OPTION_ARG_NONE, &no_compile, "Leave out bytecode", NULL},
    {"accept", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &accept_rules,
     "Accept wheels that break this rule; repeatable", "RULE"},
    {NULL},
};

static gboolean
check_rules (GError **error)
{
  gsize n;
  const VfWheelRule *rules = vf_wheel_rules (&n);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  for (gsize i = 0; i < n; i++)
    if (rules[i].acceptable)
      g_ptr_array_add (names, (gpointer)rules[i].name);
  g_ptr_array_add (names, NULL);
  for (gsize i = 0; accept_rules && accept_rules[i]; i++) {
    if (g_strv_contains ((const char *const *)names->pdata, accept_rules[i]))
      continue;
    const char *near = vf_suggest (accept_rules[i], (const char *const *)names->pdata);
    g_autofree char *all = g_strjoinv (", ", (char **)names->pdata);
    if (near)
      return vf_error_set (error, VF_ERROR_USAGE, "--accept %s: no such rule; did you mean %s?",
                           accept_rules[i], near);
    return vf_error_set (error, VF_ERROR_USAGE,
                         "--accept %s: no rule that can be accepted; those "
                         "are %s",
                         accept_rules[i], all);
  }
  return TRUE;
}

/* pip takes a wheel that is not there for a name, and complains about that. */
static gboolean
check_wheel_files (char **packages, GError **error)
{
  for (gsize i = 0; packages[i]; i++)
    if (g_str_has_suffix (packages[i], ".whl") && !strstr (packages[i], ":/") &&
        !strchr (packages[i], '@') && access (packages[i], R_OK) < 0)
      return vf_error_errno (error, errno, "%s: cannot read this wheel", packages[i]);
  return TRUE;
}

/* What can be said before anything is done. */
static gboolean
check (const VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 1, -1, error))
    return FALSE;
  if (invocation->name)
    return vf_error_set (error, VF_ERROR_USAGE,
                         "create: the name is the first argument, not -n; usage: venvfs create %s",
                         invocation->verb->arguments);
  if (lock && (arguments[1] || files || constraints))
    return vf_error_set (error, VF_ERROR_USAGE,
                         "create: --lock names every package; it takes no others beside it");
  return check_rules (error) && vf_environment_check_name (arguments[0], error) &&
         check_wheel_files (arguments + 1, error);
}

/* As with `python -m venv --prompt .`: the directory's name. */
static char *
choose_prompt (const char *name)
{
  if (!prompt)
    return g_strdup (name);
  if (strcmp (prompt, ".") != 0)
    return g_strdup (prompt);
  g_autofree char *directory = g_get_current_dir ();
  return g_path_get_basename (directory);
}

static gboolean
check_absent (VfStore *store, const char *name, GError **error)
{
  g_autoptr (GError) cause = NULL;
  g_autoptr (VfEnvironment) there = vf_environment_open (store, name, &cause);
  if (there || !g_error_matches (cause, VF_ERROR, VF_ERROR_NOT_FOUND))
    return vf_error_set (error, VF_ERROR_EXISTS,
                         "%s: there is an environment of this name already; 'venvfs delete %s' "
                         "removes it",
                         name, name);
  return TRUE;
}

static gboolean
on_compiled (gsize done, gsize total, gpointer user_data)
{
  vf_progress_update (user_data, done, total);
  return !vf_interrupted ();
}

static gboolean
compile (VfStore *store, VfOutput *output, const VfMergeInput *input, GError **error)
{
  g_autoptr (GPtrArray) packages = g_ptr_array_new_with_free_func ((GDestroyNotify)vf_package_free);
  for (guint i = 0; i < input->installed->len; i++) {
    const VfInstalled *installed = input->installed->pdata[i];
    VfPackage *package = vf_package_load (store, &installed->digest, error);
    if (!package)
      return FALSE;
    g_ptr_array_add (packages, package);
  }
  g_autoptr (VfProgress) progress =
      vf_progress_new (output, "Compiling", VF_PROGRESS_ITEMS, "module");
  return vf_bytecode_compile (store, input->interpreter, (VfPackage *const *)packages->pdata,
                              packages->len, 0, on_compiled, progress, error);
}

/* The image: as it is in the store, else made. */
static gboolean
provide_image (VfStore *store, VfOutput *output, const VfMergeInput *input, VfDigest *out_id,
               GError **error)
{
  gboolean compiled = vf_merge_image_id (store, input, out_id, NULL); /* it hashes all bytecode */
  if (compiled) {
    g_autofree char *relative = vf_digest_path ("images/", out_id);
    if (vf_store_reuse (store, relative))
      return TRUE;
  }
  if (input->compile && !compiled && !compile (store, output, input, error))
    return FALSE;
  if (!vf_interrupt_check (error))
    return FALSE;
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  gboolean ok = vf_merge_build (store, input, warnings, out_id, error);
  for (guint i = 0; ok && i < warnings->len; i++)
    vf_output_warning (output, "%s", (const char *)warnings->pdata[i]);
  return ok;
}

static void
report (const VfInvocation *invocation, const char *name, const VfGeneration *generation,
        const VfAnswer *answer)
{
  gint64 usec = g_get_monotonic_time () - invocation->start_usec;
  g_autofree char *count = vf_output_count (answer->packages->len, "package");
  g_autofree char *duration = vf_output_duration (usec);
  if (answer->new_bytes > 0) {
    g_autofree char *bytes = vf_output_bytes (answer->new_bytes);
    vf_output_line (invocation->output, "Added %s to the store", bytes);
  }
  vf_output_line (invocation->output, "Created %s (Python %s, %s) in %s", name,
                  generation->python_version, count, duration);
  JsonObject *result = vf_output_result (invocation->output);
  if (!result)
    return;
  char image[VF_DIGEST_HEX + 1];
  vf_digest_to_hex (&generation->image, image);
  JsonArray *packages = json_array_new ();
  for (guint i = 0; i < answer->packages->len; i++) {
    const VfResolved *resolved = answer->packages->pdata[i];
    JsonObject *package = json_object_new ();
    json_object_set_string_member (package, "name", resolved->name);
    json_object_set_string_member (package, "version", resolved->version);
    json_object_set_boolean_member (package, "requested", resolved->requested);
    json_array_add_object_element (packages, package);
  }
  json_object_set_string_member (result, "name", name);
  json_object_set_string_member (result, "python", generation->python);
  json_object_set_string_member (result, "python_version", generation->python_version);
  json_object_set_string_member (result, "image", image);
  json_object_set_array_member (result, "packages", packages);
  json_object_set_int_member (result, "new_bytes", (gint64)answer->new_bytes);
  json_object_set_boolean_member (result, "remembered", answer->remembered);
  json_object_set_int_member (result, "usec", usec);
}

/* Packages, image, environment, in this order: what is published refers to what is there. */
static gboolean
make (const VfInvocation *invocation, VfStore *store, const VfInterpreter *interpreter,
      const char *name, const VfRequest *request, GError **error)
{
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, error);
  g_auto (VfAnswer) answer = {0};
  if (!write || !vf_resolve (store, interpreter, invocation->output, request, &answer, error))
    return FALSE;
  g_autoptr (GPtrArray) installed =
      g_ptr_array_new_with_free_func ((GDestroyNotify)vf_installed_free);
  for (guint i = 0; i < answer.packages->len; i++) {
    const VfResolved *resolved = answer.packages->pdata[i];
    g_ptr_array_add (installed, vf_installed_new (&resolved->package, resolved->requested,
                                                  resolved->direct_url));
  }
  VfMergeInput input = {
      .interpreter = interpreter,
      .installed = installed,
      .system_site_packages = system_site_packages,
      .compile = !no_compile,
  };
  VfGeneration first = {
      .number = 1,
      .python = interpreter->executable,
      .python_version = interpreter->version,
      .cache_tag = interpreter->cache_tag,
      .system_site_packages = system_site_packages,
      .compile = !no_compile,
      .installed = installed,
      .created = g_get_real_time () / G_USEC_PER_SEC,
  };
  if (!provide_image (store, invocation->output, &input, &first.image, error) ||
      !vf_interrupt_check (error))
    return FALSE;
  g_autofree char *shown = choose_prompt (name);
  g_autoptr (VfEnvironment) environment = vf_environment_create (store, name, shown, &first, error);
  if (!environment)
    return FALSE;
  report (invocation, name, &first, &answer);
  return TRUE;
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!check (invocation, arguments, error))
    return FALSE;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, error);
  if (!store || !check_absent (store, arguments[0], error))
    return FALSE;
  g_autoptr (VfInterpreter) interpreter = vf_find_python (store, python_request, error);
  if (!interpreter)
    return FALSE;
  g_auto (GStrv) index_options = vf_pip_options_collect ();
  VfRequest request = {
      .packages = (const char *const *)arguments + 1,
      .files = (const char *const *)files,
      .constraints = (const char *const *)constraints,
      .lock = lock,
      .index_options = (const char *const *)index_options,
      .accept = (const char *const *)accept_rules,
      .seeded = !without_pip,
  };
  return make (invocation, store, interpreter, arguments[0], &request, error);
}

extern const VfVerb vf_verb_create;
const VfVerb vf_verb_create = {
    .name = "create",
    .arguments = "NAME [PACKAGE…]",
    .makes_name = TRUE,
    .summary = "Make an environment",
    .description =
        "Packages are requirements as pip knows them: names with versions, wheel files,\n"
        "projects, URLs. pip resolves and downloads them, with its own configuration,\n"
        "credentials and proxies; what the store has is neither downloaded nor unpacked\n"
        "again. pip itself is put into the environment too (below Python 3.12 also\n"
        "setuptools). The environment then waits to be mounted.\n\n"
        "PYTHON is a version (3.13, 3.13.0), a name on PATH, a version of pyenv, a path;\n"
        "of a virtual environment its base is taken.",
    .examples = "  venvfs create proj --python 3.13 -r requirements.txt\n"
                "  venvfs create tools black 'pytest>=8' ./mine-1.0-py3-none-any.whl\n"
                "  venvfs create app --lock pylock.toml      exactly what a lock file says",
    .entries = entries,
    .more_entries = vf_pip_option_entries,
    .more_title = "Where packages come from",
    .run = run,
};
