/* Reading and setting the overlay's marks on objects of the upper, whatever their modes are: as
 * layers/marks.h has it, but never -EACCES for want of a permission that the owner can give. */
#include <string.h>

#include "fs/internal.h"

typedef struct {
  int fd; /* of the object, or of its directory when there is a name */
  const char *name;
  mode_t mode;
  VfMarks *marks;
  const VfDigest *image;
  const char *path;
} Marking;

static int
read_marks (gpointer data)
{
  const Marking *marking = data;
  vf_marks_clear (marking->marks);
  return vf_marks_read (marking->fd, marking->name, marking->mode, marking->marks);
}

int
vf_marking_read (int dir_fd, const char *name, mode_t mode, VfMarks *out_marks)
{
  memset (out_marks, 0, sizeof *out_marks);
  Marking marking = {.fd = dir_fd, .name = name, .mode = mode, .marks = out_marks};
  return vf_beneath_forced (dir_fd, name, read_marks, &marking);
}

static int
set_opaque (gpointer data)
{
  return vf_mark_set_opaque (((const Marking *)data)->fd);
}

int
vf_marking_set_opaque (int fd)
{
  Marking marking = {.fd = fd};
  return vf_beneath_forced (fd, NULL, set_opaque, &marking);
}

static int
set_lower (gpointer data)
{
  const Marking *marking = data;
  return vf_mark_set_lower (marking->fd, marking->image, marking->path);
}

int
vf_marking_set_lower (int fd, const VfDigest *image, const char *path)
{
  Marking marking = {.fd = fd, .image = image, .path = path};
  return vf_beneath_forced (fd, NULL, set_lower, &marking);
}

static int
remove_digest (gpointer data)
{
  return vf_mark_remove_digest (((const Marking *)data)->fd);
}

int
vf_marking_remove_digest (int fd)
{
  Marking marking = {.fd = fd};
  return vf_beneath_forced (fd, NULL, remove_digest, &marking);
}

static int
remove_id (gpointer data)
{
  return vf_mark_remove_id (((const Marking *)data)->fd);
}

int
vf_marking_remove_id (int fd)
{
  Marking marking = {.fd = fd};
  return vf_beneath_forced (fd, NULL, remove_id, &marking);
}
