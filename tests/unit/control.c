#include "fs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixfdlist.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"
#include "layers/io.h"
#include "layers/wire.h"

/* What the handler saw. */
typedef struct {
  VfControl *control;
  char *directory;
  char *socket_path;
  VfMountRequest *request;
  char *switched; /* a switch, in words */
  GError *answer; /* NULL: the mount succeeds */
  guint n_changes;
} Fixture;

static gboolean
handle_mount (VfMountRequest *request, gpointer user_data, GError **error)
{
  Fixture *fixture = user_data;
  g_clear_pointer (&fixture->request, vf_mount_request_free);
  fixture->request = request;
  if (fixture->answer == NULL)
    return TRUE;
  g_propagate_error (error, g_error_copy (fixture->answer));
  return FALSE;
}

static gboolean
handle_switch (const VfSwitchRequest *request, gpointer user_data, char ***out_hidden,
               GError **error)
{
  Fixture *fixture = user_data;
  g_autofree char *paths = request->paths ? g_strjoinv (" ", request->paths) : NULL;
  g_free (fixture->switched);
  fixture->switched =
      g_strdup_printf ("%" G_GUINT64_FORMAT " to %s, aside/%u: %s, back %u", request->device,
                       request->image, request->number, paths, request->bring_back);
  if (fixture->answer != NULL) {
    g_propagate_error (error, g_error_copy (fixture->answer));
    return FALSE;
  }
  const char *hidden[] = {"lib/x", "lib/\xff", NULL};
  *out_hidden = g_strdupv ((char **)hidden);
  return TRUE;
}

static GVariant *
handle_list (gpointer user_data)
{
  return g_variant_new_parsed ("[{'name': <'proj'>, 'device': <uint64 42>}]");
}

static void
handle_change (gpointer user_data)
{
  Fixture *fixture = user_data;
  fixture->n_changes++;
}

static const VfControlHandler handler = {handle_mount, handle_switch, handle_list, handle_change};

static void
fixture_set_up (Fixture *fixture, gconstpointer data)
{
  fixture->directory = g_dir_make_tmp ("vf-control-XXXXXX", NULL);
  fixture->socket_path = g_build_filename (fixture->directory, "control", NULL);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_strlcpy (address.sun_path, fixture->socket_path, sizeof address.sun_path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (listen (fd, 8), ==, 0);
  fixture->control = vf_control_new (fd, &handler, fixture, NULL);
  g_assert_nonnull (fixture->control);
}

static void
fixture_tear_down (Fixture *fixture, gconstpointer data)
{
  vf_control_free (fixture->control);
  g_clear_pointer (&fixture->request, vf_mount_request_free);
  g_clear_error (&fixture->answer);
  g_free (fixture->switched);
  unlink (fixture->socket_path);
  rmdir (fixture->directory);
  g_free (fixture->socket_path);
  g_free (fixture->directory);
}

/* A client in a thread of its own, since the control lives on the test's main context. */
typedef struct {
  const char *socket_path;
  const char *method;
  GVariant *parameters; /* owned */
  gboolean with_descriptors;
  GVariant *reply;
  GError *error;
  gboolean done;
} Call;

static GUnixFDList *
make_descriptors (void)
{
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();
  for (int i = 0; i < 4; i++) {
    g_autofree char *path = g_strdup_printf ("/proc/self/%s", i == 0   ? "exe"
                                                              : i == 1 ? "status"
                                                              : i == 2 ? "stat"
                                                                       : "maps");
    VF_AUTOFD fd = open (path, O_RDONLY | O_CLOEXEC);
    g_assert_cmpint (g_unix_fd_list_append (list, fd, NULL), ==, i);
  }
  return g_steal_pointer (&list);
}

static gpointer
call_in_thread (gpointer data)
{
  Call *call = data;
  g_autofree char *address = g_strconcat ("unix:path=", call->socket_path, NULL);
  g_autoptr (GDBusConnection) connection = g_dbus_connection_new_for_address_sync (
      address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, &call->error);
  if (connection != NULL) {
    g_autoptr (GUnixFDList) fds = call->with_descriptors ? make_descriptors () : NULL;
    const char *interface =
        g_str_equal (call->method, "Get") ? "org.freedesktop.DBus.Properties" : VF_WIRE_INTERFACE;
    call->reply = g_dbus_connection_call_with_unix_fd_list_sync (
        connection, NULL, VF_WIRE_PATH, interface, call->method, call->parameters, NULL,
        G_DBUS_CALL_FLAGS_NONE, 10000, fds, NULL, NULL, &call->error);
    g_dbus_connection_close_sync (connection, NULL, NULL);
  }
  g_atomic_int_set (&call->done, TRUE);
  g_main_context_wakeup (NULL);
  return NULL;
}

static void
call_run (Call *call, Fixture *fixture)
{
  call->socket_path = fixture->socket_path;
  GThread *thread = g_thread_new ("client", call_in_thread, call);
  while (!g_atomic_int_get (&call->done))
    g_main_context_iteration (NULL, TRUE);
  g_thread_join (thread);
}

static void
call_clear (Call *call)
{
  g_clear_pointer (&call->reply, g_variant_unref);
  g_clear_error (&call->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Call, call_clear)

static GVariant *
mount_parameters (const char *options)
{
  return g_variant_new ("(hhhh@a{sv})", 0, 1, 2, 3, g_variant_new_parsed (options, VF_VERSION));
}

#define COMPLETE                                                                                   \
  "{'version': <%s>, 'store': <b'/s'>, 'name': <b'proj'>, 'prompt': <b'p'>,"                       \
  " 'mount_point': <b'/x\\377/.venv'>, 'image': <'00'>, 'device': <uint64 7>}"

static void
assert_same_file (int fd, const char *path)
{
  struct stat of_fd, of_path;
  g_assert_cmpint (fstat (fd, &of_fd), ==, 0);
  g_assert_cmpint (stat (path, &of_path), ==, 0);
  g_assert_cmpuint (of_fd.st_ino, ==, of_path.st_ino);
}

static void
test_mount (Fixture *fixture, gconstpointer data)
{
  g_auto (Call) call = {
      .method = "Mount", .parameters = mount_parameters (COMPLETE), .with_descriptors = TRUE};
  call_run (&call, fixture);
  g_assert_no_error (call.error);
  const VfMountRequest *request = fixture->request;
  g_assert_cmpstr (request->store, ==, "/s");
  g_assert_cmpstr (request->name, ==, "proj");
  g_assert_cmpstr (request->prompt, ==, "p");
  g_assert_cmpstr (request->mount_point, ==, "/x\377/.venv");
  g_assert_cmpstr (request->image, ==, "00");
  g_assert_cmpuint (request->device, ==, 7);
  assert_same_file (request->fuse_fd, "/proc/self/exe");
  assert_same_file (request->parent_fd, "/proc/self/status");
  assert_same_file (request->lock_fd, "/proc/self/stat");
  assert_same_file (request->environment_fd, "/proc/self/maps");
}

static void
test_mount_fails (Fixture *fixture, gconstpointer data)
{
  fixture->answer = g_error_new (VF_ERROR, VF_ERROR_DAMAGED, "\377/images/00: is damaged");
  g_auto (Call) damaged = {
      .method = "Mount", .parameters = mount_parameters (COMPLETE), .with_descriptors = TRUE};
  call_run (&damaged, fixture);
  g_dbus_error_strip_remote_error (damaged.error);
  g_assert_error (damaged.error, VF_ERROR, VF_ERROR_DAMAGED);
  g_assert_cmpstr (damaged.error->message, ==, "\357\277\275/images/00: is damaged");

  g_clear_error (&fixture->answer);
  vf_error_errno (&fixture->answer, ENOSPC, "x");
  g_auto (Call) full = {
      .method = "Mount", .parameters = mount_parameters (COMPLETE), .with_descriptors = TRUE};
  call_run (&full, fixture);
  g_dbus_error_strip_remote_error (full.error);
  g_assert_error (full.error, VF_ERROR, VF_ERROR_FAILED);
  g_assert_cmpstr (full.error->message, ==, "x: No space left on device");
}

static GVariant *
switch_parameters (const char *set_aside)
{
  return g_variant_new ("(ts@a{sv})", (guint64)7, "00",
                        g_variant_new_parsed (set_aside, VF_VERSION));
}

static void
test_switch (Fixture *fixture, gconstpointer data)
{
  g_auto (Call) call = {
      .method = "SwitchImage",
      .parameters = switch_parameters ("{'version': <%s>, 'number': <uint32 3>,"
                                       " 'paths': <[b'a', b'b/c']>, 'bring_back': <uint32 2>}")};
  call_run (&call, fixture);
  g_assert_no_error (call.error);
  g_assert_cmpstr (fixture->switched, ==, "7 to 00, aside/3: a b/c, back 2");
  g_autofree char *reply = g_variant_print (call.reply, FALSE);
  g_assert_cmpstr (reply, ==, "([b'lib/x', b'lib/\\377'],)");

  g_auto (Call)
      plain = {.method = "SwitchImage", .parameters = switch_parameters ("{'version': <%s>}")};
  call_run (&plain, fixture);
  g_assert_no_error (plain.error);
  g_assert_cmpstr (fixture->switched, ==, "7 to 00, aside/0: (null), back 0");

  fixture->answer = g_error_new (VF_ERROR, VF_ERROR_NOT_FOUND, "none");
  g_auto (Call)
      fails = {.method = "SwitchImage", .parameters = switch_parameters ("{'version': <%s>}")};
  call_run (&fails, fixture);
  g_dbus_error_strip_remote_error (fails.error);
  g_assert_error (fails.error, VF_ERROR, VF_ERROR_NOT_FOUND);
  g_clear_pointer (&fixture->switched, g_free);
  g_auto (Call)
      other = {.method = "SwitchImage",
               .parameters = g_variant_new_parsed ("(uint64 7, '00', {'version': <'0'>})")};
  call_run (&other, fixture);
  g_dbus_error_strip_remote_error (other.error);
  g_assert_error (other.error, VF_ERROR, VF_ERROR_BUSY);
  g_assert_null (fixture->switched);
}

static void
assert_mount_refused (Fixture *fixture, GVariant *parameters, gboolean with_descriptors,
                      VfErrorCode code, const char *message)
{
  g_auto (Call)
      call = {.method = "Mount", .parameters = parameters, .with_descriptors = with_descriptors};
  call_run (&call, fixture);
  g_dbus_error_strip_remote_error (call.error);
  g_assert_error (call.error, VF_ERROR, (int)code);
  g_assert_cmpstr (call.error->message, ==, message);
  g_assert_null (fixture->request);
}

static void
test_bad_requests (Fixture *fixture, gconstpointer data)
{
  assert_mount_refused (
      fixture,
      g_variant_new_parsed ("(handle 0, handle 1, handle 2, handle 3, {'version': <'0'>})"), TRUE,
      VF_ERROR_BUSY,
      "daemon: the one that serves your mounts is venvfs " VF_VERSION ", this is venvfs 0; "
      "unmount what is mounted, and the next mount starts the new one");
  assert_mount_refused (fixture, mount_parameters ("{'version': <%s>, 'store': <b'/s'>}"), TRUE,
                        VF_ERROR_INVALID, "daemon: an option is missing in the call");
  assert_mount_refused (fixture, mount_parameters (COMPLETE), FALSE, VF_ERROR_INVALID,
                        "daemon: a descriptor is missing in the call");
  GVariant *beyond =
      g_variant_new ("(hhhh@a{sv})", 0, 1, 2, 4, g_variant_new_parsed (COMPLETE, VF_VERSION));
  assert_mount_refused (fixture, beyond, TRUE, VF_ERROR_INVALID,
                        "daemon: a descriptor is missing in the call");
}

static void
test_list_and_version (Fixture *fixture, gconstpointer data)
{
  g_auto (Call) list = {.method = "List"};
  call_run (&list, fixture);
  g_assert_no_error (list.error);
  g_autofree char *text = g_variant_print (list.reply, FALSE);
  g_assert_cmpstr (text, ==, "([{'name': <'proj'>, 'device': <uint64 42>}],)");

  g_auto (Call) version = {.method = "Get",
                           .parameters = g_variant_new ("(ss)", VF_WIRE_INTERFACE, "Version")};
  call_run (&version, fixture);
  g_assert_no_error (version.error);
  g_autofree char *version_text = g_variant_print (version.reply, FALSE);
  g_assert_cmpstr (version_text, ==, "(<'" VF_VERSION "'>,)");
}

static void
test_clients_are_counted (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpuint (vf_control_n_clients (fixture->control), ==, 0);
  g_assert_false (vf_control_is_awaited (fixture->control));
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  g_strlcpy (address.sun_path, fixture->socket_path, sizeof address.sun_path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_true (vf_control_is_awaited (fixture->control));
  while (vf_control_n_clients (fixture->control) == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (vf_control_is_awaited (fixture->control));
  /* A client that never says a word is counted until it goes. */
  close (fd);
  while (vf_control_n_clients (fixture->control) != 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (fixture->n_changes, ==, 1);
}

static gpointer
greet_and_leave (gpointer socket_path)
{
  g_autofree char *address = g_strconcat ("unix:path=", (const char *)socket_path, NULL);
  g_autoptr (GDBusConnection) connection = g_dbus_connection_new_for_address_sync (
      address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, NULL);
  if (connection != NULL)
    g_dbus_connection_close_sync (connection, NULL, NULL);
  return NULL;
}

/* Clients that are gone before the daemon, which is busy, has seen that they were let in. */
static void
test_hasty_clients (Fixture *fixture, gconstpointer data)
{
  for (int i = 0; i < 100; i++) {
    GThread *thread = g_thread_new ("client", greet_and_leave, fixture->socket_path);
    while (vf_control_n_clients (fixture->control) == 0)
      g_main_context_iteration (NULL, TRUE);
    g_thread_join (thread);
    g_usleep (1000);
    gint64 deadline = g_get_monotonic_time () + 10 * G_TIME_SPAN_SECOND;
    while (vf_control_n_clients (fixture->control) != 0 && g_get_monotonic_time () < deadline)
      if (!g_main_context_iteration (NULL, FALSE))
        g_usleep (1000);
    g_assert_cmpuint (vf_control_n_clients (fixture->control), ==, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  vf_wire_register_errors ();
#define ADD(path, test) g_test_add (path, Fixture, NULL, fixture_set_up, test, fixture_tear_down)
  ADD ("/control/mount", test_mount);
  ADD ("/control/mount-fails", test_mount_fails);
  ADD ("/control/switch", test_switch);
  ADD ("/control/bad-requests", test_bad_requests);
  ADD ("/control/list-and-version", test_list_and_version);
  ADD ("/control/clients-are-counted", test_clients_are_counted);
  ADD ("/control/hasty-clients", test_hasty_clients);
  return g_test_run ();
}
