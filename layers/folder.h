/* Listing the folders of a store. */
#pragma once

#include "layers/store.h"

G_BEGIN_DECLS

/* Calls @func for each name in the directory @relative of the store, but for "." and "..". An
 * absent directory has none. @func may rename and remove what it is called for. */
typedef gboolean (*VfFolderFunc) (const char *name, gpointer user_data, GError **error);
gboolean vf_folder_foreach (VfStore *store, const char *relative, VfFolderFunc func,
                            gpointer user_data, GError **error);

G_END_DECLS
