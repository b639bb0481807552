/* A bounded cache of open descriptors, by node.
 *
 * Without OPEN and RELEASE nobody tells what is open, so descriptors are kept for those nodes that
 * were used last. One that falls out is opened again when needed; nothing is lost with it.
 *
 * Locking: one mutex inside. A descriptor that somebody holds (a reference) stays open until it is
 * given back, whatever the cache does meanwhile. Who adds a descriptor opened by a node's place
 * holds the overlay's tree lock from before the place was resolved until it is added; who changes
 * what a node's bytes are drops its descriptors while writing under that lock. So no stale one can
 * stay. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  VF_DESCRIPTOR_DIRECTORY, /* O_PATH */
  VF_DESCRIPTOR_READ,      /* a regular file's bytes: the upper's file or an object */
  VF_DESCRIPTOR_WRITE,     /* O_RDWR, the upper's file */
} VfDescriptorKind;

typedef struct {
  int fd;
  goffset offset; /* where the file's content begins */
  guint64 length; /* how much of it is content; G_MAXUINT64: up to the end of the file */
  /*< private >*/
  guint64 id;
  VfDescriptorKind kind;
  gint n_references;
  GList link;
} VfDescriptor;

typedef struct VfDescriptors VfDescriptors;
/* @max: how many are kept open when nobody holds them. */
VfDescriptors *vf_descriptors_new (guint max);
void vf_descriptors_free (VfDescriptors *descriptors);

/* A reference, or NULL. */
VfDescriptor *vf_descriptors_get (VfDescriptors *descriptors, guint64 id, VfDescriptorKind kind);
/* Takes over @fd and returns a reference; to the one that is there already if somebody was faster.
 */
VfDescriptor *vf_descriptors_add (VfDescriptors *descriptors, guint64 id, VfDescriptorKind kind,
                                  int fd, goffset offset, guint64 length);
/* All kinds of @id: not found any more from now on. */
void vf_descriptors_drop (VfDescriptors *descriptors, guint64 id);
void vf_descriptor_unref (VfDescriptor *descriptor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfDescriptor, vf_descriptor_unref)

guint vf_descriptors_n_open (VfDescriptors *descriptors);

G_END_DECLS
