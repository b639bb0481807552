/* The daemon as its clients see it: found, started on demand, called (fs/control.xml).
 *
 * Starting: who finds no daemon takes the runtime directory's lock, binds the socket and hands it,
 * listening, to a new daemon; a connection succeeds at once, whatever the daemon still has to set
 * up. A daemon that leaves holds the same lock (layers/wire.h). */
#pragma once

#include <gio/gio.h>
#include <sys/types.h>

G_BEGIN_DECLS

typedef struct VfClient VfClient;

/* Connects. @start: starts a daemon if there is none, else VF_ERROR_NOT_FOUND. */
VfClient *vf_client_new (gboolean start, GError **error);
void vf_client_free (VfClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfClient, vf_client_free)

typedef struct {
  int fuse_fd, parent_fd, lock_fd, environment_fd; /* stay the caller's */
  int work_fd; /* 0: environment_fd holds upper/ and work/; else that is the upper */
  const char *store, *name, *prompt, *mount_point, *image;
  guint64 device;
  guint generation; /* of the image; 0: none */
} VfClientMount;
/* Returns when the mount answers. */
gboolean vf_client_mount (VfClient *client, const VfClientMount *mount, GError **error);

typedef struct {
  dev_t device;
  const char *image;
  guint number;             /* of the folder in aside/; 0: nothing is set aside */
  const char *const *paths; /* to set aside; NULL-terminated, or NULL */
  guint bring_back;         /* 0: nothing */
} VfClientSwitch;
/* Shows another image at a mount. The paths at which the upper hides what is new in it,
 * NULL-terminated; NULL with an error. */
char **vf_client_switch (VfClient *client, const VfClientSwitch *wanted, GError **error);

/* One of the daemon's mounts. */
typedef struct {
  char *store;
  char *name;
  char *mount_point; /* as the daemon sees it */
  dev_t device;
  char *image;        /* hex */
  GVariant *requests; /* a{st}: how many of each kind were served */
} VfLiveMount;
/* Array of VfLiveMount. */
GPtrArray *vf_client_list (VfClient *client, GError **error);

/* The daemon's version. */
char *vf_client_version (VfClient *client, GError **error);
/* Where the daemon's program is: $VENVFS_DAEMON, beside this program in a build tree, or where it
 * was installed. NULL with VF_ERROR_NOT_FOUND. */
char *vf_client_find_daemon (GError **error);

G_END_DECLS
