/* Ctrl-C: a first SIGINT, SIGTERM or SIGHUP asks the verb to stop and clean up, a second one ends
 * the program at once (the store is safe at any instant; `venvfs gc` removes what stays).
 *
 * The signal is noticed in three ways: vf_interrupted() answers TRUE; poll() and the like return
 * EINTR (handlers are installed without SA_RESTART); and children that were registered get SIGTERM,
 * whatever process group they are in. */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

void vf_interrupt_install (void);
gboolean vf_interrupted (void);
/* FALSE with VF_ERROR_CANCELLED once interrupted: `if (!vf_interrupt_check (error)) return …;` */
gboolean vf_interrupt_check (GError **error);
/* The number of the signal, 0 if none came. */
int vf_interrupt_signal (void);

/* A child to be ended by an interruption; at most 16 at a time, more are not. Main thread only. */
void vf_interrupt_add_child (pid_t pid);
void vf_interrupt_remove_child (pid_t pid);

G_END_DECLS
