/* Opening things in the upper without ever being led out of it.
 *
 * Everything goes through openat2 with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV, so
 * that an upper that somebody tampered with (a directory replaced by a symlink, something mounted
 * in it) yields an error and nothing else. It also means that the daemon never walks into its own
 * mount. What system calls cannot do by descriptor goes through /proc/self/fd, which names the very
 * inode that was opened. Owns nothing; all functions return 0 or a descriptor, or -errno. */
#pragma once

#include <glib.h>
#include <sys/stat.h>

G_BEGIN_DECLS

/* openat2 of @path relative to @dir_fd; O_CLOEXEC and O_NOFOLLOW are added. Paths longer than
 * PATH_MAX are walked in pieces. */
int vf_beneath_open (int dir_fd, const char *path, int flags, mode_t mode);

/* Opens @name for reading and writing or just reading although its own mode may not allow it: the
 * owner gets the permission for the moment of the open. Only for nodes that the kernel may have
 * open already, whose mode does not matter any more. */
int vf_beneath_open_forced (int dir_fd, const char *name, int flags);

/* "/proc/self/fd/<fd>", or "…/<fd>/<name>" with a name. */
typedef struct {
  char text[32 + 256];
} VfProcPath;
const char *vf_proc_path (VfProcPath *path, int fd, const char *name);

G_END_DECLS
