/* What the kernel has to forget when a mount goes over to another image.
 *
 * The kernel remembers names, attributes and lists without a time limit, so it is told exactly what
 * has changed. An entry is expired where kernel and library can: it is looked up again when it is
 * used next. Else it is dropped. Both wait for the directory's lock, which a lookup or a listing
 * holds until its reply has arrived: a reply from before the switch cannot come after. Then the
 * directories' attributes and lists, in this order, for a list holds that lock, too. */
#include <string.h>

#include "fs/operations.h"

#define VARIABLE "VENVFS_EXPIRE"

gboolean
vf_kernel_can_expire (const struct fuse_conn_info *connection)
{
#ifdef HAVE_NOTIFY_EXPIRE
  return (connection->capable & FUSE_CAP_EXPIRE_ONLY) && g_strcmp0 (g_getenv (VARIABLE), "0") != 0;
#else
  return FALSE;
#endif
}

/* Which entries the kernel knows is its own business: that it does not know one is no failure. */
static void
forget_entry (VfSession *session, const VfSwitchEntry *entry)
{
#ifdef HAVE_NOTIFY_EXPIRE
  if (session->can_expire) {
#ifdef NOTIFY_EXPIRE_HAS_FLAGS
    fuse_lowlevel_notify_expire_entry (session->fuse, entry->directory, entry->name,
                                       strlen (entry->name), FUSE_LL_EXPIRE_ONLY);
#else
    fuse_lowlevel_notify_expire_entry (session->fuse, entry->directory, entry->name,
                                       strlen (entry->name));
#endif
    return;
  }
#endif
  fuse_lowlevel_notify_inval_entry (session->fuse, entry->directory, entry->name,
                                    strlen (entry->name));
}

int
vf_session_switch (VfSession *session, const VfSwitch *wanted, char ***out_hidden)
{
  int result;
  g_autoptr (VfSwitchEffect) effect = vf_overlay_switch (session->overlay, wanted, &result);
  for (guint i = 0; i < effect->entries->len; i++)
    forget_entry (session, effect->entries->pdata[i]);
  for (guint i = 0; i < effect->nodes->len; i++)
    fuse_lowlevel_notify_inval_inode (session->fuse, g_array_index (effect->nodes, guint64, i), 0,
                                      0);
  g_ptr_array_add (effect->hidden, NULL);
  *out_hidden = g_strdupv ((char **)effect->hidden->pdata);
  return result;
}
