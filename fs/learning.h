/* Learning: what the imports of one mount teach, until it is written to the image's read profile
 * (layers/profile.h).
 *
 * Locking: every function may be called from any thread. */
#pragma once

#include "layers/image.h"
#include "layers/profile.h"

G_BEGIN_DECLS

typedef struct VfLearning VfLearning;

/* Both are borrowed. @image: its id. */
VfLearning *vf_learning_new (VfStore *store, const VfDigest *image);
/* What was noted and not written is dropped. */
void vf_learning_free (VfLearning *learning);

/* What is known of the image; the caller's reference. It is read when it is needed, and kept until
 * vf_learning_write(). */
VfProfile *vf_learning_profile (VfLearning *learning);
/* An import read @size bytes at @offset of @node, and that belongs to @group. */
void vf_learning_note (VfLearning *learning, guint32 group, const VfImageNode *node, guint64 offset,
                       guint64 size);
/* An import looked for an `__init__` by that name in vain. */
void vf_learning_note_probe (VfLearning *learning, const char *name);
/* The names that were noted, by number, as long as @learning; NULL behind the last. */
const char *vf_learning_probe (VfLearning *learning, guint number);
/* Something was read that is no code. */
void vf_learning_note_other (VfLearning *learning);
/* Remembers what was noted since the last time, unless that looks like no import. */
void vf_learning_write (VfLearning *learning);

G_END_DECLS
