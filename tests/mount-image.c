/* For tests: makes an image of a directory and serves it with an upper, in the foreground.
 *
 *   mount-image STORE LOWER ENVIRONMENT MOUNTPOINT [mount options [UID GID]]
 *
 * Files named *.inline are kept inside the image, *.view are templates of views; both lose the
 * suffix. Prints "ready" when mounted and one line of JSON with the requests by opcode at the end,
 * which comes with the unmount. Image and upper stay in STORE/tmp.image and ENVIRONMENT for the
 * next time: an image that is there is used again, so LOWER is looked at once. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/pool.h"
#include "fs/session.h"
#include "layers/io.h"
#include "layers/tree.h"

static G_NORETURN void
die (const char *what, GError *error)
{
  fprintf (stderr, "mount-image: %s: %s\n", what, error ? error->message : g_strerror (errno));
  exit (1);
}

static gboolean
add_file (VfTree *tree, VfObjectBatch *batch, const char *relative, const FTSENT *entry,
          GError **error)
{
  g_autofree char *data = NULL;
  gsize length;
  VfDigest digest;
  guint32 mode = entry->fts_statp->st_mode & 07777;
  if (!g_file_get_contents (entry->fts_accpath, &data, &length, error))
    return FALSE;
  const char *dot = strrchr (relative, '.');
  g_autofree char *stem = g_strndup (relative, dot ? (gsize)(dot - relative) : 0);
  if (g_str_has_suffix (relative, ".inline"))
    return vf_tree_add_inline (tree, stem, mode, data, length, error);
  if (g_str_has_suffix (relative, ".view"))
    return vf_tree_add_view (tree, stem, mode, data, length, error);
  vf_digest_of (data, length, &digest);
  return vf_object_batch_add (batch, &digest, data, length, NULL, error) &&
         vf_tree_add_file (tree, relative, mode, length, &digest, error);
}

static gboolean
add_entry (VfTree *tree, VfObjectBatch *batch, const char *relative, const FTSENT *entry,
           GError **error)
{
  g_autofree char *target = NULL;
  switch (entry->fts_info) {
  case FTS_D:
    return *relative == '\0' ||
           vf_tree_add_directory (tree, relative, entry->fts_statp->st_mode & 07777, error);
  case FTS_F:
    return add_file (tree, batch, relative, entry, error);
  case FTS_SL:
  case FTS_SLNONE:
    target = g_file_read_link (entry->fts_accpath, error);
    return target && vf_tree_add_symlink (tree, relative, target, error);
  default:
    return TRUE;
  }
}

/* Called by the path of what it is made of. */
static char *
image_name (const char *lower, VfDigest *out_id)
{
  vf_digest_of (lower, strlen (lower), out_id);
  return vf_digest_path ("images/", out_id);
}

static void
make_image (VfStore *store, const char *lower)
{
  VfDigest id;
  g_autofree char *name = image_name (lower, &id);
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, &error);
  g_autoptr (VfObjectBatch) batch = write ? vf_object_batch_new (store, &error) : NULL;
  g_autoptr (VfTree) tree = vf_tree_new ();
  if (!batch)
    die (lower, error);
  char *paths[] = {(char *)lower, NULL};
  FTS *fts = fts_open (paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
  FTSENT *entry;
  while ((entry = fts_read (fts))) {
    const char *relative = entry->fts_path + strlen (lower);
    if (!add_entry (tree, batch, relative + (*relative == '/'), entry, &error))
      die (entry->fts_path, error);
  }
  fts_close (fts);
  if (!vf_object_batch_commit (batch, &error) ||
      !vf_tree_write_image (tree, &id, vf_store_fd (store), name, &error))
    die (lower, error);
}

static int
receive_descriptor (int socket_fd)
{
  char byte, control[CMSG_SPACE (sizeof (int))];
  struct iovec vector = {&byte, 1};
  struct msghdr message = {.msg_iov = &vector,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
  if (recvmsg (socket_fd, &message, 0) <= 0 || !CMSG_FIRSTHDR (&message))
    return -1;
  int fd;
  memcpy (&fd, CMSG_DATA (CMSG_FIRSTHDR (&message)), sizeof fd);
  return fd;
}

static int
mount_as_user (const char *mount_point, const char *options)
{
  int sockets[2];
  if (socketpair (AF_UNIX, SOCK_STREAM, 0, sockets) < 0)
    return -1;
  pid_t child = fork ();
  if (child == 0) {
    g_autofree char *number = g_strdup_printf ("%d", sockets[0]);
    g_setenv ("_FUSE_COMMFD", number, TRUE);
    execlp ("fusermount3", "fusermount3", "-o", options, "--", mount_point, NULL);
    _exit (127);
  }
  close (sockets[0]);
  int fd = receive_descriptor (sockets[1]);
  waitpid (child, NULL, 0);
  return fd;
}

static int
mount_as_root (const char *mount_point, const char *options, const char *uid, const char *gid)
{
  int fd = open ("/dev/fuse", O_RDWR | O_CLOEXEC);
  g_autofree char *all =
      g_strdup_printf ("fd=%d,rootmode=40000,user_id=%s,group_id=%s,%s", fd, uid, gid, options);
  if (fd < 0 || mount ("mount-image", mount_point, "fuse.venvfs", MS_NODEV | MS_NOSUID, all) < 0)
    return -1;
  return fd;
}

static int
step (gpointer session, struct fuse_buf *buffer)
{
  return vf_session_step (session, buffer);
}

static void
gone (gpointer session)
{
  guint64 counts[64];
  vf_session_counts (session, counts);
  printf ("[");
  for (guint i = 0; i < 64; i++)
    printf ("%s%" G_GUINT64_FORMAT, i ? "," : "", counts[i]);
  printf ("]\n");
  fflush (stdout);
  kill (getpid (), SIGUSR1);
}

static int
mount_it (char *argv[], int argc)
{
  const char *options = argc > 5 ? argv[5] : "default_permissions";
  if (geteuid () != 0)
    return mount_as_user (argv[4], options);
  if (argc < 8)
    return mount_as_root (argv[4], options, "0", "0");
  int fd = mount_as_root (argv[4], options, argv[6], argv[7]);
  if (setgroups (0, NULL) < 0 || setgid ((gid_t)atoi (argv[7])) < 0 ||
      setuid ((uid_t)atoi (argv[6])) < 0)
    die (argv[6], NULL);
  return fd;
}

static VfSession *
make_session (VfStore *store, VfImage *image, int fuse_fd, const char *environment,
              const char *mount_point)
{
  g_autoptr (GError) error = NULL;
  VfOverlayOptions overlay_options = {.store = store,
                                      .environment_fd =
                                          open (environment, O_PATH | O_DIRECTORY | O_CLOEXEC),
                                      .prompt = "test",
                                      .mount_point = mount_point};
  VfOverlay *overlay = vf_overlay_new (image, &overlay_options, &error);
  if (!overlay)
    die (environment, error);
  close (overlay_options.environment_fd);
  g_autofree char *parent = g_path_get_dirname (mount_point);
  g_autofree char *name = g_path_get_basename (mount_point);
  VfSession *session =
      vf_session_new (overlay, fuse_fd, open (parent, O_PATH | O_CLOEXEC), name, &error);
  if (!session)
    die (mount_point, error);
  return session;
}

int
main (int argc, char *argv[])
{
  g_autoptr (GError) error = NULL;
  sigset_t signals;
  sigemptyset (&signals);
  sigaddset (&signals, SIGUSR1);
  sigprocmask (SIG_BLOCK, &signals, NULL);
  if (argc < 5)
    die ("STORE LOWER ENVIRONMENT MOUNTPOINT [OPTIONS]", NULL);
  int fuse_fd = mount_it (argv, argc);
  if (fuse_fd < 0)
    die (argv[4], NULL);
  g_autoptr (VfStore) store = vf_store_open (argv[1], &error);
  if (!store)
    die (argv[1], error);
  VfDigest id;
  g_autofree char *name = image_name (argv[2], &id);
  if (faccessat (vf_store_fd (store), name, F_OK, 0) < 0)
    make_image (store, argv[2]);
  g_autoptr (VfImage) image = vf_image_open (vf_store_fd (store), name, &error);
  if (!image)
    die (name, error);
  VfSession *session = make_session (store, image, fuse_fd, argv[3], argv[4]);
  VfPool *pool = vf_pool_new (2, 0, &error);
  if (!pool || !vf_pool_add (pool, vf_session_fd (session), step, gone, session, &error))
    die ("pool", error);
  printf ("ready\n");
  fflush (stdout);
  int number;
  sigwait (&signals, &number);
  vf_pool_free (pool);
  vf_session_free (session);
  return 0;
}
