/* What the client and the daemon agree on, besides fs/control.xml: names in the runtime directory,
 * the object's path, and how errors travel.
 *
 * The runtime directory ($XDG_RUNTIME_DIR/venvfs, see tools/runtime-dir.h) holds `control` (the
 * socket), `daemon.lock` and `daemon.log`. Whoever starts a daemon, and a daemon that leaves, holds
 * the lock meanwhile. So there is never a second daemon, and a client that finds the door closed
 * finds it open again once it has the lock. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define VF_WIRE_PATH      "/org/venvfs/Daemon"
#define VF_WIRE_INTERFACE "org.venvfs.Daemon1"
#define VF_WIRE_SOCKET    "control"
#define VF_WIRE_LOCK      "daemon.lock"
#define VF_WIRE_LOG       "daemon.log"

/* Makes VF_ERROR travel as org.venvfs.Error.*, both ways. Once per process; thread-safe. */
void vf_wire_register_errors (void);

G_END_DECLS
