/* Whole environments of made-up packages, with objects, an index, bytecode, an image: what the
 * sweep and the check walk over. */
#pragma once

#include "environment-fixture.h"
#include "layers/bytecode.h"
#include "layers/package.h"
#include "layers/tree.h"

#define WORLD_TAG "cpython-313.3571"

/* A package that has @n files of the contents "<name> <i>" and one "shared", and their bytecode
 * "<name> <i> compiled"; a wheel of the digest of "<name> wheel" became it. */
static inline VfDigest
world_package (Fixture *fixture, const char *name, guint n)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (fixture->store, &error);
  g_autofree char *dist_info = g_strconcat (name, "-1.0.dist-info", NULL);
  g_autoptr (VfPackage) package = vf_package_new (name, "1.0", dist_info);
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (VfBytecodeEntry));
  for (guint i = 0; i <= n; i++) {
    g_autofree char *content = i == n ? g_strdup ("shared") : g_strdup_printf ("%s %u", name, i);
    g_autofree char *compiled = g_strconcat (content, " compiled", NULL);
    g_autofree char *path = g_strdup_printf ("%s/m%03u.py", name, i);
    VfDigest digest = digest_of (content);
    VfBytecodeEntry entry = {i, (guint32)strlen (compiled), digest_of (compiled)};
    vf_package_add_file (package, VF_SCHEME_PURELIB, path, 0644, strlen (content), &digest, 0);
    g_assert_true (vf_object_batch_add (batch, &digest, content, strlen (content), NULL, &error));
    g_assert_true (
        vf_object_batch_add (batch, &entry.digest, compiled, strlen (compiled), NULL, &error));
    g_array_append_val (entries, entry);
  }
  g_assert_true (vf_package_put (package, batch, &error));
  g_assert_true (vf_object_batch_commit (batch, &error));
  g_autofree char *index = vf_digest_path ("packages/", &package->digest);

  g_autofree char *wheel_name = g_strconcat (name, " wheel", NULL);
  VfDigest wheel = digest_of (wheel_name);
  g_autofree char *wheel_path = vf_digest_path ("wheels/", &wheel);
  g_autofree char *line = g_strconcat (index + strlen ("packages/"), "\n", NULL);
  g_assert_true (vf_store_put (fixture->store, wheel_path, line, strlen (line), &error));

  g_autofree char *listing =
      g_strconcat ("bytecode/" WORLD_TAG "/", index + strlen ("packages/"), NULL);
  g_autoptr (GBytes) bytes = vf_bytecode_serialize (entries);
  g_assert_true (vf_store_put (fixture->store, listing, g_bytes_get_data (bytes, NULL),
                               g_bytes_get_size (bytes), &error));
  return package->digest;
}

/* An image of the files "<name> <i>" and of one more, "<name> residue", that is in no package. */
static inline VfDigest
world_image (Fixture *fixture, const char *name, guint n)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autofree char *residue = g_strconcat (name, " residue", NULL);
  for (guint i = 0; i <= n; i++) {
    g_autofree char *content = i == n ? g_strdup (residue) : g_strdup_printf ("%s %u", name, i);
    g_autofree char *path = g_strdup_printf ("lib/%s/m%03u.py", name, i);
    VfDigest digest = add_object (fixture, content);
    g_assert_true (vf_tree_add_file (tree, path, 0644, strlen (content), &digest, &error));
  }
  g_assert_true (vf_tree_add_inline (tree, "RECORD", 0644, "inline", 6, &error));
  VfDigest id = digest_of (name);
  g_autofree char *path = vf_digest_path ("images/", &id);
  g_autoptr (VfStoreTmp) tmp = vf_store_tmp_new (fixture->store, &error);
  g_assert_true (vf_tree_write_image (tree, &id, vf_store_tmp_fd (tmp), "image", &error));
  g_assert_true (vf_store_publish (fixture->store, vf_store_tmp_fd (tmp), "image", path, &error));
  return id;
}

static inline VfEnvironment *
world_environment (Fixture *fixture, const char *name, guint n)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfGeneration) generation = new_generation ();
  VfDigest package = world_package (fixture, name, n);
  generation->image = world_image (fixture, name, n);
  g_ptr_array_add (generation->installed, vf_installed_new (&package, TRUE, NULL));
  VfEnvironment *environment =
      vf_environment_create (fixture->store, name, name, generation, &error);
  g_assert_no_error (error);
  return environment;
}

static inline void
world_delete (VfEnvironment *environment)
{
  g_autoptr (GError) error = NULL;
  VF_AUTOFD lock_fd = vf_environment_lock (environment, &error);
  g_assert_no_error (error);
  g_assert_true (vf_environment_delete (environment, NULL, &error));
}

static inline gboolean
has_object (Fixture *fixture, const char *content)
{
  g_autofree char *path = object_path (content);
  return store_has (fixture, path);
}
