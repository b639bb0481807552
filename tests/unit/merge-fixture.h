/* An interpreter made by hand, packages made by hand, and a look into the image they give. */
#pragma once

#include "tests/unit/store-fixture.h"

#include "layers/merge-parts.h"
#include "layers/view.h"

#define SITE "lib/python3.13/site-packages/"

/* CPython 3.13 in /opt/python. To be changed by tests as they like; owned by nobody. */
static inline VfInterpreter
make_interpreter (void)
{
  static char *names[] = {(char *)"python", (char *)"python3", (char *)"python3.13", NULL};
  static char *tags[] = {NULL};
  return (VfInterpreter){
      .executable = (char *)"/opt/python/bin/python3.13",
      .real_executable = (char *)"/opt/python/bin/python3.13",
      .home = (char *)"/opt/python/bin",
      .stdlib = (char *)"/opt/python/lib/python3.13",
      .implementation = (char *)"cpython",
      .major = 3,
      .minor = 13,
      .micro = 1,
      .version = (char *)"3.13.1",
      .version_info = (char *)"3.13.1.final.0",
      .cache_tag = (char *)"cpython-313",
      .bytecode_magic = (char *)"f30d0d0a",
      .lib_name = (char *)"python3.13",
      .purelib = (char *)"lib/python3.13/site-packages",
      .platlib = (char *)"lib/python3.13/site-packages",
      .scripts = (char *)"bin",
      .data = (char *)"",
      .headers = (char *)"include/site/python3.13",
      .lib64 = TRUE,
      .names = names,
      .tags = tags,
      .probe_id = (char *)"00",
  };
}

static inline VfPackage *
make_package (const char *name, const char *version)
{
  g_autofree char *dist_info = g_strdup_printf ("%s-%s.dist-info", name, version);
  VfPackage *package = vf_package_new (name, version, dist_info);
  package->root_is_purelib = TRUE;
  return package;
}

static inline void
add_text (Fixture *fixture, VfPackage *package, VfScheme scheme, const char *path, guint32 mode,
          const char *text, VfPackageFileFlags flags)
{
  VfDigest digest = add_object (fixture, text);
  vf_package_add_file (package, scheme, path, mode, strlen (text), &digest, flags);
}

/* Into the store; frees the package. */
static inline VfInstalled *
install (Fixture *fixture, VfPackage *package, gboolean requested, const char *direct_url)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (fixture->store, &error);
  g_assert_true (vf_package_put (package, batch, &error));
  g_assert_true (vf_object_batch_commit (batch, &error));
  VfInstalled *installed = vf_installed_new (&package->digest, requested, direct_url);
  vf_package_free (package);
  return installed;
}

static inline void
add_file_only (Fixture *fixture, GPtrArray *installed, const char *name, const char *path,
               const char *text)
{
  VfPackage *package = make_package (name, "1.0");
  add_text (fixture, package, VF_SCHEME_PURELIB, path, 0644, text, 0);
  g_ptr_array_add (installed, install (fixture, package, FALSE, NULL));
}

static inline GPtrArray *
new_installed (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify)vf_installed_free);
}

static inline VfImage *
open_image (Fixture *fixture, const VfDigest *id)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = vf_digest_path ("images/", id);
  VfImage *image = vf_image_open (vf_store_fd (fixture->store), path, &error);
  g_assert_no_error (error);
  g_assert_true (vf_digest_equal (vf_image_id (image), id));
  g_assert_true (vf_image_verify (image, &error));
  return image;
}

static inline VfImage *
build (Fixture *fixture, const VfMergeInput *input, GPtrArray *warnings)
{
  g_autoptr (GError) error = NULL;
  VfDigest id, expected;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, &error);
  g_assert_true (vf_merge_image_id (fixture->store, input, &expected, &error));
  g_assert_true (vf_merge_build (fixture->store, input, warnings, &id, &error));
  g_assert_no_error (error);
  g_assert_true (vf_digest_equal (&id, &expected));
  return open_image (fixture, &id);
}

/* What a program would read there, mounted at /m with the prompt p. */
static inline char *
read_path (Fixture *fixture, VfImage *image, const char *path)
{
  VfImageNode node;
  g_assert_cmpint (vf_image_lookup_path (image, path, &node), ==, 0);
  if (node.type == VF_NODE_VIEW) {
    const VfViewContext context = {.mount_point = "/m", .prompt = "p"};
    g_autoptr (GBytes) bytes = vf_view_render (node.data, node.size, &context);
    g_assert_nonnull (bytes);
    return g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  }
  if (!node.has_digest)
    return g_strndup (node.data, node.size);
  VfExtent extent;
  g_assert_cmpint (vf_object_open (fixture->store, &node.digest, &extent), ==, 0);
  char *text = g_malloc0 (extent.length + 1);
  g_assert_cmpint (pread (extent.fd, text, extent.length, extent.offset), ==, extent.length);
  close (extent.fd);
  return text;
}

static inline void
assert_text (Fixture *fixture, VfImage *image, const char *path, guint32 mode, const char *expected)
{
  VfImageNode node;
  g_autofree char *text = read_path (fixture, image, path);
  g_assert_cmpint (vf_image_lookup_path (image, path, &node), ==, 0);
  g_assert_cmpuint (node.mode, ==, mode);
  g_assert_cmpstr (text, ==, expected);
}

static inline void
assert_absent (VfImage *image, const char *path)
{
  VfImageNode node;
  g_assert_cmpint (vf_image_lookup_path (image, path, &node), ==, -ENOENT);
}
