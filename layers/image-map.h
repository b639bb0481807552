/* Mappings that survive a truncated file or a bad disk.
 *
 * A read of a mapped page that the kernel cannot bring raises SIGBUS. The handler that the first
 * mapping installs finds the mapping the address belongs to, marks it bad, puts zero pages under
 * all of it and lets the read go on: it reads zeros, and whoever reads asks vf_image_map_bad()
 * before it believes what it read. A SIGBUS anywhere else goes to whoever handled it before. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct VfImageMap VfImageMap;

/* Maps @length > 0 bytes of @fd read-only; NULL with errno set. The descriptor may be closed. */
VfImageMap *vf_image_map_new (int fd, gsize length);
void vf_image_map_free (VfImageMap *map);
/* Borrowed; the same address as long as the mapping lives, bad or not. */
const void *vf_image_map_data (const VfImageMap *map);
/* TRUE if anything read from the mapping before this call may have been zeros. */
gboolean vf_image_map_bad (const VfImageMap *map);

G_END_DECLS
