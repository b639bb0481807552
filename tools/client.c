#include "tools/client.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "layers/wire.h"
#include "tools/interrupt.h"
#include "tools/runtime-dir.h"

/* A daemon that leaves while we knock costs one attempt. */
#define ATTEMPTS         5
#define GREET_SECONDS    30
#define CALL_MSEC        60000
#define LOG_MAX_BYTES    (1 << 20)
#define DAEMON_SOCKET_FD 3

extern char **environ;

struct VfClient {
  GDBusConnection *connection;
};

char *
vf_client_find_daemon (GError **error)
{
  const char *given = g_getenv ("VENVFS_DAEMON");
  if (given != NULL)
    return g_strdup (given);
  g_autofree char *program = g_file_read_link ("/proc/self/exe", error);
  if (program == NULL)
    return NULL;
  g_autofree char *folder = g_path_get_dirname (program);
  g_autofree char *prefix = g_path_get_dirname (folder);
  const char *places[] = {"fs/venvfsd", "libexec/venvfs/venvfsd"};
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++) {
    g_autofree char *path = g_build_filename (prefix, places[i], NULL);
    if (access (path, X_OK) == 0)
      return g_steal_pointer (&path);
  }
  if (access (VF_DAEMON_PATH, X_OK) == 0)
    return g_strdup (VF_DAEMON_PATH);
  vf_error_set (
      error, VF_ERROR_NOT_FOUND,
      "venvfsd: is neither beside %s nor at %s; install venvfs again, or set VENVFS_DAEMON",
      program, VF_DAEMON_PATH);
  return NULL;
}

/* The socket's address by way of the directory's descriptor: a path may be longer than the 108
 * bytes there are. */
static struct sockaddr_un
socket_address (int dir_fd)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir_fd,
              VF_WIRE_SOCKET);
  return address;
}

/* A connected socket, or -1 with errno: ENOENT or ECONNREFUSED when no daemon listens. */
static int
connect_socket (int dir_fd)
{
  struct sockaddr_un address = socket_address (dir_fd);
  VF_AUTOFD fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect (fd, (struct sockaddr *)&address, sizeof address) < 0)
    return -1;
  return vf_fd_steal (&fd);
}

static int
open_log (int dir_fd)
{
  int fd =
      openat (dir_fd, VF_WIRE_LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct stat st;
  if (fd >= 0 && fstat (fd, &st) == 0 && st.st_size > LOG_MAX_BYTES && ftruncate (fd, 0) < 0)
    return fd; /* it only grows further */
  return fd;
}

static gboolean
spawn_daemon (int dir_fd, int listen_fd, GError **error)
{
  g_autofree char *program = vf_client_find_daemon (error);
  g_autofree char *runtime_dir = vf_runtime_dir_path ();
  VF_AUTOFD log_fd = open_log (dir_fd);
  if (program == NULL)
    return FALSE;

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init (&actions);
  posix_spawn_file_actions_addopen (&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (log_fd >= 0)
    posix_spawn_file_actions_adddup2 (&actions, log_fd, STDOUT_FILENO);
  else
    posix_spawn_file_actions_addopen (&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2 (&actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_adddup2 (&actions, listen_fd, DAEMON_SOCKET_FD);
  posix_spawn_file_actions_addclosefrom_np (&actions, DAEMON_SOCKET_FD + 1);
  posix_spawn_file_actions_addchdir_np (&actions, "/");

  posix_spawnattr_t attributes;
  sigset_t none, all;
  sigemptyset (&none);
  sigfillset (&all);
  posix_spawnattr_init (&attributes);
  posix_spawnattr_setsigmask (&attributes, &none);
  posix_spawnattr_setsigdefault (&attributes, &all);
  posix_spawnattr_setflags (&attributes,
                            POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  char socket_fd[] = {'0' + DAEMON_SOCKET_FD, '\0'};
  char *const arguments[] = {
      program, (char *)"--runtime-dir", runtime_dir, (char *)"--socket-fd", socket_fd, NULL};
  pid_t pid;
  int failure = posix_spawn (&pid, program, &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy (&attributes);
  posix_spawn_file_actions_destroy (&actions);
  return failure == 0 || vf_error_errno (error, failure, "%s: cannot be started", program);
}

static gboolean
start_daemon (int dir_fd, GError **error)
{
  VF_AUTOFD lock = vf_runtime_dir_lock (dir_fd, VF_WIRE_LOCK, LOCK_EX, error);
  if (lock < 0)
    return FALSE;
  VF_AUTOFD other = connect_socket (dir_fd);
  if (other >= 0)
    return TRUE; /* somebody was quicker */
  struct sockaddr_un address = socket_address (dir_fd);
  g_autofree char *folder = vf_runtime_dir_path ();
  if (unlinkat (dir_fd, VF_WIRE_SOCKET, 0) < 0 && errno != ENOENT)
    return vf_error_errno (error, errno, "%s/%s: cannot remove what is left", folder,
                           VF_WIRE_SOCKET);
  VF_AUTOFD fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind (fd, (struct sockaddr *)&address, sizeof address) < 0 ||
      listen (fd, SOMAXCONN) < 0)
    return vf_error_errno (error, errno, "%s/%s: cannot make the daemon's socket", folder,
                           VF_WIRE_SOCKET);
  return spawn_daemon (dir_fd, fd, error);
}

static GDBusConnection *
greet (int fd, GError **error)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (fd, error);
  if (socket == NULL) {
    close (fd);
    return NULL;
  }
  g_socket_set_timeout (socket, GREET_SECONDS);
  g_autoptr (GSocketConnection) stream = g_socket_connection_factory_create_connection (socket);
  GDBusConnection *connection = g_dbus_connection_new_sync (
      G_IO_STREAM (stream), NULL, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, error);
  g_socket_set_timeout (socket, 0);
  return connection;
}

/* The last line of the daemon's log, to explain why there is none. */
static char *
last_words (int dir_fd)
{
  g_autoptr (GBytes) log = vf_read_file (dir_fd, VF_WIRE_LOG, 2 * LOG_MAX_BYTES, VF_WIRE_LOG, NULL);
  if (log == NULL)
    return g_strdup ("nothing");
  g_autofree char *text = g_strndup (g_bytes_get_data (log, NULL), g_bytes_get_size (log));
  g_strchomp (text);
  const char *line = strrchr (text, '\n');
  return g_strdup (line != NULL ? line + 1 : text);
}

/* One attempt. FALSE with @error for good; TRUE with *out_connection NULL: try again. */
static gboolean
try_to_reach (int dir_fd, gboolean start, GDBusConnection **out_connection, GError **error)
{
  int fd = connect_socket (dir_fd);
  if (fd >= 0) {
    g_autoptr (GError) cause = NULL;
    *out_connection = greet (fd, &cause);
    if (*out_connection == NULL && g_error_matches (cause, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
      return vf_error_set (error, VF_ERROR_BUSY,
                           "daemon: does not answer; end the process venvfsd, and try again");
    return TRUE;
  }
  if (errno != ENOENT && errno != ECONNREFUSED)
    return vf_error_errno (error, errno, "daemon: cannot be reached");
  if (!start)
    return vf_error_set (error, VF_ERROR_NOT_FOUND, "daemon: does not run");
  return start_daemon (dir_fd, error);
}

VfClient *
vf_client_new (gboolean start, GError **error)
{
  VF_AUTOFD dir_fd = vf_runtime_dir_open (start, error);
  if (dir_fd < 0)
    return NULL;
  vf_wire_register_errors ();
  /* One that was started in the last attempt is still to be reached. */
  for (int attempt = 0; attempt < ATTEMPTS * 2; attempt++) {
    GDBusConnection *connection = NULL;
    if (!vf_interrupt_check (error) || !try_to_reach (dir_fd, start, &connection, error))
      return NULL;
    if (connection == NULL)
      continue;
    VfClient *client = g_new0 (VfClient, 1);
    client->connection = connection;
    return client;
  }
  g_autofree char *words = last_words (dir_fd);
  g_autofree char *path = vf_runtime_dir_path ();
  vf_error_set (error, VF_ERROR_FAILED, "%s/%s: the daemon ends as soon as it starts%s%s", path,
                VF_WIRE_LOG, *words ? ": " : ", and does not say why", words);
  return NULL;
}

void
vf_client_free (VfClient *client)
{
  g_object_unref (client->connection);
  g_free (client);
}

/* The caller owns the answer, which is of @type. */
static GVariant *
client_call (VfClient *client, const char *interface, const char *method, GVariant *parameters,
             const char *type, GUnixFDList *fds, GError **error)
{
  GError *cause = NULL;
  GVariant *answer = g_dbus_connection_call_with_unix_fd_list_sync (
      client->connection, NULL, VF_WIRE_PATH, interface, method, parameters, G_VARIANT_TYPE (type),
      G_DBUS_CALL_FLAGS_NONE, CALL_MSEC, fds, NULL, NULL, &cause);
  if (answer != NULL)
    return answer;
  if (cause->domain == VF_ERROR) {
    g_dbus_error_strip_remote_error (cause);
    g_propagate_error (error, cause);
    return NULL;
  }
  vf_error_set (error, VF_ERROR_FAILED, "daemon: %s fails: %s", method, cause->message);
  g_error_free (cause);
  return NULL;
}

gboolean
vf_client_mount (VfClient *client, const VfClientMount *mount, GError **error)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  const int order[] = {mount->fuse_fd, mount->parent_fd, mount->lock_fd, mount->environment_fd};
  for (gsize i = 0; i < G_N_ELEMENTS (order); i++)
    if (g_unix_fd_list_append (fds, order[i], error) < 0)
      return FALSE;
  if (mount->work_fd > 0 && g_unix_fd_list_append (fds, mount->work_fd, error) < 0)
    return FALSE;
  GVariantDict options;
  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "version", "s", VF_VERSION);
  g_variant_dict_insert (&options, "store", "^ay", mount->store);
  g_variant_dict_insert (&options, "name", "^ay", mount->name);
  g_variant_dict_insert (&options, "prompt", "^ay", mount->prompt);
  g_variant_dict_insert (&options, "mount_point", "^ay", mount->mount_point);
  g_variant_dict_insert (&options, "image", "s", mount->image);
  g_variant_dict_insert (&options, "device", "t", mount->device);
  if (mount->work_fd > 0)
    g_variant_dict_insert (&options, "work", "h", (gint32)G_N_ELEMENTS (order));
  g_variant_dict_insert (&options, "generation", "u", mount->generation);
  g_autoptr (GVariant) answer = client_call (
      client, VF_WIRE_INTERFACE, "Mount",
      g_variant_new ("(hhhh@a{sv})", 0, 1, 2, 3, g_variant_dict_end (&options)), "()", fds, error);
  return answer != NULL;
}

char **
vf_client_switch (VfClient *client, const VfClientSwitch *wanted, GError **error)
{
  GVariantDict options;
  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "version", "s", VF_VERSION);
  g_variant_dict_insert (&options, "number", "u", wanted->number);
  if (wanted->paths != NULL)
    g_variant_dict_insert (&options, "paths", "^aay", wanted->paths);
  g_variant_dict_insert (&options, "bring_back", "u", wanted->bring_back);
  g_autoptr (GVariant) answer =
      client_call (client, VF_WIRE_INTERFACE, "SwitchImage",
                   g_variant_new ("(ts@a{sv})", (guint64)wanted->device, wanted->image,
                                  g_variant_dict_end (&options)),
                   "(aay)", NULL, error);
  if (answer == NULL)
    return NULL;
  char **hidden;
  g_variant_get (answer, "(^aay)", &hidden);
  return hidden;
}

static void
live_mount_free (VfLiveMount *mount)
{
  g_free (mount->store);
  g_free (mount->name);
  g_free (mount->mount_point);
  g_free (mount->image);
  g_clear_pointer (&mount->requests, g_variant_unref);
  g_free (mount);
}

GPtrArray *
vf_client_list (VfClient *client, GError **error)
{
  g_autoptr (GVariant) answer =
      client_call (client, VF_WIRE_INTERFACE, "List", NULL, "(aa{sv})", NULL, error);
  if (answer == NULL)
    return NULL;
  GPtrArray *mounts = g_ptr_array_new_with_free_func ((GDestroyNotify)live_mount_free);
  g_autoptr (GVariantIter) iter = NULL;
  g_variant_get (answer, "(aa{sv})", &iter);
  GVariant *dict;
  while ((dict = g_variant_iter_next_value (iter)) != NULL) {
    VfLiveMount *mount = g_new0 (VfLiveMount, 1);
    guint64 device = 0;
    g_variant_lookup (dict, "store", "^ay", &mount->store);
    g_variant_lookup (dict, "name", "^ay", &mount->name);
    g_variant_lookup (dict, "mount_point", "^ay", &mount->mount_point);
    g_variant_lookup (dict, "image", "s", &mount->image);
    g_variant_lookup (dict, "device", "t", &device);
    g_variant_lookup (dict, "requests", "@a{st}", &mount->requests);
    mount->device = device;
    g_ptr_array_add (mounts, mount);
    g_variant_unref (dict);
  }
  return mounts;
}

char *
vf_client_version (VfClient *client, GError **error)
{
  g_autoptr (GVariant) answer =
      client_call (client, "org.freedesktop.DBus.Properties", "Get",
                   g_variant_new ("(ss)", VF_WIRE_INTERFACE, "Version"), "(v)", NULL, error);
  if (answer == NULL)
    return NULL;
  g_autoptr (GVariant) value = NULL;
  g_variant_get (answer, "(v)", &value);
  return g_strdup (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING)
                       ? g_variant_get_string (value, NULL)
                       : "?");
}
