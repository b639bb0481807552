/* Names in the trash. */
#include "layers/trash.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

char *
vf_trash_path (const char *relative)
{
  char *path = g_strconcat (VF_TRASH_SWEEP "/", relative, NULL);
  g_strdelimit (path + strlen (VF_TRASH_SWEEP "/"), "/", ':');
  return path;
}

char *
vf_trash_origin (const char *name)
{
  if (!strchr (name, ':') || name[0] == ':' || strstr (name, "::") || strstr (name, ".."))
    return NULL;
  return g_strdelimit (g_strdup (name), ":", '/');
}

gboolean
vf_trash_is_fresh (VfStore *store, const char *trash_path, struct stat *out_st)
{
  return fstatat (vf_store_fd (store), trash_path, out_st, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISREG (out_st->st_mode) && out_st->st_mtime + VF_STORE_GRACE_SECONDS > time (NULL);
}
