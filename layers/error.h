/* Errors of the store library and the tools.
 *
 * Two regimes: layers/ and tools/ report through GError, its message beginning with the path or the
 * name it concerns and saying, where there is one, what to do; fs/ answers 0 or -errno.
 * vf_errno_from_error() is the one bridge between them. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define VF_ERROR (vf_error_quark ())
GQuark vf_error_quark (void);

/* VfErrorCode:
 * @VF_ERROR_FAILED: none of the others
 * @VF_ERROR_NOT_FOUND: no such environment, package, image, interpreter
 * @VF_ERROR_EXISTS: the name is taken
 * @VF_ERROR_BUSY: in use by somebody else
 * @VF_ERROR_INVALID: input (a name, a file, an option) that is not what it should be
 * @VF_ERROR_RULE: a wheel breaks a rule; the message names it as "rule NAME"
 * @VF_ERROR_DAMAGED: the store contradicts itself; `venvfs fsck` tells more
 * @VF_ERROR_NEWER: a format newer than this program knows
 * @VF_ERROR_CANCELLED: the user interrupted it
 * @VF_ERROR_USAGE: the command line is wrong (exit status 2, all others 1) */
typedef enum {
  VF_ERROR_FAILED,
  VF_ERROR_NOT_FOUND,
  VF_ERROR_EXISTS,
  VF_ERROR_BUSY,
  VF_ERROR_INVALID,
  VF_ERROR_RULE,
  VF_ERROR_DAMAGED,
  VF_ERROR_NEWER,
  VF_ERROR_CANCELLED,
  VF_ERROR_USAGE,
} VfErrorCode;

/* A failed system call: the code is the errno itself. */
#define VF_SYSTEM_ERROR (vf_system_error_quark ())
GQuark vf_system_error_quark (void);

/* Sets @error to (VF_SYSTEM_ERROR, @errnum) with "<formatted message>: <strerror>" and returns
 * FALSE, so that a caller can `return vf_error_errno (error, errno, "%s: cannot open", path);`. */
gboolean vf_error_errno (GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Sets @error to @code with the formatted message and returns FALSE. */
gboolean
vf_error_set (GError **error, VfErrorCode code, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* Asked now and then by what may take long: TRUE ends it with VF_ERROR_CANCELLED. */
typedef gboolean (*VfStopFunc) (void);
/* TRUE to go on; FALSE with "<what>: interrupted". @is_to_stop: or NULL. */
gboolean vf_stop_check (VfStopFunc is_to_stop, const char *what, GError **error);

/* The errno that best says @error: of a system call the real one, else ENOENT, EEXIST, EBUSY,
 * EINVAL, ECANCELED or EIO. */
int vf_errno_from_error (const GError *error);

G_END_DECLS
