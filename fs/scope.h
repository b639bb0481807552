/* A cgroup of its own, where systemd offers one: so that the end of the session or the service
 * that happened to start the daemon does not take all mounts along. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The user's bus: $DBUS_SESSION_BUS_ADDRESS, else the one in the runtime directory; root's is the
 * system's. NULL where there is none; the caller frees. */
char *vf_scope_bus_address (void);

/* Asks the systemd behind the bus at @address to put this process into a transient scope. Returns
 * at once; answered on the default main context. Where there is no bus (NULL included) or no
 * systemd, nothing happens and nothing is said. */
void vf_scope_enter (const char *address);

G_END_DECLS
