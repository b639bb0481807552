#include "layers/error.h"

#include <errno.h>
#include <stdarg.h>

/* clang-format off */
G_DEFINE_QUARK (vf-error-quark, vf_error)
G_DEFINE_QUARK (vf-system-error-quark, vf_system_error)
/* clang-format on */

gboolean
vf_error_errno (GError **error, int errnum, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, VF_SYSTEM_ERROR, errnum, "%s: %s", message, g_strerror (errnum));
  return FALSE;
}

gboolean
vf_error_set (GError **error, VfErrorCode code, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error_literal (error, VF_ERROR, code, message);
  return FALSE;
}

gboolean
vf_stop_check (VfStopFunc is_to_stop, const char *what, GError **error)
{
  return !is_to_stop || !is_to_stop () ||
         vf_error_set (error, VF_ERROR_CANCELLED, "%s: interrupted", what);
}

int
vf_errno_from_error (const GError *error)
{
  if (error->domain == VF_SYSTEM_ERROR)
    return error->code;
  if (error->domain != VF_ERROR)
    return EIO;
  switch ((VfErrorCode)error->code) {
  case VF_ERROR_NOT_FOUND:
    return ENOENT;
  case VF_ERROR_EXISTS:
    return EEXIST;
  case VF_ERROR_BUSY:
    return EBUSY;
  case VF_ERROR_INVALID:
  case VF_ERROR_RULE:
  case VF_ERROR_USAGE:
    return EINVAL;
  case VF_ERROR_CANCELLED:
    return ECANCELED;
  case VF_ERROR_FAILED:
  case VF_ERROR_DAMAGED:
  case VF_ERROR_NEWER:
    return EIO;
  }
  return EIO;
}
