/* A directory to write images into, and an id for them. */
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include "layers/io.h"
#include "layers/tree.h"

typedef struct {
  char *path;
  int fd;
} Fixture;

static inline void
set_up (Fixture *fixture, gconstpointer unused)
{
  fixture->path = g_dir_make_tmp ("venvfs-image-XXXXXX", NULL);
  fixture->fd = open (fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (fixture->fd, >=, 0);
}

static inline void
tear_down (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  close (fixture->fd);
  g_assert_true (vf_remove_tree (AT_FDCWD, fixture->path, fixture->path, &error));
  g_free (fixture->path);
}

static const VfDigest image_id = {"an image id"};

#define FIXTURE_TEST(path, function) g_test_add (path, Fixture, NULL, set_up, function, tear_down)
