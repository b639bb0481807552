#include "fs/scope.h"

#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"

#define NOBODY 65534

/* A bus of one service: it answers Hello and keeps what StartTransientUnit was called with. */
typedef struct {
  GDBusConnection *connection;
  GVariant *unit;
} Bus;

static GDBusMessage *
bus_filter (GDBusConnection *connection, GDBusMessage *message, gboolean incoming,
            gpointer user_data)
{
  Bus *bus = user_data;
  const char *member = g_dbus_message_get_member (message);
  if (!incoming || member == NULL)
    return message;
  g_autoptr (GDBusMessage) reply = g_dbus_message_new_method_reply (message);
  if (g_str_equal (member, "Hello"))
    g_dbus_message_set_body (reply, g_variant_new ("(s)", ":1.1"));
  if (g_str_equal (member, "StartTransientUnit")) {
    g_dbus_message_set_body (reply, g_variant_new ("(o)", "/job/1"));
    g_atomic_pointer_set (&bus->unit, g_variant_ref (g_dbus_message_get_body (message)));
  }
  g_dbus_connection_send_message (connection, reply, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
  g_object_unref (message);
  return NULL;
}

static gboolean
bus_client_came (GDBusServer *server, GDBusConnection *connection, gpointer user_data)
{
  Bus *bus = user_data;
  bus->connection = g_object_ref (connection);
  g_dbus_connection_add_filter (connection, bus_filter, bus, NULL);
  return TRUE;
}

static void
test_enters_a_scope (void)
{
  g_autofree char *directory = g_dir_make_tmp ("vf-scope-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "bus", NULL);
  g_autofree char *address = g_strconcat ("unix:path=", path, NULL);
  g_autofree char *guid = g_dbus_generate_guid ();
  g_autoptr (GDBusServer) server =
      g_dbus_server_new_sync (address, G_DBUS_SERVER_FLAGS_NONE, guid, NULL, NULL, NULL);
  Bus bus = {0};
  g_signal_connect (server, "new-connection", G_CALLBACK (bus_client_came), &bus);
  g_dbus_server_start (server);

  vf_scope_enter (address);
  while (g_atomic_pointer_get (&bus.unit) == NULL)
    g_main_context_iteration (NULL, TRUE);

  const char *name, *mode;
  g_autoptr (GVariant) properties = NULL;
  g_variant_get (bus.unit, "(&s&s@a(sv)a(sa(sv)))", &name, &mode, &properties, NULL);
  g_autofree char *expected = g_strdup_printf ("venvfsd-%d.scope", (int)getpid ());
  g_assert_cmpstr (name, ==, expected);
  g_assert_cmpstr (mode, ==, "fail");
  g_autofree char *text = g_variant_print (properties, FALSE);
  g_autofree char *pids = g_strdup_printf ("('PIDs', <[uint32 %d]>)", (int)getpid ());
  g_assert_nonnull (strstr (text, pids));
  while (!g_dbus_connection_is_closed (bus.connection))
    g_main_context_iteration (NULL, TRUE);
  g_dbus_server_stop (server);
  g_object_unref (bus.connection);
  g_variant_unref (bus.unit);
  unlink (path);
  g_assert_cmpint (rmdir (directory), ==, 0);
}

static void
test_no_bus (void)
{
  vf_scope_enter ("unix:path=/nonexistent/bus");
  vf_scope_enter (NULL);
  for (int i = 0; i < 50; i++) {
    g_main_context_iteration (NULL, FALSE);
    g_usleep (1000);
  }
}

static void
test_bus_address (void)
{
  /* Root's bus is the system's. */
  gboolean root = geteuid () == 0;
  if (root)
    g_assert_cmpint (seteuid (NOBODY), ==, 0);
  g_autofree char *directory = g_dir_make_tmp ("vf-scope-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "bus", NULL);
  g_setenv ("XDG_RUNTIME_DIR", directory, TRUE);
  g_setenv ("DBUS_SESSION_BUS_ADDRESS", "autolaunch:", TRUE);
  g_assert_null (vf_scope_bus_address ());
  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  g_autofree char *address = vf_scope_bus_address ();
  g_autofree char *expected = g_strconcat ("unix:path=", path, NULL);
  g_assert_cmpstr (address, ==, expected);
  g_setenv ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x", TRUE);
  g_autofree char *given = vf_scope_bus_address ();
  g_assert_cmpstr (given, ==, "unix:path=/x");
  unlink (path);
  g_assert_cmpint (rmdir (directory), ==, 0);
  if (root)
    g_assert_cmpint (seteuid (0), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/scope/enters-a-scope", test_enters_a_scope);
  g_test_add_func ("/scope/no-bus", test_no_bus);
  g_test_add_func ("/scope/bus-address", test_bus_address);
  return g_test_run ();
}
