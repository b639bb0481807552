#include "layers/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "layers/error.h"
#include "layers/io.h"

#define MAGIC      "venvfs reads 2\n" /* its NUL is written, too: 16 bytes */
#define GROUPS_MAX 4096               /* no site-packages has more */

struct VfProfile {
  gatomicrefcount references;
  gsize n_ranges;
  VfProfileRange *ranges; /* those of a group stand together */
  GHashTable *firsts;     /* of each group: the index of its first range */
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
    guint32 group = profile->ranges[i].group;
    if (g_hash_table_size (profile->firsts) > GROUPS_MAX)
      return FALSE;
    if ((i == 0 || group != profile->ranges[i - 1].group) &&
        !g_hash_table_insert (profile->firsts, GUINT_TO_POINTER (group), GSIZE_TO_POINTER (i)))
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
  profile->firsts = g_hash_table_new (NULL, NULL);
  if (bytes && !parse (bytes, profile)) {
    profile->n_ranges = 0;
    g_hash_table_remove_all (profile->firsts);
  }
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
  g_hash_table_unref (profile->firsts);
  g_free (profile->ranges);
  g_free (profile);
}

const VfProfileRange *
vf_profile_group (const VfProfile *profile, guint32 group, gsize *out_n_ranges)
{
  gpointer first;
  *out_n_ranges = 0;
  if (!g_hash_table_lookup_extended (profile->firsts, GUINT_TO_POINTER (group), NULL, &first))
    return NULL;
  const VfProfileRange *ranges = &profile->ranges[GPOINTER_TO_SIZE (first)];
  const VfProfileRange *end = &profile->ranges[profile->n_ranges];
  for (const VfProfileRange *range = ranges; range < end && range->group == group; range++)
    ++*out_n_ranges;
  return ranges;
}

guint32
vf_profile_next_group (const VfProfile *profile, guint32 group)
{
  gsize n;
  const VfProfileRange *ranges = vf_profile_group (profile, group, &n);
  return ranges && ranges + n < profile->ranges + profile->n_ranges ? ranges[n].group : 0;
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

/* ---- Writing */

/* A range and, counted in the order of reading, which group that is and which node. */
typedef struct {
  VfProfileRange range;
  guint32 group_rank;
  guint32 node_rank;
} Ranked;

static gint
compare_ranked (gconstpointer a, gconstpointer b)
{
  const Ranked *left = a, *right = b;
  if (left->group_rank != right->group_rank)
    return left->group_rank < right->group_rank ? -1 : 1;
  if (left->node_rank != right->node_rank)
    return left->node_rank < right->node_rank ? -1 : 1;
  if (left->range.first_page != right->range.first_page)
    return left->range.first_page < right->range.first_page ? -1 : 1;
  return 0;
}

/* Adds groups to @order, of guint32: a new one behind the one whose first range comes before its
 * own. */
static void
order_groups (GArray *order, const VfProfileRange *ranges, gsize n_ranges)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  guint behind = order->len;
  for (gsize i = 0; i < n_ranges; i++) {
    guint32 group = ranges[i].group;
    guint at = 0;
    if (!g_hash_table_add (seen, GUINT_TO_POINTER (group)))
      continue;
    while (at < order->len && g_array_index (order, guint32, at) != group)
      at++;
    if (at == order->len)
      g_array_insert_val (order, at = behind, group);
    behind = at + 1;
  }
}

static guint32
rank_of (GHashTable *ranks, guint32 key)
{
  gpointer rank;
  if (!g_hash_table_lookup_extended (ranks, GUINT_TO_POINTER (key), NULL, &rank)) {
    rank = GUINT_TO_POINTER (g_hash_table_size (ranks));
    g_hash_table_insert (ranks, GUINT_TO_POINTER (key), rank);
  }
  return GPOINTER_TO_UINT (rank);
}

static GArray *
rank_ranges (const VfProfile *profile, const VfProfileRange *more, gsize n_more)
{
  g_autoptr (GArray) order = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autoptr (GHashTable) groups = g_hash_table_new (NULL, NULL);
  g_autoptr (GHashTable) nodes = g_hash_table_new (NULL, NULL);
  GArray *ranked = g_array_new (FALSE, FALSE, sizeof (Ranked));
  order_groups (order, profile->ranges, profile->n_ranges);
  order_groups (order, more, n_more);
  for (guint i = 0; i < order->len; i++)
    rank_of (groups, g_array_index (order, guint32, i));
  for (gsize i = 0; i < profile->n_ranges + n_more; i++) {
    VfProfileRange range = i < profile->n_ranges ? profile->ranges[i] : more[i - profile->n_ranges];
    Ranked one = {range, rank_of (groups, range.group), rank_of (nodes, range.node)};
    g_array_append_val (ranked, one);
  }
  return ranked;
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
  g_autoptr (GArray) ranked = rank_ranges (profile, more, n_more);
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
