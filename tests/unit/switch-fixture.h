/* The overlay of overlay-fixture.h, and a second image to switch to:
 *
 *   dir/            0755
 *     empty/        0700  (another mode)
 *     exec          0755  "#!/bin/sh\n"
 *     file          0644  "next file\n"   (changed)
 *     new           0644  "new\n"         (added; link is gone)
 *     sub/
 *       deep        0644  "deep\n"
 *   added/inside    0644  "inside\n"
 *   inline          0644  "kept inside\n"
 *   view            0644  "at <mount point>\n" */
#pragma once

#include "overlay-fixture.h"

#define ROOT VF_IMAGE_ROOT_ID

static inline VfImage *
fixture_next_image (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfTree) tree = vf_tree_new ();
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (fixture->store, &error);
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (fixture->store, &error);
  g_assert_no_error (error);
  fixture_add_file (tree, batch, "dir/file", 0644, "next file\n");
  fixture_add_file (tree, batch, "dir/exec", 0755, "#!/bin/sh\n");
  fixture_add_file (tree, batch, "dir/new", 0644, "new\n");
  fixture_add_file (tree, batch, "dir/sub/deep", 0644, "deep\n");
  fixture_add_file (tree, batch, "added/inside", 0644, "inside\n");
  g_assert_true (vf_tree_add_directory (tree, "dir/empty", 0700, &error));
  g_assert_true (vf_tree_add_inline (tree, "inline", 0644, "kept inside\n", 12, &error));
  g_assert_true (vf_tree_add_view (tree, "view", 0644, "at \001path\002\n", 10, &error));
  g_assert_true (vf_object_batch_commit (batch, &error));
  VfDigest id;
  vf_digest_of ("next", 4, &id);
  g_autofree char *name = vf_digest_path ("images/", &id);
  g_assert_true (vf_tree_write_image (tree, &id, vf_store_fd (fixture->store), name, &error));
  VfImage *image = vf_image_open (vf_store_fd (fixture->store), name, &error);
  g_assert_no_error (error);
  return image;
}

/* @set_aside: paths, separated by blanks, or NULL. */
static inline VfSwitchEffect *
switch_with (Fixture *fixture, VfImage *image, guint aside, const char *set_aside, guint bring_back)
{
  g_auto (GStrv) paths = set_aside ? g_strsplit (set_aside, " ", -1) : NULL;
  VfSwitch wanted = {.image = image,
                     .aside = aside,
                     .set_aside = (const char *const *)paths,
                     .bring_back = bring_back};
  int result;
  VfSwitchEffect *effect = vf_overlay_switch (fixture->overlay, &wanted, &result);
  g_assert_cmpint (result, ==, 0);
  return effect;
}

static inline void
switch_to (Fixture *fixture, VfImage *image)
{
  vf_switch_effect_free (switch_with (fixture, image, 0, NULL, 0));
}

/* "a b c": the names that are told to the kernel, sorted. */
static inline void
assert_entries (const VfSwitchEffect *effect, const char *expected)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  for (guint i = 0; i < effect->entries->len; i++)
    g_ptr_array_add (names, ((VfSwitchEntry *)effect->entries->pdata[i])->name);
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  g_autofree char *joined = g_strjoinv (" ", (char **)names->pdata);
  g_assert_cmpstr (joined, ==, expected);
}

static inline void
assert_hidden (const VfSwitchEffect *effect, const char *expected)
{
  g_autoptr (GString) joined = g_string_new (NULL);
  for (guint i = 0; i < effect->hidden->len; i++)
    g_string_append_printf (joined, "%s%s", i > 0 ? " " : "",
                            (const char *)effect->hidden->pdata[i]);
  g_assert_cmpstr (joined->str, ==, expected);
}

static inline gboolean
has_node (const VfSwitchEffect *effect, guint64 id)
{
  for (guint i = 0; i < effect->nodes->len; i++)
    if (g_array_index (effect->nodes, guint64, i) == id)
      return TRUE;
  return FALSE;
}

/* As pip leaves it: the image's directory removed, one of its own in its place. */
static inline void
make_own_directory (Fixture *fixture)
{
  VfOverlay *o = fixture->overlay;
  g_assert_cmpint (vf_overlay_rename (o, ROOT, "dir", ROOT, "~ir", 0), ==, 0);
  guint64 dir = make_dir (fixture, ROOT, "dir");
  make_file (fixture, dir, "file", "pip's\n");
  make_file (fixture, make_dir (fixture, dir, "sub"), "deep", "pip's\n");
}
