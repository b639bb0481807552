#include "tools/mount-options.h"

#include <string.h>

#include "layers/error.h"

void
vf_mount_options_clear (VfMountOptions *options)
{
  g_clear_pointer (&options->store, g_free);
  g_clear_pointer (&options->lower, g_strfreev);
  g_clear_pointer (&options->upper, g_free);
  g_clear_pointer (&options->work, g_free);
}

typedef struct {
  const char *name;
  gsize field;
  gboolean value;
} Flag;

#define FLAG(name, field, value)                                                                   \
  {                                                                                                \
    name, G_STRUCT_OFFSET (VfMountOptions, field), value                                           \
  }

static const Flag flags[] = {
    FLAG ("ro", flags.read_only, TRUE),
    FLAG ("rw", flags.read_only, FALSE),
    FLAG ("noexec", flags.noexec, TRUE),
    FLAG ("exec", flags.noexec, FALSE),
    FLAG ("suid", flags.suid, TRUE),
    FLAG ("nosuid", flags.suid, FALSE),
    FLAG ("dev", flags.dev, TRUE),
    FLAG ("nodev", flags.dev, FALSE),
    FLAG ("atime", flags.noatime, FALSE),
    FLAG ("noatime", flags.noatime, TRUE),
    FLAG ("nosymfollow", flags.nosymfollow, TRUE),
    FLAG ("symfollow", flags.nosymfollow, FALSE),
    FLAG ("remount", remount, TRUE),
    FLAG ("allow_other", allow_other, TRUE),
};

/* What others act on, or what is so anyway. */
static const char *const passed_over[] = {
    "defaults",    "auto",
    "noauto",      "user",
    "nouser",      "users",
    "owner",       "group",
    "_netdev",     "nofail",
    "relatime",    "norelatime",
    "strictatime", "nostrictatime",
    "diratime",    "nodiratime",
    "lazytime",    "nolazytime",
    "async",       "silent",
    "loud",        "default_permissions",
};
static const char *const passed_over_prefixes[] = {
    "user=",
    "uhelper=",
    "helper=",
    "comment=",
    "subtype=",
    "fsname=",
    "x-",
    "X-",
    /* what /proc/mounts has of a mount, which mount(8) passes when it is mounted again */
    "user_id=",
    "group_id=",
    "max_read=",
    "blksize=",
};

static gboolean
is_passed_over (const char *option)
{
  for (gsize i = 0; i < G_N_ELEMENTS (passed_over); i++)
    if (strcmp (option, passed_over[i]) == 0)
      return TRUE;
  for (gsize i = 0; i < G_N_ELEMENTS (passed_over_prefixes); i++)
    if (g_str_has_prefix (option, passed_over_prefixes[i]))
      return TRUE;
  return FALSE;
}

/* At each @separator that no backslash stands before. What @unescape says loses its backslashes. */
static char **
split (const char *text, char separator, gboolean unescape)
{
  g_autoptr (GPtrArray) parts = g_ptr_array_new ();
  g_autoptr (GString) part = g_string_new (NULL);
  for (const char *at = text;; at++) {
    if (*at == '\0' || *at == separator) {
      g_ptr_array_add (parts, g_strdup (part->str));
      g_string_truncate (part, 0);
      if (*at == '\0')
        break;
    } else if (*at == '\\' && at[1] != '\0') {
      if (!unescape)
        g_string_append_c (part, '\\');
      g_string_append_c (part, *++at);
    } else
      g_string_append_c (part, *at);
  }
  g_ptr_array_add (parts, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&parts), FALSE);
}

static char *
unescaped (const char *text)
{
  g_auto (GStrv) parts = split (text, '\0', TRUE);
  return g_strdup (parts[0]);
}

static gboolean
parse_value (VfMountOptions *options, const char *option)
{
  const char *value = strchr (option, '=');
  if (value == NULL)
    return FALSE;
  value++;
  if (g_str_has_prefix (option, "lowerdir=")) {
    g_strfreev (options->lower);
    options->lower = split (value, ':', TRUE);
    return TRUE;
  }
  char **target = g_str_has_prefix (option, "upperdir=")  ? &options->upper
                  : g_str_has_prefix (option, "workdir=") ? &options->work
                  : g_str_has_prefix (option, "store=")   ? &options->store
                                                          : NULL;
  if (target == NULL)
    return FALSE;
  g_free (*target);
  *target = unescaped (value);
  return TRUE;
}

static gboolean
parse_flag (VfMountOptions *options, const char *option)
{
  for (gsize i = 0; i < G_N_ELEMENTS (flags); i++)
    if (strcmp (option, flags[i].name) == 0) {
      G_STRUCT_MEMBER (gboolean, options, flags[i].field) = flags[i].value;
      return TRUE;
    }
  return FALSE;
}

gboolean
vf_mount_options_parse (VfMountOptions *options, const char *text, gboolean sloppy, GError **error)
{
  g_auto (GStrv) list = split (text, ',', FALSE);
  for (char **option = list; *option != NULL; option++)
    if (**option != '\0' && !parse_flag (options, *option) && !parse_value (options, *option) &&
        !is_passed_over (*option) && !sloppy)
      return vf_error_set (error, VF_ERROR_USAGE, "%s: is no mount option of fuse.venvfs", *option);
  return TRUE;
}
