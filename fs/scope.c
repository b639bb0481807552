#include "fs/scope.h"

#include <gio/gio.h>
#include <unistd.h>

char *
vf_scope_bus_address (void)
{
  if (geteuid () == 0)
    return g_file_test ("/run/dbus/system_bus_socket", G_FILE_TEST_EXISTS)
               ? g_strdup ("unix:path=/run/dbus/system_bus_socket")
               : NULL;
  const char *address = g_getenv ("DBUS_SESSION_BUS_ADDRESS");
  /* Only what is there: GDBus would start a bus for "autolaunch:". */
  if (address != NULL && g_str_has_prefix (address, "unix:"))
    return g_strdup (address);
  const char *runtime_dir = g_getenv ("XDG_RUNTIME_DIR");
  g_autofree char *path = g_build_filename (runtime_dir != NULL ? runtime_dir : "/", "bus", NULL);
  if (runtime_dir == NULL || !g_file_test (path, G_FILE_TEST_EXISTS))
    return NULL;
  g_autofree char *escaped = g_dbus_address_escape_value (path);
  return g_strconcat ("unix:path=", escaped, NULL);
}

static void
scope_answered (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) job =
      g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  g_debug ("scope: %s", job != NULL ? "entered" : error->message);
  g_dbus_connection_close (G_DBUS_CONNECTION (source), NULL, NULL, NULL);
}

/* StartTransientUnit (name s, mode s, properties a(sv), aux a(sa(sv))), see
 * org.freedesktop.systemd1(5). */
static void
bus_reached (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GDBusConnection) bus = g_dbus_connection_new_for_address_finish (result, NULL);
  if (bus == NULL)
    return;
  g_autofree char *name = g_strdup_printf ("venvfsd-%d.scope", (int)getpid ());
  GVariantBuilder properties;
  g_variant_builder_init (&properties, G_VARIANT_TYPE ("a(sv)"));
  guint32 pid = (guint32)getpid ();
  g_variant_builder_add (&properties, "(sv)", "PIDs",
                         g_variant_new_fixed_array (G_VARIANT_TYPE_UINT32, &pid, 1, sizeof pid));
  g_variant_builder_add (&properties, "(sv)", "Description",
                         g_variant_new_string ("venvfs: mounted Python environments"));
  g_dbus_connection_set_exit_on_close (bus, FALSE);
  g_dbus_connection_call (bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                          "org.freedesktop.systemd1.Manager", "StartTransientUnit",
                          g_variant_new ("(ssa(sv)a(sa(sv)))", name, "fail", &properties, NULL),
                          G_VARIANT_TYPE ("(o)"), G_DBUS_CALL_FLAGS_NO_AUTO_START, 5000, NULL,
                          scope_answered, NULL);
}

void
vf_scope_enter (const char *address)
{
  if (address == NULL)
    return;
  g_dbus_connection_new_for_address (address,
                                     G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                                         G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
                                     NULL, NULL, bus_reached, NULL);
}
