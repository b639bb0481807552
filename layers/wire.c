#include "layers/wire.h"

#include <gio/gio.h>

#include "layers/error.h"

void
vf_wire_register_errors (void)
{
  static const GDBusErrorEntry entries[] = {
      {VF_ERROR_FAILED, "org.venvfs.Error.Failed"},
      {VF_ERROR_NOT_FOUND, "org.venvfs.Error.NotFound"},
      {VF_ERROR_EXISTS, "org.venvfs.Error.Exists"},
      {VF_ERROR_BUSY, "org.venvfs.Error.Busy"},
      {VF_ERROR_INVALID, "org.venvfs.Error.Invalid"},
      {VF_ERROR_DAMAGED, "org.venvfs.Error.Damaged"},
      {VF_ERROR_NEWER, "org.venvfs.Error.Newer"},
  };
  static gsize registered;
  if (!g_once_init_enter (&registered))
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (entries); i++)
    g_dbus_error_register_error (VF_ERROR, entries[i].error_code, entries[i].dbus_error_name);
  g_once_init_leave (&registered, 1);
}
