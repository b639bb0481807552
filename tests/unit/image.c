#include "layers/image.h"

#include <errno.h>
#include <string.h>

#include "layers/error.h"
#include "layers/image-format.h"
#include "image-fixture.h"

/* What a node was made as. */
typedef struct {
  VfNodeType type;
  guint32 mode;
  guint64 size;
  VfDigest digest;
  gboolean object;
  char *content;
  gboolean seen;
} Expected;

static void
expected_free (gpointer data)
{
  Expected *expected = data;
  g_free (expected->content);
  g_free (expected);
}

static void
expect_parents (GHashTable *all, const char *path)
{
  g_autofree char *parent = g_path_get_dirname (path);
  if (strcmp (parent, ".") == 0 || g_hash_table_contains (all, parent))
    return;
  Expected *expected = g_new0 (Expected, 1);
  expected->type = VF_NODE_DIRECTORY;
  expected->mode = 0755;
  expect_parents (all, parent);
  g_hash_table_insert (all, g_steal_pointer (&parent), expected);
}

static char *
random_path (GRand *random)
{
  GString *path = g_string_new (NULL);
  for (gint depth = g_rand_int_range (random, 1, 5); depth > 0; depth--) {
    g_string_append_printf (path, "%s%c", path->len ? "/" : "", depth > 1 ? 'd' : 'f');
    for (gint n = g_rand_int_range (random, 0, 4); n > 0; n--)
      g_string_append_c (path, (char)g_rand_int_range (random, 'a', 'f'));
    if (g_rand_int_range (random, 0, 10) == 0)
      g_string_append (path, "\xc3\xa9\n \xff");
  }
  return g_string_free (path, FALSE);
}

static void
add_random (VfTree *tree, GHashTable *all, GRand *random)
{
  g_autofree char *path = random_path (random);
  Expected *expected = g_new0 (Expected, 1);
  expected->type = (VfNodeType)g_rand_int_range (random, VF_NODE_FILE, VF_NODE_VIEW + 1);
  expected->mode = (guint32)g_rand_int_range (random, 0, 01000);
  expected->content = g_strnfill ((gsize)g_rand_int_range (random, 1, 100), 'c');
  expected->size = strlen (expected->content);
  vf_digest_of (expected->content, expected->size, &expected->digest);
  gboolean ok;
  switch (expected->type) {
  case VF_NODE_SYMLINK:
    expected->mode = 0777;
    ok = vf_tree_add_symlink (tree, path, expected->content, NULL);
    break;
  case VF_NODE_VIEW:
    ok = vf_tree_add_view (tree, path, expected->mode, expected->content, expected->size, NULL);
    break;
  default:
    expected->object = g_rand_boolean (random);
    if (expected->object)
      ok = vf_tree_add_file (tree, path, expected->mode, expected->size, &expected->digest, NULL);
    else
      ok = vf_tree_add_inline (tree, path, expected->mode, expected->content, expected->size, NULL);
  }
  g_assert_true (ok);
  expect_parents (all, path);
  g_hash_table_insert (all, g_steal_pointer (&path), expected);
}

static void
assert_same (const VfImageNode *a, const VfImageNode *b)
{
  g_assert_cmpuint (a->index, ==, b->index);
  g_assert_cmphex (a->id, ==, b->id);
  g_assert_cmpint (memcmp (a, b, sizeof *a), ==, 0);
}

static void
assert_expected (const VfImageNode *node, Expected *expected)
{
  g_assert_false (expected->seen);
  expected->seen = TRUE;
  g_assert_cmpint (node->type, ==, expected->type);
  g_assert_cmpuint (node->mode, ==, expected->mode);
  if (node->type == VF_NODE_DIRECTORY)
    return;
  g_assert_cmpuint (node->size, ==, expected->size);
  g_assert_cmpint (node->has_digest, ==, expected->object);
  g_assert_true (vf_digest_equal (&node->digest, &expected->digest));
  g_assert_cmpint (node->mtime, ==, vf_content_mtime (&expected->digest));
  if (expected->object)
    g_assert_null (node->data);
  else
    g_assert_cmpmem (node->data, node->size, expected->content, expected->size);
  g_assert_cmpuint ((gsize)node->data % 16, ==, 0);
}

/* Walks from the listing down, finding each node in every other way too. */
static guint
walk (VfImage *image, const VfImageNode *directory, const char *path, GHashTable *all)
{
  guint n = 0, n_directories = 0;
  guint64 position = 0;
  for (guint32 i = 0; i < directory->n_children; i++) {
    VfImageNode node, other;
    guint32 index;
    g_assert_cmpint (vf_image_seek (image, directory->index, position, &index), ==, 0);
    g_assert_cmpuint (index, ==, directory->first_child + i);
    g_assert_cmpint (vf_image_get (image, index, &node), ==, 0);
    g_assert_cmpuint (node.parent, ==, directory->index);
    g_autofree char *child = g_strconcat (path, *path ? "/" : "", node.name, NULL);
    assert_expected (&node, g_hash_table_lookup (all, child));

    g_assert_cmpint (vf_image_find (image, node.id, &other), ==, 0);
    assert_same (&node, &other);
    g_assert_cmpint (vf_image_lookup (image, directory->index, node.name, node.name_length, &other),
                     ==, 0);
    assert_same (&node, &other);
    g_assert_cmpint (vf_image_lookup_path (image, child, &other), ==, 0);
    assert_same (&node, &other);
    g_assert_cmpint (vf_image_find (image, node.id ^ 1, &other), ==, -ENOENT);
    guint64 next = vf_name_hash (node.name, node.name_length);
    g_assert_cmpuint (next, >, position);
    position = next;
    n++;
    if (node.type == VF_NODE_DIRECTORY) {
      n_directories++;
      n += walk (image, &node, child, all);
    } else {
      g_assert_cmpint (vf_image_lookup (image, index, "x", 1, &other), ==, -ENOTDIR);
      g_assert_cmpint (vf_image_seek (image, index, 0, &index), ==, -ENOTDIR);
    }
  }
  guint32 end;
  g_assert_cmpint (vf_image_seek (image, directory->index, position, &end), ==, 0);
  if (position > 0)
    g_assert_cmpuint (end, ==, directory->first_child + directory->n_children);
  g_assert_cmpuint (directory->n_directories, ==, n_directories);
  return n;
}

static void
test_random_trees (Fixture *fixture, gconstpointer unused)
{
  for (guint32 seed = 0; seed < 60; seed++) {
    g_autoptr (GRand) random = g_rand_new_with_seed (seed);
    g_autoptr (GHashTable) all =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, expected_free);
    g_autoptr (VfTree) tree = vf_tree_new ();
    g_autoptr (GError) error = NULL;
    for (gint n = g_rand_int_range (random, 0, 400); n > 0; n--)
      add_random (tree, all, random);
    g_autofree char *name = g_strdup_printf ("%u", seed);
    g_assert_true (vf_tree_write_image (tree, &image_id, fixture->fd, name, &error));
    g_autoptr (VfImage) image = vf_image_open (fixture->fd, name, &error);
    g_assert_no_error (error);
    g_assert_true (vf_image_verify (image, &error));
    g_assert_no_error (error);
    g_assert_true (vf_digest_equal (vf_image_id (image), &image_id));

    VfImageNode root;
    g_assert_cmpint (vf_image_get (image, 0, &root), ==, 0);
    g_assert_cmpuint (root.id, ==, VF_IMAGE_ROOT_ID);
    g_assert_cmpuint (walk (image, &root, "", all), ==, g_hash_table_size (all));
    g_assert_cmpuint (vf_image_n_nodes (image), ==, g_hash_table_size (all) + 1);
    g_assert_cmpint (vf_image_get (image, vf_image_n_nodes (image), &root), ==, -EIO);
    g_assert_cmpint (vf_image_lookup (image, 0, "absent", 6, &root), ==, -ENOENT);
    g_assert_cmpint (vf_image_lookup (image, 0, "", 0, &root), ==, -ENOENT);
    g_assert_cmpint (vf_image_find (image, 0, &root), ==, -ENOENT);
    g_assert_cmpint (vf_image_find (image, G_MAXUINT64, &root), ==, -ENOENT);
  }
}

/* A small image of every kind of node, as bytes. */
static GBytes *
make_bytes (Fixture *fixture, const char *name)
{
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (GError) error = NULL;
  VfDigest digest;
  vf_digest_of ("object", 6, &digest);
  vf_tree_add_file (tree, "lib/python3.13/site-packages/a/__init__.py", 0644, 6, &digest, NULL);
  vf_tree_add_inline (tree, "lib/python3.13/site-packages/a.dist-info/RECORD", 0644, "R", 1, NULL);
  vf_tree_add_symlink (tree, "lib64", "lib", NULL);
  vf_tree_add_view (tree, "pyvenv.cfg", 0644, "home", 4, NULL);
  vf_tree_add_directory (tree, "include", 0755, NULL);
  g_assert_true (vf_tree_write_image (tree, &image_id, fixture->fd, name, &error));
  GBytes *bytes = vf_read_file (fixture->fd, name, G_MAXINT, name, &error);
  g_assert_no_error (error);
  return bytes;
}

static VfImage *
open_bytes (Fixture *fixture, const void *data, gsize length, GError **error)
{
  unlinkat (fixture->fd, "copy", 0);
  VF_AUTOFD fd = openat (fixture->fd, "copy", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  g_assert_true (vf_write_all (fd, data, length, "copy", NULL));
  return vf_image_open (fixture->fd, "copy", error);
}

static void
assert_status (int result)
{
  g_assert_true (result == 0 || result == -EIO || result == -ENOENT || result == -ENOTDIR);
}

/* Every call on a possibly damaged image; reads all that it hands out. TRUE: no damage was seen. */
static gboolean
exercise (VfImage *image)
{
  gboolean whole = TRUE;
  const guint64 *ids = vf_image_section (image, VF_SECTION_IDS);
  for (guint32 i = 0; i < vf_image_n_nodes (image); i++) {
    VfImageNode node, found;
    guint32 index;
    int result = vf_image_get (image, i, &node);
    g_assert_true (result == 0 || result == -EIO);
    whole = whole && result == 0;
    result = vf_image_find (image, ids[i], &found);
    assert_status (result);
    whole = whole && result == 0 &&
            found.index == ((const guint32 *)vf_image_section (image, VF_SECTION_INDEXES))[i];
    assert_status (vf_image_seek (image, i, 1u << 20, &index));
    assert_status (vf_image_lookup (image, i, "lib", 3, &found));
    if (result < 0 || !whole)
      continue;
    g_assert_cmpuint (strlen (node.name), ==, node.name_length);
    for (gsize k = 0; node.data && k < node.size; k++)
      whole = whole && ((volatile const char *)node.data)[k] >= 0;
  }
  VfImageNode node;
  assert_status (vf_image_lookup_path (image, "lib/python3.13/site-packages/a/__init__.py", &node));
  return whole;
}

/* Every bit of an image, one at a time: the header's are always noticed at once, the others never
 * crash a reader and are always noticed by the verification. */
static void
test_every_bit (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GBytes) bytes = make_bytes (fixture, "image");
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  g_autofree char *copy = g_memdup2 (data, length);
  for (gsize bit = 0; bit < 8 * length; bit += bit % 3 + 1) {
    g_autoptr (GError) error = NULL;
    copy[bit / 8] ^= (char)(1 << bit % 8);
    g_autoptr (VfImage) image = open_bytes (fixture, copy, length, &error);
    copy[bit / 8] = data[bit / 8];
    if (!image) {
      g_assert_cmpuint (bit / 8, <, sizeof (VfImageHeader));
      g_assert_true (g_error_matches (error, VF_ERROR, VF_ERROR_DAMAGED) ||
                     g_error_matches (error, VF_ERROR, VF_ERROR_NEWER));
      continue;
    }
    g_assert_cmpuint (bit / 8, >=, sizeof (VfImageHeader));
    exercise (image);
    g_assert_false (vf_image_verify (image, &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  }
}

/* Makes the checksums right again, so that only the checks behind them are left. */
static void
seal (char *data, gsize length)
{
  VfImageHeader *header = (gpointer)data;
  vf_digest_of (data + sizeof *header, length - sizeof *header, &header->body);
  vf_digest_of (data, G_STRUCT_OFFSET (VfImageHeader, checksum), &header->checksum);
}

/* What nothing else in an image tells of: modes, the length of an object, and where an empty
 * directory's children would begin. */
static gboolean
is_free (const VfImageRecord *record, gsize field, guint64 value)
{
  switch (field) {
  case G_STRUCT_OFFSET (VfImageRecord, mode):
    return value < 010000;
  case G_STRUCT_OFFSET (VfImageRecord, size):
    return record->type == (VF_NODE_FILE | VF_RECORD_OBJECT) && value <= G_MAXINT64;
  case G_STRUCT_OFFSET (VfImageRecord, content):
    return record->type == VF_NODE_DIRECTORY && record->size == 0;
  default:
    return FALSE;
  }
}

/* Each field of each record set to each of some bad values, under right checksums: the readers
 * survive, and the verification says no. */
static void
test_every_field (Fixture *fixture, gconstpointer unused)
{
  static const guint64 values[] = {0, 1, 2, 0x7fffffff, 0xffffffff, 0xffffffffffffffff};
  static const struct {
    gsize offset, size;
  } fields[] = {
#define FIELD(name) {G_STRUCT_OFFSET (VfImageRecord, name), sizeof (((VfImageRecord *)0)->name)}
      FIELD (name_hash),   FIELD (id),   FIELD (size),  FIELD (content),
      FIELD (parent),      FIELD (name), FIELD (mtime), FIELD (mode),
      FIELD (name_length), FIELD (type), FIELD (zero),
  };
  g_autoptr (GBytes) bytes = make_bytes (fixture, "image");
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  const VfImageHeader *header = (gconstpointer)data;
  const VfImageRecord *original = (gconstpointer)(data + header->sections[VF_SECTION_NODES].offset);
  for (gsize i = 0; i < header->n_nodes * G_N_ELEMENTS (fields) * G_N_ELEMENTS (values); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *copy = g_memdup2 (data, length);
    guint64 value = values[i % G_N_ELEMENTS (values)];
    gsize field = i / G_N_ELEMENTS (values) % G_N_ELEMENTS (fields);
    gsize node = i / G_N_ELEMENTS (values) / G_N_ELEMENTS (fields);
    char *at = copy + header->sections[VF_SECTION_NODES].offset + node * sizeof (VfImageRecord) +
               fields[field].offset;
    if (memcmp (at, &value, fields[field].size) == 0)
      continue;
    memcpy (at, &value, fields[field].size);
    seal (copy, length);
    g_autoptr (VfImage) image = open_bytes (fixture, copy, length, &error);
    g_assert_no_error (error);
    exercise (image);
    if (is_free (original + node, fields[field].offset, value))
      continue;
    g_assert_false (vf_image_verify (image, &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  }
}

/* The header's fields under a right checksum. */
static void
test_header (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GBytes) bytes = make_bytes (fixture, "image");
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  for (int i = 0; i < 12; i++) {
    g_autofree char *copy = g_memdup2 (data, length);
    g_autoptr (GError) error = NULL;
    VfImageHeader *header = (gpointer)copy;
    VfErrorCode code = VF_ERROR_DAMAGED;
    switch (i) {
    case 0:
      header->version = 2, code = VF_ERROR_NEWER;
      break;
    case 1:
      header->version = 0;
      break;
    case 2:
      header->n_nodes = 0;
      break;
    case 3:
      header->n_nodes++;
      break;
    case 4:
      header->n_nodes = G_MAXUINT32;
      break;
    case 5:
      header->n_digests = G_MAXUINT32;
      break;
    case 6:
      header->file_bytes += 16;
      break;
    case 7:
      header->header_bytes++;
      break;
    case 8:
      header->sections[VF_SECTION_IDS].offset += 8;
      break;
    case 9:
      header->sections[VF_SECTION_DATA].offset = G_MAXUINT64 - 15;
      break;
    case 10:
      header->sections[VF_SECTION_STRINGS].length = G_MAXUINT64;
      break;
    default:
      header->sections[VF_SECTION_NODES].offset = 0;
    }
    seal (copy, length);
    g_assert_null (open_bytes (fixture, copy, length, &error));
    g_assert_error (error, VF_ERROR, (int)code);
    g_assert_true (g_str_has_prefix (error->message, "copy: "));
  }
}

static void
test_short_files (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GBytes) bytes = make_bytes (fixture, "image");
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);
  for (gsize n = 0; n < length; n += 13) {
    g_autoptr (GError) error = NULL;
    g_assert_null (open_bytes (fixture, data, n, &error));
    g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  }
  g_autoptr (GError) error = NULL;
  g_assert_null (vf_image_open (fixture->fd, "absent", &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
  g_clear_error (&error);
  g_assert_null (vf_image_open (fixture->fd, ".", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
}

/* A file that shrinks under a live mapping ends that image alone. */
static void
test_truncated_alive (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (GError) error = NULL;
  for (int i = 0; i < 2000; i++) {
    g_autofree char *path = g_strdup_printf ("directory%d/file%d", i % 10, i);
    vf_tree_add_inline (tree, path, 0644, path, strlen (path), NULL);
  }
  g_assert_true (vf_tree_write_image (tree, &image_id, fixture->fd, "a", &error));
  g_assert_true (vf_tree_write_image (tree, &image_id, fixture->fd, "b", &error));
  g_autoptr (VfImage) a = vf_image_open (fixture->fd, "a", &error);
  g_autoptr (VfImage) b = vf_image_open (fixture->fd, "b", &error);
  g_assert_no_error (error);
  VfImageNode node;
  g_assert_cmpint (vf_image_lookup_path (a, "directory3/file13", &node), ==, 0);

  g_autofree char *path = g_build_filename (fixture->path, "a", NULL);
  g_assert_cmpint (truncate (path, 4096), ==, 0);
  guint64 id = node.id;
  g_assert_cmpint (vf_image_find (a, id, &node), ==, -EIO);
  g_assert_cmpint (vf_image_status (a), ==, -EIO);
  g_assert_cmpint (vf_image_get (a, 0, &node), ==, -EIO);
  g_assert_cmpint (vf_image_lookup_path (a, "directory3", &node), ==, -EIO);
  g_assert_cmpint (vf_image_lookup (a, 0, "absent", 6, &node), ==, -EIO);
  g_assert_false (vf_image_verify (a, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_DAMAGED);
  g_clear_error (&error);
  g_assert_cmpint (vf_image_status (b), ==, 0);
  g_assert_cmpint (vf_image_find (b, id, &node), ==, 0);
  g_assert_true (vf_image_verify (b, &error));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function) FIXTURE_TEST ("/image/" name, function)
  ADD ("random-trees", test_random_trees);
  ADD ("every-bit", test_every_bit);
  ADD ("every-field", test_every_field);
  ADD ("header", test_header);
  ADD ("short-files", test_short_files);
  ADD ("truncated-alive", test_truncated_alive);
  return g_test_run ();
}
