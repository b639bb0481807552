#include "tools/pip-options.h"

#include <string.h>

static char *index_url;
static char **extra_index_urls, **find_links, **no_binary, **only_binary, **trusted_hosts;
static gboolean no_index, pre, no_deps, require_hashes, prefer_binary;

const GOptionEntry vf_pip_option_entries[] = {
    {"index-url", 'i', 0, G_OPTION_ARG_FILENAME, &index_url, "Package index, as for pip", "URL"},
    {"extra-index-url", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &extra_index_urls,
     "Further index, as for pip", "URL"},
    {"find-links", 'f', 0, G_OPTION_ARG_FILENAME_ARRAY, &find_links,
     "Directory or page of wheels, as for pip", "DIR|URL"},
    {"no-index", 0, 0, G_OPTION_ARG_NONE, &no_index, "Use no index, only --find-links", NULL},
    {"pre", 0, 0, G_OPTION_ARG_NONE, &pre, "Take pre-releases too", NULL},
    {"no-binary", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &no_binary,
     "Build these from source (:all: for all)", "NAMES"},
    {"only-binary", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &only_binary,
     "Take these from wheels only (:all: for all)", "NAMES"},
    {"prefer-binary", 0, 0, G_OPTION_ARG_NONE, &prefer_binary,
     "Prefer an older wheel to a newer source", NULL},
    {"no-deps", 0, 0, G_OPTION_ARG_NONE, &no_deps, "Add no dependencies", NULL},
    {"require-hashes", 0, 0, G_OPTION_ARG_NONE, &require_hashes,
     "Refuse requirements without a hash", NULL},
    {"trusted-host", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &trusted_hosts,
     "Accept this host without valid TLS", "HOST"},
    {NULL},
};

static void
collect_each (GPtrArray *options, const char *name, char **values)
{
  for (gsize i = 0; values && values[i]; i++)
    g_ptr_array_add (options, g_strdup_printf ("--%s=%s", name, values[i]));
}

static void
collect_flag (GPtrArray *options, const char *name, gboolean value)
{
  if (value)
    g_ptr_array_add (options, g_strdup_printf ("--%s", name));
}

char **
vf_pip_options_collect (void)
{
  GPtrArray *options = g_ptr_array_new ();
  if (index_url)
    g_ptr_array_add (options, g_strdup_printf ("--index-url=%s", index_url));
  collect_each (options, "extra-index-url", extra_index_urls);
  for (gsize i = 0; find_links && find_links[i]; i++) {
    gboolean url = strstr (find_links[i], "://") || g_str_has_prefix (find_links[i], "file:");
    g_autofree char *path =
        url ? g_strdup (find_links[i]) : g_canonicalize_filename (find_links[i], NULL);
    g_ptr_array_add (options, g_strdup_printf ("--find-links=%s", path));
  }
  collect_flag (options, "no-index", no_index);
  collect_flag (options, "pre", pre);
  collect_each (options, "no-binary", no_binary);
  collect_each (options, "only-binary", only_binary);
  collect_flag (options, "prefer-binary", prefer_binary);
  collect_flag (options, "no-deps", no_deps);
  collect_flag (options, "require-hashes", require_hashes);
  collect_each (options, "trusted-host", trusted_hosts);
  g_ptr_array_add (options, NULL);
  return (char **)g_ptr_array_free (options, FALSE);
}
