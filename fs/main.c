/* venvfsd: serves every mount of one user.
 *
 * Started by a client (tools/client.c), which hands it the listening control socket:
 *
 *   venvfsd --runtime-dir DIR --socket-fd N
 *
 * It leaves when nothing has been mounted and no client has been there for a while. Before that it
 * takes the runtime directory's lock, looks whether somebody waits at the door, and removes the
 * socket: a client that comes at that moment is either seen, or finds the connection closed before
 * it was let in, waits for the lock and starts the next daemon. */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/control.h"
#include "fs/mounts.h"
#include "fs/scope.h"
#include "layers/error.h"
#include "layers/io.h"
#include "layers/wire.h"

#define LINGER_SECONDS 5.0
#define RETRY_MSEC     100
#define SPIN_USEC      50

typedef struct {
  char *runtime_dir;
  GMainLoop *loop;
  VfPool *pool;
  VfMounts *mounts;
  VfControl *control;
  guint linger_msec;
  guint leave_source; /* 0 when no leaving is planned */
  struct stat door;   /* of the socket's name, as it was at the beginning */
  gint look_again;    /* atomic: an idle source that looks again is pending */
} Daemon;

static double
setting (const char *variable, double standard, double maximum)
{
  const char *text = g_getenv (variable);
  char *end = NULL;
  double value = text != NULL ? g_ascii_strtod (text, &end) : 0;
  return end != NULL && end != text && *end == '\0' && value >= 0 && value <= maximum ? value
                                                                                      : standard;
}

static gboolean
daemon_is_idle (Daemon *daemon)
{
  return vf_mounts_count (daemon->mounts) == 0 && vf_control_n_clients (daemon->control) == 0;
}

static char *
door_path (const Daemon *daemon)
{
  return g_build_filename (daemon->runtime_dir, VF_WIRE_SOCKET, NULL);
}

/* If the runtime directory was emptied meanwhile, another daemon's socket has that name now. */
static gboolean
door_is_own (const Daemon *daemon, const char *door)
{
  struct stat st;
  return lstat (door, &st) == 0 && st.st_dev == daemon->door.st_dev &&
         st.st_ino == daemon->door.st_ino;
}

/* TRUE when it leaves: the lock is then kept until the process is gone. */
static gboolean
daemon_close_door (Daemon *daemon)
{
  g_autofree char *lock = g_build_filename (daemon->runtime_dir, VF_WIRE_LOCK, NULL);
  g_autofree char *door = door_path (daemon);
  VF_AUTOFD fd = open (lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  /* Without its directory nobody finds this daemon any more. */
  if (fd < 0)
    return TRUE;
  if (flock (fd, LOCK_EX | LOCK_NB) < 0 || vf_control_is_awaited (daemon->control))
    return FALSE;
  if (door_is_own (daemon, door))
    unlink (door);
  vf_fd_steal (&fd);
  return TRUE;
}

static gboolean
daemon_leave (gpointer user_data)
{
  Daemon *daemon = user_data;
  daemon->leave_source = 0;
  if (!daemon_is_idle (daemon))
    return G_SOURCE_REMOVE;
  if (daemon_close_door (daemon))
    g_main_loop_quit (daemon->loop);
  else
    daemon->leave_source = g_timeout_add (RETRY_MSEC, daemon_leave, daemon);
  return G_SOURCE_REMOVE;
}

static void
daemon_changed (gpointer user_data)
{
  Daemon *daemon = user_data;
  g_clear_handle_id (&daemon->leave_source, g_source_remove);
  if (daemon_is_idle (daemon))
    daemon->leave_source = g_timeout_add (daemon->linger_msec, daemon_leave, daemon);
}

static gboolean
daemon_look (gpointer user_data)
{
  Daemon *daemon = user_data;
  g_atomic_int_set (&daemon->look_again, FALSE);
  malloc_trim (0);
  daemon_changed (daemon);
  return G_SOURCE_REMOVE;
}

/* From any thread. */
static void
daemon_mount_gone (gpointer user_data)
{
  Daemon *daemon = user_data;
  if (g_atomic_int_compare_and_exchange (&daemon->look_again, FALSE, TRUE))
    g_idle_add (daemon_look, daemon);
}

static gboolean
daemon_mount (VfMountRequest *request, gpointer user_data, GError **error)
{
  Daemon *daemon = user_data;
  return vf_mounts_add (daemon->mounts, request, error);
}

static gboolean
daemon_switch (const VfSwitchRequest *request, gpointer user_data, char ***out_hidden,
               GError **error)
{
  Daemon *daemon = user_data;
  return vf_mounts_switch (daemon->mounts, request, out_hidden, error);
}

static GVariant *
daemon_list (gpointer user_data)
{
  Daemon *daemon = user_data;
  return vf_mounts_list (daemon->mounts);
}

static const VfControlHandler handler = {
    .mount = daemon_mount,
    .switch_image = daemon_switch,
    .list = daemon_list,
    .changed = daemon_changed,
};

static gboolean
daemon_stop (gpointer user_data)
{
  Daemon *daemon = user_data;
  g_message ("told to end; %u mounted", vf_mounts_count (daemon->mounts));
  g_main_loop_quit (daemon->loop);
  return G_SOURCE_CONTINUE;
}

/* Whoever asks needs a processor too, and each worker more is one that is woken for nothing now and
 * then: with one instead of two, on two processors, a lookup takes a sixth less. */
static guint
default_workers (void)
{
  return CLAMP (g_get_num_processors () / 2, 1, 4);
}

static gboolean
daemon_run (Daemon *daemon, int socket_fd, GError **error)
{
  guint n_workers = (guint)setting ("VENVFS_WORKERS", default_workers (), 64);
  daemon->linger_msec = (guint)(setting ("VENVFS_LINGER", LINGER_SECONDS, 1e6) * 1000);
  guint spin_usec =
      (guint)setting ("VENVFS_SPIN", g_get_num_processors () > 1 ? SPIN_USEC : 0, 1e6);
  daemon->pool = vf_pool_new (n_workers, spin_usec, error);
  if (daemon->pool == NULL)
    return FALSE;
  daemon->mounts = vf_mounts_new (daemon->pool, daemon_mount_gone, daemon);
  daemon->control = vf_control_new (socket_fd, &handler, daemon, error);
  if (daemon->control == NULL)
    return FALSE;
  g_autofree char *door = door_path (daemon);
  if (lstat (door, &daemon->door) < 0)
    return vf_error_errno (error, errno, "%s: the daemon's socket is not there", door);
  daemon->loop = g_main_loop_new (NULL, FALSE);
  g_unix_signal_add (SIGTERM, daemon_stop, daemon);
  g_unix_signal_add (SIGINT, daemon_stop, daemon);
  g_autofree char *bus = vf_scope_bus_address ();
  vf_scope_enter (bus);
  daemon_changed (daemon);
  g_message ("venvfsd " VF_VERSION ", process %d", (int)getpid ());
  g_main_loop_run (daemon->loop);
  return TRUE;
}

static void
daemon_clear (Daemon *daemon)
{
  g_clear_pointer (&daemon->control, vf_control_free);
  g_clear_pointer (&daemon->pool, vf_pool_free);
  g_clear_pointer (&daemon->mounts, vf_mounts_free);
  g_clear_pointer (&daemon->loop, g_main_loop_unref);
  g_clear_pointer (&daemon->runtime_dir, g_free);
}

static void
raise_limit (int resource)
{
  struct rlimit limit;
  if (getrlimit (resource, &limit) < 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit (resource, &limit);
}

int
main (int argc, char **argv)
{
  Daemon daemon = {0};
  int socket_fd = -1;
  const GOptionEntry entries[] = {
      {"runtime-dir", 0, 0, G_OPTION_ARG_FILENAME, &daemon.runtime_dir, "Where the lock is", "DIR"},
      {"socket-fd", 0, 0, G_OPTION_ARG_INT, &socket_fd, "The listening socket", "N"},
      {NULL},
  };
  /* Many threads, small allocations: arenas of their own would only cost memory. */
  mallopt (M_ARENA_MAX, 2);
  mallopt (M_TRIM_THRESHOLD, 64 * 1024);
  g_autoptr (GError) error = NULL;
  g_autoptr (GOptionContext) context = g_option_context_new ("- serve venvfs mounts");
  g_option_context_set_description (context, "Started by venvfs(1) when it is needed.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("venvfsd: %s\n", error->message);
    return 2;
  }
  if (daemon.runtime_dir == NULL || socket_fd < 0) {
    g_printerr ("venvfsd: is started by venvfs when it is needed; run: venvfs mount\n");
    return 2;
  }
  signal (SIGPIPE, SIG_IGN);
  signal (SIGHUP, SIG_IGN);
  /* Whoever writes has limits of their own, which the kernel has checked. */
  signal (SIGXFSZ, SIG_IGN);
  raise_limit (RLIMIT_FSIZE);
  umask (0);
  /* Each mount takes a few descriptors, and the overlays keep caches of them. */
  raise_limit (RLIMIT_NOFILE);
  fcntl (socket_fd, F_SETFD, FD_CLOEXEC);
  gboolean done = daemon_run (&daemon, socket_fd, &error);
  if (!done)
    g_printerr ("venvfsd: %s\n", error->message);
  daemon_clear (&daemon);
  return done ? 0 : 1;
}
