/* The record that recorder.c makes: a log, and contents of files beside it.
 *
 * VENVFS_RECORD_ROOT is the directory whose changes are recorded, VENVFS_RECORD_LOG where to:
 * `log`, one line per call that succeeded, its fields separated by tabs, in the order in which the
 * calls took effect; and `<n>`, the contents of files at the time they were closed, synced or got
 * another name. Paths are relative to the root; one outside of it is "-".
 *
 *   create PATH             by open() with O_CREAT
 *   write PATH              its content changed: write, truncate, a writable mapping made or ended
 *   content PATH N MODE     what it holds at this moment; not a call
 *   fsync PATH | syncfs
 *   mkdir PATH | rmdir PATH | unlink PATH | mknod PATH | symlink PATH TARGET
 *   rename FROM TO | link FROM TO
 *
 * A lock around each call and its line, between threads and between processes, keeps the order. */
#pragma once

#include <limits.h>
#include <sys/types.h>

typedef struct {
  char text[PATH_MAX];
} RecordPath;

/* The log's descriptor; -1 when nothing is recorded. */
extern int record_fd;

/* Around a call and its line; may be nested. */
void record_enter (void);
/* Returns @result, with errno as it was. */
int record_leave (int result);

RecordPath record_path_of_fd (int fd);
/* The path of @name, whose last component is taken as it is: found by its directory. */
RecordPath record_path_at (int dir_fd, const char *name);

/* A line, unless all of it is outside. @second: another field, or NULL. */
void record_note (const char *call, const RecordPath *path, const char *second);
/* Copies what an inside file holds now beside the log, and notes that. */
void record_content (int fd, const RecordPath *path);
void record_content_at (const RecordPath *path, int dir_fd, const char *name);

/* Without a record of it. */
int record_real_openat (int dir_fd, const char *name, int flags, mode_t mode);
