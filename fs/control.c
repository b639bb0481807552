/* The clients are counted from the moment they are accepted until their connection is closed: the
 * daemon leaves only when there is none (fs/main.c). */
#include "fs/control.h"

#include <errno.h>
#include <gio/gunixfdlist.h>
#include <poll.h>
#include <unistd.h>

#include "fs/control-interface.h"
#include "layers/error.h"
#include "layers/io.h"
#include "layers/wire.h"

/* Calls are waited for only when the daemon is told to end in the middle of one. */
#define CALL_POLL_USEC 1000

struct VfControl {
  const VfControlHandler *handler;
  gpointer user_data;
  int listen_fd; /* borrowed from the service's socket */
  GSocketService *service;
  GDBusAuthObserver *observer;
  char *guid;
  GPtrArray *connections; /* of GDBusConnection, owned */
  guint n_greeted;        /* accepted, not authenticated yet */
  gint n_calls;           /* atomic: being answered in threads of their own */
};

static VfMountRequest *
mount_request_new (void)
{
  VfMountRequest *request = g_new0 (VfMountRequest, 1);
  request->fuse_fd = request->parent_fd = request->lock_fd = request->environment_fd = -1;
  request->work_fd = -1;
  return request;
}

void
vf_mount_request_free (VfMountRequest *request)
{
  vf_fd_clear (&request->fuse_fd);
  vf_fd_clear (&request->parent_fd);
  vf_fd_clear (&request->environment_fd);
  vf_fd_clear (&request->work_fd);
  vf_fd_clear (&request->lock_fd);
  g_free (request->store);
  g_free (request->name);
  g_free (request->prompt);
  g_free (request->mount_point);
  g_free (request->image);
  g_free (request);
}

static void
switch_request_free (VfSwitchRequest *request)
{
  g_free (request->image);
  g_strfreev (request->paths);
  g_free (request);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfSwitchRequest, switch_request_free)

static gboolean
allow_mechanism (GDBusAuthObserver *observer, const char *mechanism, gpointer user_data)
{
  return g_str_equal (mechanism, "EXTERNAL");
}

static gboolean
authorize_peer (GDBusAuthObserver *observer, GIOStream *stream, GCredentials *credentials,
                gpointer user_data)
{
  if (credentials == NULL)
    return FALSE;
  uid_t uid = g_credentials_get_unix_user (credentials, NULL);
  return uid == 0 || uid == geteuid ();
}

static void
invocation_fail (GDBusMethodInvocation *invocation, GError *error)
{
  /* The message names a path, which may have any bytes; a text on the wire may not. */
  char *valid = g_utf8_make_valid (error->message, -1);
  g_free (error->message);
  error->message = valid;
  /* A failed system call travels as its message: no errno has a name on the wire. */
  if (error->domain != VF_ERROR) {
    error->domain = VF_ERROR;
    error->code = VF_ERROR_FAILED;
  }
  g_dbus_method_invocation_take_error (invocation, error);
}

static gboolean
request_check_version (GVariant *options, GError **error)
{
  const char *version = "";
  g_variant_lookup (options, "version", "&s", &version);
  if (g_str_equal (version, VF_VERSION))
    return TRUE;
  return vf_error_set (error, VF_ERROR_BUSY,
                       "daemon: the one that serves your mounts is venvfs %s, this is venvfs %s; "
                       "unmount what is mounted, and the next mount starts the new one",
                       VF_VERSION, version);
}

static char *
request_bytes (GVariant *options, const char *key)
{
  char *bytes = NULL;
  g_variant_lookup (options, key, "^ay", &bytes);
  return bytes;
}

/* Takes them all out of the message: what it still held would keep a mount alive that is given up.
 * Handles that are out of range or used twice are a broken client's. */
static gboolean
request_take_descriptors (VfMountRequest *request, GDBusMethodInvocation *invocation,
                          GVariant *parameters, GVariant *options, GError **error)
{
  GDBusMessage *message = g_dbus_method_invocation_get_message (invocation);
  GUnixFDList *list = g_dbus_message_get_unix_fd_list (message);
  int *const slots[] = {&request->fuse_fd, &request->parent_fd, &request->lock_fd,
                        &request->environment_fd};
  int n_fds = 0;
  g_autofree int *fds = list != NULL ? g_unix_fd_list_steal_fds (list, &n_fds) : NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (slots); i++) {
    gint32 handle;
    g_variant_get_child (parameters, i, "h", &handle);
    if (handle >= 0 && handle < n_fds)
      *slots[i] = vf_fd_steal (&fds[handle]);
  }
  gint32 work;
  gboolean wants_work = g_variant_lookup (options, "work", "h", &work);
  if (wants_work && work >= 0 && work < n_fds)
    request->work_fd = vf_fd_steal (&fds[work]);
  for (int i = 0; i < n_fds; i++)
    vf_fd_clear (&fds[i]);
  if (wants_work && request->work_fd < 0)
    return vf_error_set (error, VF_ERROR_INVALID, "daemon: a descriptor is missing in the call");
  for (gsize i = 0; i < G_N_ELEMENTS (slots); i++)
    if (*slots[i] < 0)
      return vf_error_set (error, VF_ERROR_INVALID, "daemon: a descriptor is missing in the call");
  return TRUE;
}

static VfMountRequest *
request_parse (GDBusMethodInvocation *invocation, GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = g_variant_get_child_value (parameters, 4);
  g_autoptr (VfMountRequest) request = mount_request_new ();
  if (!request_check_version (options, error) ||
      !request_take_descriptors (request, invocation, parameters, options, error))
    return NULL;
  request->store = request_bytes (options, "store");
  request->name = request_bytes (options, "name");
  request->prompt = request_bytes (options, "prompt");
  request->mount_point = request_bytes (options, "mount_point");
  g_variant_lookup (options, "image", "s", &request->image);
  g_variant_lookup (options, "device", "t", &request->device);
  g_variant_lookup (options, "generation", "u", &request->generation);
  gboolean complete = request->store != NULL && request->name != NULL && request->prompt != NULL &&
                      request->mount_point != NULL && request->image != NULL;
  if (complete && g_path_is_absolute (request->mount_point))
    return g_steal_pointer (&request);
  vf_error_set (error, VF_ERROR_INVALID, "daemon: an option is missing in the call");
  return NULL;
}

static VfSwitchRequest *
switch_request_parse (GVariant *parameters, GError **error)
{
  g_autoptr (GVariant) options = NULL;
  g_autoptr (VfSwitchRequest) request = g_new0 (VfSwitchRequest, 1);
  g_variant_get (parameters, "(ts@a{sv})", &request->device, &request->image, &options);
  if (!request_check_version (options, error))
    return NULL;
  g_variant_lookup (options, "number", "u", &request->number);
  g_variant_lookup (options, "paths", "^aay", &request->paths);
  g_variant_lookup (options, "bring_back", "u", &request->bring_back);
  return g_steal_pointer (&request);
}

/* What is answered in a thread of its own: one of the two. */
typedef struct {
  VfControl *control;
  VfMountRequest *mount;
  VfSwitchRequest *switch_image;
} Call;

static void
call_free (gpointer data)
{
  Call *call = data;
  g_clear_pointer (&call->mount, vf_mount_request_free);
  g_clear_pointer (&call->switch_image, switch_request_free);
  g_free (call);
}

static void
answer_in_thread (GTask *task, gpointer source, gpointer task_data, GCancellable *cancellable)
{
  Call *call = task_data;
  VfControl *control = call->control;
  const VfControlHandler *handler = control->handler;
  g_auto (GStrv) hidden = NULL;
  GError *error = NULL;
  gboolean done =
      call->mount != NULL
          ? handler->mount (g_steal_pointer (&call->mount), control->user_data, &error)
          : handler->switch_image (call->switch_image, control->user_data, &hidden, &error);
  if (!done)
    invocation_fail (source, error);
  else
    g_dbus_method_invocation_return_value (source,
                                           hidden ? g_variant_new ("(^aay)", hidden) : NULL);
  g_atomic_int_add (&control->n_calls, -1);
}

static void
control_call (GDBusConnection *connection, const char *sender, const char *path,
              const char *interface, const char *method, GVariant *parameters,
              GDBusMethodInvocation *invocation, gpointer user_data)
{
  VfControl *control = user_data;
  if (g_str_equal (method, "List")) {
    GVariant *list = control->handler->list (control->user_data);
    g_dbus_method_invocation_return_value (invocation, g_variant_new ("(@aa{sv})", list));
    return;
  }

  GError *error = NULL;
  Call *call = g_new0 (Call, 1);
  call->control = control;
  if (g_str_equal (method, "SwitchImage"))
    call->switch_image = switch_request_parse (parameters, &error);
  else
    call->mount = request_parse (invocation, parameters, &error);
  if (error != NULL) {
    call_free (call);
    invocation_fail (invocation, error);
    return;
  }
  g_atomic_int_inc (&control->n_calls);
  /* The answer consumes the invocation; the task holds a reference of its own. */
  g_autoptr (GTask) task = g_task_new (invocation, NULL, NULL, NULL);
  g_task_set_task_data (task, call, call_free);
  g_task_run_in_thread (task, answer_in_thread);
}

static GVariant *
control_property (GDBusConnection *connection, const char *sender, const char *path,
                  const char *interface, const char *property, GError **error, gpointer user_data)
{
  return g_variant_new_string (VF_VERSION);
}

static const GDBusInterfaceVTable control_vtable = {
    .method_call = control_call,
    .get_property = control_property,
};

static void
connection_closed (GDBusConnection *connection, gboolean by_peer, GError *error, gpointer user_data)
{
  VfControl *control = user_data;
  g_ptr_array_remove_fast (control->connections, connection);
  control->handler->changed (control->user_data);
}

static void
connection_ready (GObject *source, GAsyncResult *result, gpointer user_data)
{
  VfControl *control = user_data;
  g_autoptr (GError) error = NULL;
  GDBusConnection *connection = g_dbus_connection_new_finish (result, &error);
  control->n_greeted--;
  if (connection == NULL) {
    g_message ("a client was not let in: %s", error->message);
    control->handler->changed (control->user_data);
    return;
  }
  /* A client that left meanwhile: "closed" may have been emitted already, and never is again. */
  if (g_dbus_connection_is_closed (connection)) {
    g_object_unref (connection);
    control->handler->changed (control->user_data);
    return;
  }
  g_ptr_array_add (control->connections, connection);
  g_signal_connect (connection, "closed", G_CALLBACK (connection_closed), control);
  g_dbus_connection_register_object (connection, VF_WIRE_PATH,
                                     (GDBusInterfaceInfo *)&org_venvfs_daemon1_interface,
                                     &control_vtable, control, NULL, NULL);
  g_dbus_connection_start_message_processing (connection);
}

static gboolean
client_came (GSocketService *service, GSocketConnection *stream, GObject *source,
             gpointer user_data)
{
  VfControl *control = user_data;
  control->n_greeted++;
  g_dbus_connection_new (G_IO_STREAM (stream), control->guid,
                         G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER |
                             G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING,
                         control->observer, NULL, connection_ready, control);
  return TRUE;
}

VfControl *
vf_control_new (int listen_fd, const VfControlHandler *handler, gpointer user_data, GError **error)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (listen_fd, error);
  if (socket == NULL) {
    close (listen_fd);
    return NULL;
  }
  g_autoptr (GSocketService) service = g_socket_service_new ();
  if (!g_socket_listener_add_socket (G_SOCKET_LISTENER (service), socket, NULL, error))
    return NULL;
  vf_wire_register_errors ();
  VfControl *control = g_new0 (VfControl, 1);
  control->handler = handler;
  control->user_data = user_data;
  control->listen_fd = listen_fd;
  control->service = g_steal_pointer (&service);
  control->observer = g_dbus_auth_observer_new ();
  control->guid = g_dbus_generate_guid ();
  control->connections = g_ptr_array_new_with_free_func (g_object_unref);
  g_signal_connect (control->observer, "allow-mechanism", G_CALLBACK (allow_mechanism), NULL);
  g_signal_connect (control->observer, "authorize-authenticated-peer", G_CALLBACK (authorize_peer),
                    NULL);
  g_signal_connect (control->service, "incoming", G_CALLBACK (client_came), control);
  g_socket_service_start (control->service);
  return control;
}

void
vf_control_free (VfControl *control)
{
  g_socket_service_stop (control->service);
  while (g_atomic_int_get (&control->n_calls) > 0)
    g_usleep (CALL_POLL_USEC);
  g_socket_listener_close (G_SOCKET_LISTENER (control->service));
  for (guint i = 0; i < control->connections->len; i++) {
    GDBusConnection *connection = g_ptr_array_index (control->connections, i);
    g_signal_handlers_disconnect_by_data (connection, control);
    g_dbus_connection_close_sync (connection, NULL, NULL);
  }
  g_ptr_array_unref (control->connections);
  g_object_unref (control->service);
  g_object_unref (control->observer);
  g_free (control->guid);
  g_free (control);
}

guint
vf_control_n_clients (VfControl *control)
{
  return control->n_greeted + control->connections->len;
}

gboolean
vf_control_is_awaited (VfControl *control)
{
  struct pollfd door = {.fd = control->listen_fd, .events = POLLIN};
  return poll (&door, 1, 0) > 0;
}
