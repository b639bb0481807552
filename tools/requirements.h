/* Requirements as far as remembering a resolution needs them: what they are made of, and whether
 * they fix every version.
 *
 * pip reads requirements; nothing here decides what gets installed. This scan goes through the same
 * files (recursively through -r and -c, continuation lines and comments as pip's requirements file
 * format has them) and collects
 *
 *  - a key: a hash of all their contents, of the environment variables they mention (${NAME}), and
 *    of the identity (inode, size, times) of local archives and find-links directories;
 *  - the names that are pinned: `name==1.0`, `name===1.0`, a local archive, a URL with a hash;
 *  - whether something in them cannot be known without running pip (a URL, a local project, a
 *    pipe), in which case a resolution must not be remembered.
 *
 * Where the scan is not sure it errs to "not pinned", which costs time, never correctness. */
#pragma once

#include "layers/digest.h"

G_BEGIN_DECLS

typedef struct VfRequirements VfRequirements;
VfRequirements *vf_requirements_new (void);
void vf_requirements_free (VfRequirements *requirements);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfRequirements, vf_requirements_free)

/* Anything else that has a part in the answer: options, interpreter. */
void vf_requirements_add_text (VfRequirements *requirements, const char *label, const char *text);
/* -r or -c. Errors: VF_SYSTEM_ERROR for a file that cannot be read, VF_ERROR_INVALID for one that
 * includes itself or is larger than 16 MB. */
gboolean vf_requirements_add_file (VfRequirements *requirements, const char *path, GError **error);
/* A requirement of the command line. */
void vf_requirements_add_argument (VfRequirements *requirements, const char *argument);
/* A directory or page of --find-links; a file is told by inode, size and times too. */
void vf_requirements_add_find_links (VfRequirements *requirements, const char *location);
/* The content of @path if it is there (a configuration file). */
void vf_requirements_add_content (VfRequirements *requirements, const char *path);

/* Ends the scan. */
void vf_requirements_key (VfRequirements *requirements, VfDigest *out_key);

/* Whether what was resolved, @version of @name (in any spelling), could not have been another one.
 * A pin whose marker does not hold here is told by its version. */
gboolean
vf_requirements_pins (const VfRequirements *requirements, const char *name, const char *version);
/* Whether the answer depends on what the key does not hold. */
gboolean vf_requirements_changeable (const VfRequirements *requirements);
/* The first editable requirement (-e), or NULL: "FILE:LINE: -e ." */
const char *vf_requirements_editable (const VfRequirements *requirements);

/* Where the files say that packages come from, for who fetches what was resolved with them:
 * "--index-url=…", "--extra-index-url=…", "--trusted-host=…", with ${NAME} expanded. Borrowed. */
GPtrArray *vf_requirements_locations (const VfRequirements *requirements);

G_END_DECLS
