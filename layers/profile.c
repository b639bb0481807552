#include "layers/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

#define MAGIC "venvfs reads 1\n" /* its NUL is written, too: 16 bytes */

struct VfProfile {
  gatomicrefcount references;
  gsize n_ranges;
  VfProfileRange *ranges; /* sorted by group */
};

static VfProfileRange
convert (VfProfileRange range)
{
  return (VfProfileRange){GUINT32_FROM_LE (range.group), GUINT32_FROM_LE (range.node),
                          GUINT32_FROM_LE (range.first_page), GUINT32_FROM_LE (range.n_pages)};
}

static gboolean
parse (GBytes *bytes, VfProfile *profile)
{
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  if (length < sizeof MAGIC || memcmp (data, MAGIC, sizeof MAGIC) != 0 ||
      (length - sizeof MAGIC) % sizeof (VfProfileRange) != 0)
    return FALSE;
  profile->n_ranges = (length - sizeof MAGIC) / sizeof (VfProfileRange);
  profile->ranges = g_memdup2 (data + sizeof MAGIC, length - sizeof MAGIC);
  for (gsize i = 0; i < profile->n_ranges; i++) {
    profile->ranges[i] = convert (profile->ranges[i]);
    if (i > 0 && profile->ranges[i].group < profile->ranges[i - 1].group)
      return FALSE;
  }
  return TRUE;
}

VfProfile *
vf_profile_open (VfStore *store, const VfDigest *image)
{
  g_autofree char *relative = vf_digest_path ("cache/reads-", image);
  g_autoptr (GBytes) bytes =
      vf_read_file (vf_store_fd (store), relative,
                    sizeof MAGIC + VF_PROFILE_MAX_RANGES * sizeof (VfProfileRange), relative, NULL);
  VfProfile *profile = g_new0 (VfProfile, 1);
  g_atomic_ref_count_init (&profile->references);
  if (bytes && !parse (bytes, profile))
    profile->n_ranges = 0;
  return profile;
}

VfProfile *
vf_profile_ref (VfProfile *profile)
{
  g_atomic_ref_count_inc (&profile->references);
  return profile;
}

void
vf_profile_unref (VfProfile *profile)
{
  if (!g_atomic_ref_count_dec (&profile->references))
    return;
  g_free (profile->ranges);
  g_free (profile);
}

/* How many ranges are of groups below @group. */
static gsize
count_below (const VfProfile *profile, guint64 group)
{
  gsize low = 0, high = profile->n_ranges;
  while (low < high) {
    gsize middle = low + (high - low) / 2;
    if (profile->ranges[middle].group < group)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const VfProfileRange *
vf_profile_group (const VfProfile *profile, guint32 group, gsize *out_n_ranges)
{
  gsize first = count_below (profile, group);
  gsize end = count_below (profile, (guint64)group + 1);
  *out_n_ranges = end - first;
  return end > first ? &profile->ranges[first] : NULL;
}

guint32
vf_profile_group_of (VfImage *image, guint32 directory)
{
  VfImageNode node, parent;
  guint32 at = directory;
  while (vf_image_get (image, at, &node) == 0 && node.id != VF_IMAGE_ROOT_ID &&
         vf_image_get (image, node.parent, &parent) == 0) {
    if (strcmp (parent.name, "site-packages") == 0)
      return at;
    at = node.parent;
  }
  return directory;
}

/* A range and which node of its group it belongs to, counted in the order of reading. */
typedef struct {
  VfProfileRange range;
  guint32 rank;
} Ranked;

static gint
compare_ranked (gconstpointer a, gconstpointer b)
{
  const Ranked *left = a, *right = b;
  if (left->range.group != right->range.group)
    return left->range.group < right->range.group ? -1 : 1;
  if (left->rank != right->rank)
    return left->rank < right->rank ? -1 : 1;
  if (left->range.first_page != right->range.first_page)
    return left->range.first_page < right->range.first_page ? -1 : 1;
  return 0;
}

static void
rank_ranges (GArray *ranked, GHashTable *ranks, const VfProfileRange *ranges, gsize n_ranges)
{
  for (gsize i = 0; i < n_ranges; i++) {
    gpointer node = GUINT_TO_POINTER (ranges[i].node), rank;
    if (!g_hash_table_lookup_extended (ranks, node, NULL, &rank)) {
      rank = GUINT_TO_POINTER (g_hash_table_size (ranks));
      g_hash_table_insert (ranks, node, rank);
    }
    Ranked one = {ranges[i], GPOINTER_TO_UINT (rank)};
    g_array_append_val (ranked, one);
  }
}

/* Sorted, and without overlaps. */
static GArray *
merge_ranges (GArray *ranked)
{
  GArray *merged = g_array_new (FALSE, FALSE, sizeof (VfProfileRange));
  g_array_sort (ranked, compare_ranked);
  for (guint i = 0; i < ranked->len; i++) {
    VfProfileRange next = g_array_index (ranked, Ranked, i).range;
    VfProfileRange *last =
        merged->len > 0 ? &g_array_index (merged, VfProfileRange, merged->len - 1) : NULL;
    guint64 end = (guint64)next.first_page + next.n_pages;
    if (last && last->group == next.group && last->node == next.node &&
        next.first_page <= (guint64)last->first_page + last->n_pages)
      last->n_pages = (guint32)MAX (last->n_pages, end - last->first_page);
    else
      g_array_append_val (merged, next);
  }
  if (merged->len > VF_PROFILE_MAX_RANGES)
    g_array_set_size (merged, VF_PROFILE_MAX_RANGES);
  return merged;
}

static gboolean
write_file (int dir_fd, const char *relative, const GByteArray *bytes, GError **error)
{
  static gint last;
  g_autofree char *temporary =
      g_strdup_printf ("%s.%d.%d", relative, getpid (), g_atomic_int_add (&last, 1));
  VF_AUTOFD fd =
      openat (dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return vf_error_errno (error, errno, "%s: cannot be made", temporary);
  gboolean written = vf_write_all (fd, bytes->data, bytes->len, temporary, error);
  if (written && renameat (dir_fd, temporary, dir_fd, relative) == 0)
    return TRUE;
  if (written)
    vf_error_errno (error, errno, "%s: cannot be replaced", relative);
  unlinkat (dir_fd, temporary, 0);
  return FALSE;
}

gboolean
vf_profile_write (const VfProfile *profile, const VfProfileRange *more, gsize n_more,
                  VfStore *store, const VfDigest *image, GError **error)
{
  g_autoptr (GHashTable) ranks = g_hash_table_new (NULL, NULL);
  g_autoptr (GArray) ranked = g_array_new (FALSE, FALSE, sizeof (Ranked));
  rank_ranges (ranked, ranks, profile->ranges, profile->n_ranges);
  rank_ranges (ranked, ranks, more, n_more);
  g_autoptr (GArray) merged = merge_ranges (ranked);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_byte_array_append (bytes, (const guint8 *)MAGIC, sizeof MAGIC);
  for (guint i = 0; i < merged->len; i++) {
    VfProfileRange range = convert (g_array_index (merged, VfProfileRange, i));
    g_byte_array_append (bytes, (const guint8 *)&range, sizeof range);
  }
  g_autofree char *relative = vf_digest_path ("cache/reads-", image);
  return write_file (vf_store_fd (store), relative, bytes, error);
}
