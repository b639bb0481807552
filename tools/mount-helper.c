/* mount.fuse.venvfs: what mount(8) runs for file systems of type fuse.venvfs, so that /etc/fstab
 * and systemd's mount units work.
 *
 *   mount.fuse.venvfs NAME DIRECTORY -o …                             an environment
 *   mount.fuse.venvfs SOURCE DIRECTORY -o lowerdir=…,upperdir=…,workdir=…    any directories
 *
 * Exits as mount(8) does: 0, 1 for a wrong call, 32 for a mount that failed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "layers/error.h"
#include "tools/fuse-mount.h"
#include "tools/interrupt.h"
#include "tools/mount-options.h"
#include "tools/mounting.h"
#include "tools/stack-mount.h"

#define EXIT_USAGE 1
#define EXIT_FAIL  32

typedef struct {
  const char *source, *where;
  gboolean sloppy, fake;
  VfMountOptions options;
} Call;

static void
call_clear (Call *call)
{
  vf_mount_options_clear (&call->options);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Call, call_clear)

static gboolean
usage (GError **error)
{
  return vf_error_set (
      error, VF_ERROR_USAGE,
      "is called by mount(8): mount -t fuse.venvfs NAME DIRECTORY, or: mount -t "
      "fuse.venvfs SOURCE DIRECTORY -o lowerdir=DIR[:DIR…],upperdir=DIR,workdir=DIR");
}

/* As mount(8) calls its helpers: source and directory come first, options may come in any order. */
static gboolean
parse (Call *call, int argc, char **argv, GError **error)
{
  int option;
  optind = 1;
  opterr = 0;
  while ((option = getopt (argc, argv, "sfnvrwo:t:N:")) != -1) {
    const char *text = option == 'o' ? optarg : option == 'r' ? "ro" : option == 'w' ? "rw" : "";
    if (option == '?')
      return usage (error);
    call->sloppy |= option == 's';
    call->fake |= option == 'f';
    if (!vf_mount_options_parse (&call->options, text, call->sloppy, error))
      return FALSE;
  }
  if (argc - optind != 2)
    return usage (error);
  call->source = argv[optind];
  call->where = argv[optind + 1];
  gboolean some = call->options.lower || call->options.upper || call->options.work;
  gboolean all = call->options.lower && call->options.upper && call->options.work;
  return some == all || call->options.remount ||
         vf_error_set (error, VF_ERROR_USAGE, "lowerdir, upperdir and workdir go together");
}

static gboolean
mount_stack (const Call *call, VfStore *store, GError **error)
{
  const VfMountOptions *options = &call->options;
  VfStackMount mount = {.lower = (const char *const *)options->lower,
                        .upper = options->upper,
                        .work = options->work,
                        .source = call->source,
                        .allow_other = options->allow_other,
                        .flags = options->flags};
  g_autoptr (GPtrArray) warnings = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *path = NULL;
  gboolean done = vf_stack_mount (store, &mount, call->where, warnings, &path, error);
  for (guint i = 0; i < warnings->len; i++)
    fprintf (stderr, "mount.fuse.venvfs: warning: %s\n", (const char *)warnings->pdata[i]);
  return done;
}

/* mount(8) makes a path of a source that there is in its current directory, which is / for systemd:
 * the environment whose name leads there. More than one does so by links only. */
static const char *
name_behind (const char *source, char **names)
{
  const char *found = NULL;
  for (char **name = names; name != NULL && *name != NULL; name++) {
    g_autofree char *path = realpath (*name, NULL);
    if (g_strcmp0 (path, source) != 0)
      continue;
    if (found != NULL)
      return source;
    found = *name;
  }
  return found != NULL ? found : source;
}

static gboolean
mount_environment (const Call *call, VfStore *store, GError **error)
{
  VfMountingOptions options = {.allow_other = call->options.allow_other,
                               .flags = call->options.flags};
  g_autofree char *path = NULL;
  g_auto (GStrv) names =
      g_path_is_absolute (call->source) ? vf_environment_list (store, NULL) : NULL;
  g_autoptr (VfEnvironment) environment =
      vf_environment_open (store, name_behind (call->source, names), error);
  return environment != NULL &&
         vf_mounting_mount (store, environment, call->where, &options, &path, error);
}

static gboolean
run (Call *call, GError **error)
{
  g_autofree char *standard = vf_store_default_path ();
  if (call->fake)
    return TRUE;
  if (call->options.remount)
    return vf_fuse_remount (call->where, &call->options.flags, error);
  g_autoptr (VfStore) store =
      vf_store_open (call->options.store != NULL ? call->options.store : standard, error);
  if (store == NULL)
    return FALSE;
  return call->options.lower != NULL ? mount_stack (call, store, error)
                                     : mount_environment (call, store, error);
}

int
main (int argc, char **argv)
{
  g_auto (Call) call = {0};
  g_autoptr (GError) error = NULL;
  vf_interrupt_install ();
  if (parse (&call, argc, argv, &error) && run (&call, &error))
    return 0;
  fprintf (stderr, "mount.fuse.venvfs: %s\n", error->message);
  return g_error_matches (error, VF_ERROR, VF_ERROR_USAGE) ? EXIT_USAGE : EXIT_FAIL;
}
