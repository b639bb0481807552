#include "layers/wire.h"

#include <gio/gio.h>

#include "layers/error.h"

/* An error becomes a name on the wire and the same error again at the other end. */
static void
test_errors_travel (void)
{
  vf_wire_register_errors ();
  vf_wire_register_errors ();
  g_autoptr (GError) error = g_error_new (VF_ERROR, VF_ERROR_NOT_FOUND, "proj: no such thing");
  g_autofree char *name = g_dbus_error_encode_gerror (error);
  g_assert_cmpstr (name, ==, "org.venvfs.Error.NotFound");
  g_autoptr (GError) received = g_dbus_error_new_for_dbus_error (name, error->message);
  g_assert_true (g_dbus_error_strip_remote_error (received));
  g_assert_error (received, VF_ERROR, VF_ERROR_NOT_FOUND);
  g_assert_cmpstr (received->message, ==, "proj: no such thing");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wire/errors-travel", test_errors_travel);
  return g_test_run ();
}
