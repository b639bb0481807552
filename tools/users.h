/* Who uses a mount: processes with a current directory, an open file, a mapping or their program in
 * it. Read from /proc, as far as this user may; nothing is asked of the mount itself. */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/* Of the file system @device: "python3 (process 123, current directory), bash (process 7, open
 * file)"; at most @max of them, then "and 4 more". NULL when none is found. */
char *vf_users_describe (dev_t device, guint max);

G_END_DECLS
