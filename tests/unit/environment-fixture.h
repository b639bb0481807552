/* Generations and environments of made-up packages. */
#pragma once

#include "layers/environment.h"
#include "store-fixture.h"

static inline VfGeneration *
new_generation (void)
{
  VfGeneration *generation = g_new0 (VfGeneration, 1);
  generation->number = 1;
  generation->python = g_strdup ("/usr/bin/python3.13");
  generation->python_version = g_strdup ("3.13.0");
  generation->cache_tag = g_strdup ("cpython-313");
  generation->compile = TRUE;
  generation->image = digest_of ("image");
  generation->created = 1700000000;
  generation->installed = g_ptr_array_new_with_free_func ((GDestroyNotify)vf_installed_free);
  return generation;
}

static inline void
add_package (VfGeneration *generation, const char *text, gboolean requested, const char *direct_url)
{
  VfDigest digest = digest_of (text);
  g_ptr_array_add (generation->installed, vf_installed_new (&digest, requested, direct_url));
}

/* Files in place of the image and the packages that @generation names. */
static inline void
store_references (Fixture *fixture, const VfGeneration *generation)
{
  g_autofree char *image = vf_digest_path ("images/", &generation->image);
  store_write (fixture, image, "image");
  for (guint i = 0; i < generation->installed->len; i++) {
    g_autofree char *path =
        vf_digest_path ("packages/", &((VfInstalled *)generation->installed->pdata[i])->digest);
    store_write (fixture, path, "package");
  }
}

static inline VfEnvironment *
new_environment (Fixture *fixture, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfGeneration) generation = new_generation ();
  add_package (generation, "numpy", TRUE, NULL);
  add_package (generation, "six", FALSE, NULL);
  store_references (fixture, generation);
  VfEnvironment *environment =
      vf_environment_create (fixture->store, name, name, generation, &error);
  g_assert_no_error (error);
  return environment;
}
