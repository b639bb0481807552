/* venvfs doctor */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "layers/error.h"
#include "tools/fuse-mount.h"
#include "tools/interrupt.h"
#include "tools/mounting.h"
#include "tools/store-probe.h"
#include "tools/verb.h"

#define KERNEL_MAJOR   6
#define KERNEL_MINOR   1
#define OPEN_FILES_MIN 4096
#define FREE_BYTES_MIN (1ull << 30)
/* Of the mounts that the kernel allows, how many in a hundred may be there already. */
#define MOUNTS_PERCENT 90

typedef enum { OK, WARNING, PROBLEM } Verdict;

typedef struct {
  VfOutput *output;
  JsonArray *checks; /* NULL without --json */
  guint n_problems;
} Examination;

static void tell (Examination *examination, Verdict verdict, const char *subject,
                  const char *format, ...) G_GNUC_PRINTF (4, 5);

static void
tell (Examination *examination, Verdict verdict, const char *subject, const char *format, ...)
{
  static const char *const names[] = {"ok", "warning", "problem"};
  va_list list;
  va_start (list, format);
  g_autofree char *text = g_strdup_vprintf (format, list);
  va_end (list);
  examination->n_problems += verdict == PROBLEM;
  vf_output_data (examination->output, "%-8s %-12s %s", names[verdict], subject, text);
  if (examination->checks == NULL)
    return;
  JsonObject *check = json_object_new ();
  json_object_set_string_member (check, "subject", subject);
  json_object_set_string_member (check, "verdict", names[verdict]);
  json_object_set_string_member (check, "text", text);
  json_array_add_object_element (examination->checks, check);
}

static void
examine_kernel (Examination *examination)
{
  struct utsname name;
  unsigned major = 0, minor = 0;
  uname (&name);
  sscanf (name.release, "%u.%u", &major, &minor);
  gboolean enough = major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR);
  tell (examination, enough ? OK : PROBLEM, "kernel", "Linux %s%s", name.release,
        enough ? "" : "; 6.1 is the oldest that is supported");
}

static void
examine_fuse (Examination *examination)
{
  if (access ("/dev/fuse", F_OK) < 0)
    tell (examination, PROBLEM, "/dev/fuse",
          "is not there; load the module (modprobe fuse), or give the container the device");
  else if (access ("/dev/fuse", R_OK | W_OK) < 0)
    tell (examination, PROBLEM, "/dev/fuse",
          "is closed to ordinary users; root can open it: chmod 0666 /dev/fuse");
  else
    tell (examination, OK, "/dev/fuse", "is there");
  g_autofree char *program = vf_fuse_find_fusermount ();
  gboolean root = geteuid () == 0;
  if (program != NULL)
    tell (examination, OK, "fusermount3", "%s", program);
  else
    tell (examination, root ? OK : PROBLEM, "fusermount3", "%s",
          root ? "is not installed; root does without"
               : "is not installed; install the package fuse3");
}

static void
examine_fuse_settings (Examination *examination)
{
  g_autofree char *text = NULL;
  g_file_get_contents ("/etc/fuse.conf", &text, NULL, NULL);
  gboolean others = FALSE;
  g_auto (GStrv) lines = g_strsplit (text != NULL ? text : "", "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    others |= g_str_equal (g_strstrip (*line), "user_allow_other");
  if (geteuid () != 0)
    tell (examination, OK, "allow-other", "%s",
          others ? "is open to ordinary users (user_allow_other in /etc/fuse.conf)"
                 : "needs the line user_allow_other in /etc/fuse.conf");
}

static void
examine_daemon (Examination *examination)
{
  g_autoptr (GError) cause = NULL;
  g_autofree char *program = vf_client_find_daemon (&cause);
  if (program == NULL || access (program, X_OK) < 0) {
    tell (examination, PROBLEM, "daemon", "%s",
          program != NULL ? "VENVFS_DAEMON names no program" : cause->message);
    return;
  }
  g_autoptr (VfClient) client = vf_client_new (FALSE, &cause);
  g_autofree char *version = client != NULL ? vf_client_version (client, &cause) : NULL;
  if (version == NULL && g_error_matches (cause, VF_ERROR, VF_ERROR_NOT_FOUND))
    tell (examination, OK, "daemon", "%s; does not run, since nothing is mounted", program);
  else if (version == NULL)
    tell (examination, PROBLEM, "daemon", "%s", cause->message);
  else if (!g_str_equal (version, VF_VERSION))
    tell (examination, WARNING, "daemon",
          "version %s runs, and this is %s; unmount all, and the next mount starts the new one",
          version, VF_VERSION);
  else
    tell (examination, OK, "daemon", "version %s runs", version);
}

static void
examine_store (Examination *examination, VfStore *store)
{
  g_autoptr (GError) cause = NULL;
  VfStoreProbe probe;
  if (!vf_store_probe (store, &probe, &cause)) {
    tell (examination, PROBLEM, "store", "%s", cause->message);
    return;
  }
  const char *path = vf_store_path (store);
  g_autofree char *room = vf_output_bytes (probe.free_bytes);
  tell (examination, probe.free_bytes < FREE_BYTES_MIN ? WARNING : OK, "store", "%s (%s), %s free",
        path, probe.type, room);
  tell (examination, probe.user_xattrs ? OK : PROBLEM, "attributes",
        probe.user_xattrs
            ? "user.* attributes work on %s"
            : "user.* attributes do not work on %s; put the store elsewhere (--store)",
        path);
  tell (examination, probe.whiteouts ? OK : PROBLEM, "whiteouts",
        probe.whiteouts ? "can be made on %s"
                        : "cannot be made on %s; put the store elsewhere "
                          "(--store)",
        path);
  tell (examination, OK, "reflinks", "%s",
        probe.reflinks ? "work: a copy-up costs nothing" : "do not work: a copy-up copies");
}

static void
examine_limits (Examination *examination)
{
  struct rlimit files = {0};
  getrlimit (RLIMIT_NOFILE, &files);
  gboolean enough = files.rlim_max >= OPEN_FILES_MIN;
  tell (examination, enough ? OK : WARNING, "open files", "at most %llu%s",
        (unsigned long long)files.rlim_max, enough ? "" : "; raise the limit (ulimit -Hn)");
  g_autofree char *text = NULL;
  g_autoptr (GPtrArray) table = vf_mountinfo_read (NULL);
  if (table == NULL || !g_file_get_contents ("/proc/sys/fs/mount-max", &text, NULL, NULL))
    return;
  guint64 max = g_ascii_strtoull (text, NULL, 10);
  gboolean room = table->len * 100ull < max * MOUNTS_PERCENT;
  tell (examination, room ? OK : WARNING, "mounts", "%u of %" G_GUINT64_FORMAT "%s", table->len,
        max, room ? "" : "; raise fs.mount-max with sysctl");
}

/* Every environment of the store whose daemon was killed is mounted again. */
static gboolean
repair_environments (Examination *examination, VfStore *store, GError **error)
{
  g_auto (GStrv) names = vf_environment_list (store, error);
  for (char **name = names; name != NULL && *name != NULL; name++) {
    if (!vf_interrupt_check (error))
      return FALSE;
    g_autoptr (GError) cause = NULL;
    gboolean repaired = FALSE;
    g_autoptr (VfEnvironment) environment = vf_environment_open (store, *name, &cause);
    if (environment == NULL || !vf_mounting_repair (store, environment, &repaired, &cause))
      tell (examination, PROBLEM, "environment", "%s", cause->message);
    else if (repaired)
      tell (examination, OK, "environment", "%s: its mount was dead; mounted again", *name);
  }
  return names != NULL;
}

/* Dead mounts of no environment that is known: of another store, which may mount them again, or
 * deleted since. */
static gboolean
find_strays (Examination *examination, GError **error)
{
  g_autoptr (VfMounted) mounted = vf_mounted_new (error);
  if (mounted == NULL)
    return FALSE;
  for (guint i = mounted->table->len; i-- > 0;) {
    const VfMountEntry *entry = g_ptr_array_index (mounted->table, i);
    if (!g_str_equal (entry->type, VF_MOUNT_TYPE) || entry->owner != geteuid () ||
        !vf_fuse_is_dead (entry->path))
      continue;
    tell (examination, WARNING, "mount", VF_MOUNTED_STRAY, entry->path, entry->path);
  }
  return TRUE;
}

static gboolean
run (VfInvocation *invocation, char **arguments, GError **error)
{
  if (!vf_verb_check_arguments (invocation, arguments, 0, 0, error))
    return FALSE;
  JsonObject *result = vf_output_result (invocation->output);
  Examination examination = {.output = invocation->output};
  if (result != NULL) {
    examination.checks = json_array_new ();
    json_object_set_array_member (result, "checks", examination.checks);
  }
  examine_kernel (&examination);
  examine_fuse (&examination);
  examine_fuse_settings (&examination);
  examine_daemon (&examination);
  examine_limits (&examination);
  g_autoptr (GError) cause = NULL;
  g_autoptr (VfStore) store = vf_verb_open_store (invocation, &cause);
  if (store == NULL)
    tell (&examination, PROBLEM, "store", "%s", cause->message);
  else
    examine_store (&examination, store);
  if ((store != NULL && !repair_environments (&examination, store, error)) ||
      !find_strays (&examination, error))
    return FALSE;
  if (examination.n_problems == 0)
    return TRUE;
  g_autofree char *problems = vf_output_count (examination.n_problems, "problem");
  return vf_error_set (error, VF_ERROR_FAILED, "%s found; each line above says what to do",
                       problems);
}

extern const VfVerb vf_verb_doctor;
const VfVerb vf_verb_doctor = {
    .name = "doctor",
    .arguments = NULL,
    .summary = "Check what venvfs needs from this machine, and repair mounts",
    .description = "Checks kernel, FUSE, daemon, limits and the store's file system, and mounts\n"
                   "again what is dead because its daemon was killed.",
    .examples = "  venvfs doctor",
    .run = run,
};
