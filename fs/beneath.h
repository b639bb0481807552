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

/* What the owner of an upper may not do by its modes, and a caller may all the same: a descriptor
 * outlives a chmod, a directory may be renamed whatever its mode, and marks are attributes, which
 * only who may read or write the object sees or sets. An ordinary user's daemon has no capability
 * to pass by a mode. So it gives the owner all permissions for the moment of the call, on @dir_fd
 * and on @name in it, and puts the modes back: the file system's own check of the caller was the
 * kernel's. Only where a call was refused, so that it costs nothing else.
 *
 * Lock: a mutex of its own, innermost of all. @func must not come back here. */
typedef int (*VfBeneathFunc) (gpointer data); /* 0 or more, or -errno */
/* @name may be NULL: @dir_fd alone, which may then be a file. */
int vf_beneath_forced (int dir_fd, const char *name, VfBeneathFunc func, gpointer data);

int vf_beneath_open_forced (int dir_fd, const char *name, int flags);
/* A directory by its path, as O_PATH. */
int vf_beneath_open_directory (int dir_fd, const char *path);
/* Never a mode of such a moment. */
int vf_beneath_stat (int dir_fd, const char *name, struct stat *out_st);
/* As renameat2. Who moves a directory elsewhere must be able to write to it. */
int vf_beneath_rename (int from_fd, const char *from, int to_fd, const char *to, guint flags);
/* As linkat: the directory of what gets another name need not be searchable. */
int vf_beneath_link (int from_fd, const char *from, int to_fd, const char *to);

G_END_DECLS
