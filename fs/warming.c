/* The threads live for as long as there are pieces, and hold on to what they use. */
#include "fs/warming.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#include "layers/io.h"

#define THREADS 8

typedef struct {
  gatomicrefcount refs; /* one per thread and the caller's */
  VfStore *store;
  GArray *pieces; /* constant */
  guint next;     /* atomic */
} Warming;

static void
warming_unref (Warming *warming)
{
  if (!g_atomic_ref_count_dec (&warming->refs))
    return;
  g_array_unref (warming->pieces);
  vf_store_unref (warming->store);
  g_free (warming);
}

static gboolean
is_cold (VfStore *store, const VfWarmingPiece *piece)
{
  VfExtent content;
  char byte;
  struct iovec vector = {.iov_base = &byte, .iov_len = 1};
  if (vf_object_open (store, &piece->digest, &content) < 0)
    return FALSE;
  VF_AUTOFD fd = content.fd;
  return preadv2 (fd, &vector, 1, content.offset + (off_t)piece->offset, RWF_NOWAIT) < 0 &&
         errno == EAGAIN;
}

static void
warm (VfStore *store, const VfWarmingPiece *piece)
{
  VfExtent content;
  if (vf_object_open (store, &piece->digest, &content) < 0)
    return;
  VF_AUTOFD fd = content.fd;
  posix_fadvise (fd, content.offset + (off_t)piece->offset, (off_t)piece->length,
                 POSIX_FADV_WILLNEED);
}

static gpointer
warming_run (gpointer user_data)
{
  Warming *warming = user_data;
  guint i;
  while ((i = (guint)g_atomic_int_add ((gint *)&warming->next, 1)) < warming->pieces->len)
    warm (warming->store, &g_array_index (warming->pieces, VfWarmingPiece, i));
  warming_unref (warming);
  return NULL;
}

void
vf_warming_begin (VfStore *store, GArray *pieces)
{
  const VfWarmingPiece *all = (const VfWarmingPiece *)pieces->data;
  if (pieces->len < 2 || (!is_cold (store, &all[0]) && !is_cold (store, &all[pieces->len - 1]))) {
    g_array_unref (pieces);
    return;
  }
  Warming *warming = g_new0 (Warming, 1);
  g_atomic_ref_count_init (&warming->refs);
  warming->store = vf_store_ref (store);
  warming->pieces = pieces;
  for (guint i = 0; i < MIN (THREADS, pieces->len); i++) {
    g_atomic_ref_count_inc (&warming->refs);
    GThread *thread = g_thread_try_new ("venvfs-warming", warming_run, warming, NULL);
    if (thread)
      g_thread_unref (thread);
    else
      warming_unref (warming);
  }
  warming_unref (warming);
}
