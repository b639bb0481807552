/* Files by descriptor: what POSIX leaves to a loop, and the one way to replace a file safely.
 *
 * Owns nothing. All names are relative to a directory descriptor; @what is the path shown in
 * errors. No function here follows a symlink in the last component. */
#pragma once

#include <dirent.h>
#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/* A descriptor closed at the end of its scope; errno is kept. It must be open: with two owners, the
 * second may close what another thread has opened meanwhile. */
#define VF_AUTOFD __attribute__ ((cleanup (vf_fd_clear))) int
void vf_fd_clear (int *fd);
static inline int
vf_fd_steal (int *fd)
{
  int value = *fd;
  *fd = -1;
  return value;
}

/* "/proc/self/fd/<fd>", or "…/<fd>/<name>" with a name: by descriptor, what has a call by path
 * only.
 */
typedef struct {
  char text[32 + 256];
} VfProcPath;
const char *vf_proc_path (VfProcPath *path, int fd, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DIR, closedir)
/* Directory @name, to list it. NULL with errno. */
DIR *vf_dir_open (int dir_fd, const char *name);
/* The directory that @fd, which it takes, is open on. NULL with errno; as it is if @fd is < 0. */
DIR *vf_dir_of_fd (int fd);
/* The next name but "." and "..". NULL with errno, which is 0 at the end. */
const char *vf_dir_next (DIR *dir);

/* All @length bytes, in spite of short counts and EINTR. */
gboolean vf_write_all (int fd, const void *data, gsize length, const char *what, GError **error);
gboolean
vf_read_all (int fd, void *data, gsize length, goffset offset, const char *what, GError **error);

/* The whole of a regular file of at most @max_bytes; larger is VF_ERROR_INVALID, absent
 * VF_SYSTEM_ERROR with ENOENT. */
GBytes *
vf_read_file (int dir_fd, const char *name, gsize max_bytes, const char *what, GError **error);

/* Writes a temporary file beside @name, fsyncs it, renames it over @name and fsyncs the directory:
 * after a crash the old content is there or the new, whole. */
gboolean vf_replace_file (int dir_fd, const char *name, mode_t mode, const void *data, gsize length,
                          const char *what, GError **error);
/* The same without waiting for the disk: after a power loss it may be empty. */
gboolean vf_replace_file_soon (int dir_fd, const char *name, mode_t mode, const void *data,
                               gsize length, const char *what, GError **error);

/* mkdir -p below @dir_fd, mode 0700 & ~umask for what is made. */
gboolean vf_make_path (int dir_fd, const char *path, const char *what, GError **error);

/* rm -rf @name, however deep, across no mount point, following no symlink; absent is success. */
gboolean vf_remove_tree (int dir_fd, const char *name, const char *what, GError **error);
/* The same; VF_ERROR_CANCELLED at @deadline_usec of the monotonic clock (0: never). */
gboolean vf_remove_tree_until (int dir_fd, const char *name, gint64 deadline_usec, const char *what,
                               GError **error);

/* How many directories, one in the other, a walk goes down: each takes one or two descriptors,
 * of which a process may have 1,024, and stack. */
#define VF_DEPTH_MAX 400
/* Whether a walk of @top may go down once more from @depth. */
gboolean vf_depth_check (guint depth, const char *top, GError **error);

G_END_DECLS
