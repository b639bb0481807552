/* What is mounted now: the daemon's word and the mount table, put together once.
 *
 * The daemon knows which environment of which store a device number is; the table knows where that
 * device is seen. A mount that only the table knows, and that answers ENOTCONN, is dead. */
#pragma once

#include "layers/environment.h"
#include "tools/client.h"
#include "tools/mountinfo.h"

G_BEGIN_DECLS

typedef enum {
  VF_MOUNTED_NOT,
  VF_MOUNTED_LIVE,
  VF_MOUNTED_DETACHED, /* served, but nowhere to be seen: lazily unmounted and still in use */
  VF_MOUNTED_DEAD,     /* its daemon is gone */
} VfMountedState;

/* Said of a dead mount that is of no environment in the store; its path, twice. */
#define VF_MOUNTED_STRAY                                                                           \
  "%s: is dead, and of no environment in this store; venvfs umount %s unmounts it"

/* All borrowed from the VfMounted. */
typedef struct {
  VfMountedState state;
  const char *path; /* where it is seen; NULL when not or detached */
  dev_t device;
  const VfLiveMount *live; /* NULL unless live or detached */
} VfMountedPlace;

typedef struct {
  GPtrArray *live;  /* of VfLiveMount; empty when no daemon runs */
  GPtrArray *table; /* of VfMountEntry */
} VfMounted;

/* Asks the daemon if one runs; starts none. */
VfMounted *vf_mounted_new (GError **error);
void vf_mounted_free (VfMounted *mounted);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfMounted, vf_mounted_free)

/* Where @environment of @store is mounted. Where it was last is preferred when it is seen at
 * several places. A dead mount is its own when it is where it was ever mounted or has the recorded
 * device: an environment of the same name in another store is none of it. */
VfMountedPlace vf_mounted_find (VfMounted *mounted, VfStore *store, VfEnvironment *environment);
/* The environment of @store that the dead mount @entry is of; NULL if it is of none: all that a
 * dead mount tells is a name. */
VfEnvironment *
vf_mounted_behind_dead (VfMounted *mounted, VfStore *store, const VfMountEntry *entry);
/* The environment that serves @device, or NULL. */
const VfLiveMount *vf_mounted_by_device (VfMounted *mounted, dev_t device);

G_END_DECLS
