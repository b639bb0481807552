/* A store of its own for each test, and what the tests of the store ask again and again. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/object.h"
#include "layers/store.h"

typedef struct {
  char *root; /* scratch */
  char *path; /* of the store, in it */
  VfStore *store;
} Fixture;

static inline void
fixture_set_up (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  fixture->root = g_dir_make_tmp ("venvfs-test-XXXXXX", &error);
  g_assert_no_error (error);
  fixture->path = g_build_filename (fixture->root, "store", NULL);
  fixture->store = vf_store_open (fixture->path, &error);
  g_assert_no_error (error);
}

static inline void
fixture_tear_down (Fixture *fixture, gconstpointer user_data)
{
  g_autoptr (GError) error = NULL;
  vf_store_unref (fixture->store);
  vf_remove_tree (AT_FDCWD, fixture->root, fixture->root, &error);
  g_assert_no_error (error);
  g_free (fixture->path);
  g_free (fixture->root);
}

#define FIXTURE_TEST(path, function)                                                               \
  g_test_add (path, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

static inline gboolean
store_has (Fixture *fixture, const char *relative)
{
  struct stat st;
  return fstatat (vf_store_fd (fixture->store), relative, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline struct stat
store_stat (Fixture *fixture, const char *relative)
{
  struct stat st;
  g_assert_cmpint (fstatat (vf_store_fd (fixture->store), relative, &st, AT_SYMLINK_NOFOLLOW), ==,
                   0);
  return st;
}

/* Entries of a directory. */
static inline guint
store_count (Fixture *fixture, const char *relative)
{
  g_autofree char *path = vf_store_path_of (fixture->store, relative);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  g_assert_nonnull (dir);
  guint n = 0;
  while (g_dir_read_name (dir))
    n++;
  return n;
}

static inline void
store_set_age (Fixture *fixture, const char *relative, gint64 age_seconds)
{
  struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time (NULL) - age_seconds}};
  g_assert_cmpint (utimensat (vf_store_fd (fixture->store), relative, times, AT_SYMLINK_NOFOLLOW),
                   ==, 0);
}

static inline gint64
store_age (Fixture *fixture, const char *relative)
{
  return time (NULL) - store_stat (fixture, relative).st_mtime;
}

static inline VfDigest
digest_of (const char *text)
{
  VfDigest digest;
  vf_digest_of (text, strlen (text), &digest);
  return digest;
}

/* The path of an object, as documented in docs/store-format.md. */
static inline char *
object_path (const char *content)
{
  VfDigest digest;
  char hex[VF_DIGEST_HEX + 1];
  vf_digest_of (content, strlen (content), &digest);
  vf_digest_to_hex (&digest, hex);
  return g_strdup_printf ("objects/%.2s/%s", hex, hex + 2);
}

static inline VfDigest
add_object (Fixture *fixture, const char *content)
{
  g_autoptr (GError) error = NULL;
  VfDigest digest;
  vf_digest_of (content, strlen (content), &digest);
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (fixture->store, &error);
  g_assert_no_error (error);
  vf_object_batch_add (batch, &digest, content, strlen (content), NULL, &error);
  g_assert_no_error (error);
  vf_object_batch_commit (batch, &error);
  g_assert_no_error (error);
  return digest;
}

static inline char *
store_text (Fixture *fixture, const char *relative)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = vf_store_path_of (fixture->store, relative);
  char *text = NULL;
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return text;
}

static inline void
store_write (Fixture *fixture, const char *relative, const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = vf_store_path_of (fixture->store, relative);
  g_unlink (path);
  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}
