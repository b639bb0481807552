/* The skeleton: directories, links, pyvenv.cfg, the activation scripts, and the marks that keep
 * version control and backups out.
 *
 * It follows what `python -m venv` of the same version makes, with three differences. .gitignore is
 * there for every version, as uv and virtualenv have it, since the mount point lies in somebody's
 * project. So is CACHEDIR.TAG: what a mount shows is kept in the store, and a backup that walks
 * into it would copy gigabytes out of it for each environment. And pyvenv.cfg has the keys of venv
 * and virtualenv both. */
#include <string.h>

#include "layers/error.h"
#include "layers/merge-parts.h"
#include "layers/view.h"

static const struct {
  const char *name;
  const char *text;
} templates[] = {
    {
        "activate",
#include "layers/activate.sh.inc"
    },
    {
        "activate.csh",
#include "layers/activate.csh.inc"
    },
    {
        "activate.fish",
#include "layers/activate.fish.inc"
    },
    {
        "activate.nu",
#include "layers/activate.nu.inc"
    },
    {
        "activate.xsh",
#include "layers/activate.xsh.inc"
    },
    {
        "Activate.ps1",
#include "layers/Activate.ps1.inc"
    },
    {
        "activate_this.py",
#include "layers/activate_this.py.inc"
    },
};

static const char cachedir_tag[] =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# What this directory shows is kept elsewhere; it need not be backed up.\n"
    "# See https://bford.info/cachedir/\n";

void
vf_skeleton_hash (VfHasher *hasher)
{
  for (gsize i = 0; i < G_N_ELEMENTS (templates); i++)
    vf_hasher_update (hasher, templates[i].text, strlen (templates[i].text) + 1);
}

/* A value of pyvenv.cfg is one line of UTF-8, as it stands: Python refuses to start on anything
 * else. */
static gboolean
append_value (GString *cfg, const char *key, const char *value, GError **error)
{
  if (!g_utf8_validate (value, -1, NULL) || strpbrk (value, "\n\r") || !*value)
    return vf_error_set (error, VF_ERROR_INVALID,
                         "%s: a path that pyvenv.cfg cannot hold; use a Python in a directory "
                         "whose name is UTF-8 without line breaks",
                         value);
  g_string_append_printf (cfg, "%s = ", key);
  vf_view_append_literal (cfg, value, strlen (value));
  g_string_append_c (cfg, '\n');
  return TRUE;
}

/* As platform.python_implementation() says it. */
static const char *
implementation_name (const VfInterpreter *interpreter)
{
  if (strcmp (interpreter->implementation, "cpython") == 0)
    return "CPython";
  return strcmp (interpreter->implementation, "pypy") == 0 ? "PyPy" : interpreter->implementation;
}

/* The keys of venv, then those of virtualenv that programs ask for. Never `uv`: uv would take the
 * environment for one of its own. */
static GString *
make_cfg (const VfMerge *merge, GError **error)
{
  const VfInterpreter *interpreter = merge->interpreter;
  g_autoptr (GString) cfg = g_string_new (NULL);
  if (!append_value (cfg, "home", interpreter->home, error) ||
      !append_value (cfg, "include-system-site-packages",
                     merge->system_site_packages ? "true" : "false", error) ||
      !append_value (cfg, "version", interpreter->version, error))
    return NULL;
  if (interpreter->minor >= 11) {
    if (!append_value (cfg, "executable", interpreter->real_executable, error) ||
        !append_value (cfg, "command", interpreter->executable, error))
      return NULL;
    g_string_truncate (cfg, cfg->len - 1);
    g_string_append (cfg, " -m venv ");
    vf_view_append_reference (cfg, "cfg");
    g_string_append_c (cfg, '\n');
  }
  if (!append_value (cfg, "implementation", implementation_name (interpreter), error) ||
      !append_value (cfg, "version_info", interpreter->version_info, error))
    return NULL;
  g_string_append (cfg, "prompt = ");
  vf_view_append_reference (cfg, "prompt-py");
  g_string_append_c (cfg, '\n');
  return g_steal_pointer (&cfg);
}

/* bin/python is the one absolute link, the other names are relative to it. */
static gboolean
add_links (const VfMerge *merge, GError **error)
{
  const VfInterpreter *interpreter = merge->interpreter;
  if (interpreter->lib64 && !vf_tree_add_symlink (merge->tree, "lib64", "lib", error))
    return FALSE;
  for (gsize i = 0; interpreter->names[i]; i++) {
    g_autofree char *path = g_strconcat (interpreter->scripts, "/", interpreter->names[i], NULL);
    const char *target = i == 0 ? interpreter->executable : interpreter->names[0];
    if (!vf_tree_add_symlink (merge->tree, path, target, error))
      return FALSE;
  }
  return TRUE;
}

/* venv of 3.11 to 3.13 makes a directory of the interpreter's name in include/. */
static gboolean
has_named_include (const VfInterpreter *interpreter)
{
  return strcmp (interpreter->implementation, "cpython") == 0 && interpreter->minor >= 11 &&
         interpreter->minor <= 13;
}

static gboolean
add_directories (const VfMerge *merge, GError **error)
{
  const VfInterpreter *interpreter = merge->interpreter;
  VfTree *tree = merge->tree;
  if (!vf_tree_add_directory (tree, "include", 0755, error) ||
      !vf_tree_add_directory (tree, interpreter->scripts, 0755, error) ||
      !vf_tree_add_directory (tree, interpreter->purelib, 0755, error) ||
      !vf_tree_add_directory (tree, interpreter->platlib, 0755, error))
    return FALSE;
  if (!has_named_include (interpreter))
    return TRUE;
  g_autofree char *path = g_strconcat ("include/", interpreter->lib_name, NULL);
  return vf_tree_add_directory (tree, path, 0755, error);
}

gboolean
vf_skeleton_add (const VfMerge *merge, GError **error)
{
  VfTree *tree = merge->tree;
  g_autoptr (GString) cfg = make_cfg (merge, error);
  if (!cfg || !vf_tree_add_view (tree, "pyvenv.cfg", 0644, cfg->str, cfg->len, error) ||
      !add_directories (merge, error) || !add_links (merge, error))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (templates); i++) {
    g_autofree char *path = g_strconcat (merge->interpreter->scripts, "/", templates[i].name, NULL);
    if (!vf_tree_add_view (tree, path, 0644, templates[i].text, strlen (templates[i].text), error))
      return FALSE;
  }
  return vf_tree_add_inline (tree, ".gitignore", 0644, "*\n", 2, error) &&
         vf_tree_add_inline (tree, "CACHEDIR.TAG", 0644, cachedir_tag, strlen (cachedir_tag),
                             error);
}
