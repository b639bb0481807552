/* Environments: a name, its generations, its upper.
 *
 *   envs/<name>/env.ini              prompt, current generation
 *   envs/<name>/mount.ini            where it is mounted or was last (mount-record.h)
 *   envs/<name>/places               all places it was ever mounted at (tools/relocate.h)
 *   envs/<name>/generations/<n>.ini  one immutable state: interpreter, packages, image
 *   envs/<name>/upper/ work/         of the overlay, on one file system
 *   envs/<name>/aside/<n>/           what a switch set aside
 *   envs/<name>/lock                 flocked by whoever has it mounted or changes it
 *
 * Both files are GKeyFiles (docs/store-format.md) and belong to the user: what is wrong in them is
 * VF_ERROR_DAMAGED, never a crash.
 *
 * An environment appears by one rename of a complete directory and disappears by one rename into
 * trash/. Names: 1..128 bytes of [A-Za-z0-9._-], beginning with a letter, digit or '_'. */
#pragma once

#include "layers/merge.h"
#include "layers/mount-record.h"

G_BEGIN_DECLS

typedef struct {
  guint number; /* 1, 2, … */
  char *python; /* the interpreter's executable */
  char *python_version;
  char *cache_tag;
  gboolean system_site_packages;
  gboolean compile;
  GPtrArray *installed; /* of VfInstalled */
  VfDigest image;
  gint64 created; /* seconds since the epoch */
} VfGeneration;

typedef struct VfEnvironment VfEnvironment;

gboolean vf_environment_check_name (const char *name, GError **error);
/* Publishes a new environment with @first as generation 1. Its image and packages are in the store
 * (VF_ERROR_NOT_FOUND else) and the caller holds the write lease under which it found or made them.
 * VF_ERROR_EXISTS; VF_ERROR_FAILED where the file system cannot hold an upper (user.* attributes,
 * whiteouts). */
VfEnvironment *vf_environment_create (VfStore *store, const char *name, const char *prompt,
                                      const VfGeneration *first, GError **error);
VfEnvironment *vf_environment_open (VfStore *store, const char *name, GError **error);
void vf_environment_free (VfEnvironment *environment);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfEnvironment, vf_environment_free)
/* Names, sorted; NULL-terminated. */
char **vf_environment_list (VfStore *store, GError **error);

const char *vf_environment_name (VfEnvironment *environment);
const char *vf_environment_prompt (VfEnvironment *environment);
const char *vf_environment_path (VfEnvironment *environment); /* absolute envs/<name> */
int vf_environment_fd (VfEnvironment *environment);           /* of envs/<name>, borrowed */
const VfGeneration *vf_environment_current (VfEnvironment *environment);
/* Where it is mounted or was last. */
const VfMountRecord *vf_environment_mount_record (VfEnvironment *environment);
const char *
vf_environment_mount_point (VfEnvironment *environment); /* of the record; may be NULL */
/* @device: 0 when it is not mounted any more. @wanted: whether `mount --all` mounts it. */
gboolean vf_environment_set_mount_record (VfEnvironment *environment, const char *path,
                                          dev_t device, gboolean wanted, GError **error);

/* Exclusive flock on envs/<name>/lock; VF_ERROR_BUSY at once if somebody has it. The descriptor may
 * be handed to another process, which then holds it. */
int vf_environment_lock (VfEnvironment *environment, GError **error);
/* Into trash/, in one rename. The caller holds the lock. What is small is removed from the disk at
 * once; *@out_left (optional) says that some was left for the next sweep, so that nobody waits for
 * a large upper. */
gboolean vf_environment_delete (VfEnvironment *environment, gboolean *out_left, GError **error);
/* All generations, by number: of VfGeneration. For the sweep and the check: anything in
 * generations/ that is not a generation is VF_ERROR_DAMAGED. */
GPtrArray *vf_environment_load_generations (VfEnvironment *environment, GError **error);

/* The text of generations/<n>.ini. Parsing: VF_ERROR_DAMAGED, @what names the file in it. */
char *vf_generation_serialize (const VfGeneration *generation, gsize *out_length);
VfGeneration *vf_generation_parse (GBytes *bytes, const char *what, GError **error);
void vf_generation_free (VfGeneration *generation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfGeneration, vf_generation_free)

G_END_DECLS
