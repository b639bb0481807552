/* The control socket: GDBus, peer to peer, as fs/control.xml says.
 *
 * Knows nothing of mounts but the request; whoever owns the control answers. Lives on the default
 * main context; calls that may block are answered from threads of their own. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* What a client asks for (fs/control.xml, Mount). Descriptors are owned by the request. */
typedef struct {
  int fuse_fd, parent_fd, lock_fd, environment_fd;
  int work_fd; /* -1: environment_fd holds upper/ and work/ */
  char *store; /* path */
  char *name;
  char *prompt;
  char *mount_point; /* absolute, normalised */
  char *image;       /* hex */
  guint64 device;    /* st_dev of the mount, 0 if not known */
  guint generation;  /* of the image, 0 if none */
} VfMountRequest;
void vf_mount_request_free (VfMountRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfMountRequest, vf_mount_request_free)

/* The same, SwitchImage. */
typedef struct {
  guint64 device;
  char *image;
  guint number;
  char **paths; /* NULL-terminated */
  guint bring_back;
} VfSwitchRequest;

typedef struct {
  /* From any thread, may block. Takes @request over. */
  gboolean (*mount) (VfMountRequest *request, gpointer user_data, GError **error);
  /* The same; the caller frees *out_hidden. */
  gboolean (*switch_image) (const VfSwitchRequest *request, gpointer user_data, char ***out_hidden,
                            GError **error);
  /* From the main thread: floating, aa{sv}. */
  GVariant *(*list) (gpointer user_data);
  /* From the main thread: a client came or went. */
  void (*changed) (gpointer user_data);
} VfControlHandler;

typedef struct VfControl VfControl;

/* @listen_fd: a listening unix socket, taken over. Peers of another uid than this process's, but
 * for root, are turned away. */
VfControl *
vf_control_new (int listen_fd, const VfControlHandler *handler, gpointer user_data, GError **error);
/* No more clients are let in; those there are cut off. */
void vf_control_free (VfControl *control);

/* Clients there are, those included that are still being let in. Main thread. */
guint vf_control_n_clients (VfControl *control);
/* Whether a client waits at the door. */
gboolean vf_control_is_awaited (VfControl *control);

G_END_DECLS
