/* The table of rules, and the message of a broken one.
 *
 * Which may be overridden: those whose breaking leaves no doubt about what the wheel holds and
 * where it goes. Never the container's structure (two readers would see two wheels) and never a
 * path or a name that leaves the environment or takes the place of its interpreter. */
#include "layers/wheel-rules.h"

#include <string.h>

#include "layers/error.h"

#define WRONG_MAX_BYTES 800u /* of what is wrong: a RECORD may have a path of megabytes */

static const VfWheelRule table[] = {
    [VF_RULE_FILE_NAME] = {"file-name",
                           "the file is named NAME-VERSION[-BUILD]-PYTHON-ABI-PLATFORM.whl", FALSE},
    [VF_RULE_ZIP_END] = {"zip-end",
                         "the zip's end record is there, whole and points to the "
                         "central directory",
                         FALSE},
    [VF_RULE_ZIP_TRAILING] = {"zip-trailing", "nothing stands behind the zip's end record", FALSE},
    [VF_RULE_ZIP_COMMENT] = {"zip-comment", "the zip's comment holds no zip records", FALSE},
    [VF_RULE_ZIP_64] = {"zip-64", "ZIP64 records agree with the plain ones and hold nothing else",
                        FALSE},
    [VF_RULE_ZIP_DIRECTORY] = {"zip-directory", "the central directory can be read", FALSE},
    [VF_RULE_ZIP_COUNT] = {"zip-count",
                           "the central directory has as many entries as the end "
                           "record says",
                           FALSE},
    [VF_RULE_ZIP_EXTRA] = {"zip-extra", "extra fields are well-formed and unambiguous", FALSE},
    [VF_RULE_ZIP_NAME] = {"zip-name",
                          "entry names are UTF-8, not empty, without control "
                          "characters",
                          FALSE},
    [VF_RULE_ZIP_TYPE] = {"zip-type", "entries are files, directories or symbolic links", FALSE},
    [VF_RULE_ZIP_ENCRYPTED] = {"zip-encrypted", "entries are not encrypted", FALSE},
    [VF_RULE_ZIP_METHOD] = {"zip-method", "entries are stored or deflated", FALSE},
    [VF_RULE_ZIP_RATIO] = {"zip-ratio", "no entry claims more than its bytes can unpack to", FALSE},
    [VF_RULE_ZIP_OVERLAP] = {"zip-overlap", "no bytes belong to two entries", FALSE},
    [VF_RULE_ZIP_HIDDEN] = {"zip-hidden", "no bytes between the entries belong to none", FALSE},
    [VF_RULE_ZIP_LOCAL] = {"zip-local", "local headers and the central directory agree", FALSE},
    [VF_RULE_ZIP_DESCRIPTOR] = {"zip-descriptor",
                                "data descriptors stand where announced, and "
                                "agree",
                                FALSE},
    [VF_RULE_ZIP_DATA] = {"zip-data", "entries unpack to the size and CRC announced", FALSE},
    [VF_RULE_ZIP_DUPLICATE] = {"zip-duplicate",
                               "a path stands once, or each time with the same "
                               "content and mode",
                               FALSE},
    [VF_RULE_PATH_TRAVERSAL] = {"path-traversal",
                                "paths are relative, without empty, . or .. "
                                "segments, and not too deep",
                                FALSE},
    [VF_RULE_PATH_CONFLICT] = {"path-conflict",
                               "no two files want one place, no file a "
                               "directory's",
                               FALSE},
    [VF_RULE_DIST_INFO] = {"dist-info", "there is exactly one .dist-info directory", FALSE},
    [VF_RULE_DIST_INFO_NAME] = {"dist-info-name",
                                "the .dist-info directory has the file's name "
                                "and version",
                                TRUE},
    [VF_RULE_WHEEL_VERSION] = {"wheel-version", "WHEEL says Wheel-Version 1.x", FALSE},
    [VF_RULE_METADATA] = {"metadata", "METADATA says Name and Version", FALSE},
    [VF_RULE_METADATA_NAME] = {"metadata-name", "METADATA's Name is the file's", FALSE},
    [VF_RULE_METADATA_VERSION] = {"metadata-version", "METADATA's Version is the file's", TRUE},
    [VF_RULE_RECORD] = {"record", "RECORD is there and well-formed", FALSE},
    [VF_RULE_RECORD_PATH] = {"record-path", "RECORD's paths stay inside the wheel", FALSE},
    [VF_RULE_RECORD_UNLISTED] = {"record-unlisted", "RECORD lists every file", TRUE},
    [VF_RULE_RECORD_ABSENT] = {"record-absent", "every file that RECORD lists is there", TRUE},
    [VF_RULE_RECORD_NO_HASH] = {"record-no-hash", "RECORD has a SHA-256 or better of every file",
                                TRUE},
    [VF_RULE_RECORD_HASH] = {"record-hash", "files have the hash that RECORD says", TRUE},
    [VF_RULE_RECORD_SIZE] = {"record-size", "files have the size that RECORD says", TRUE},
    [VF_RULE_DATA_DIRECTORY] = {"data-directory",
                                "the .data directory has the .dist-info "
                                "directory's name",
                                FALSE},
    [VF_RULE_DATA_KEY] = {"data-key",
                          "the .data directory holds purelib, platlib, headers, "
                          "scripts, data",
                          FALSE},
    [VF_RULE_SCRIPT_FILE] = {"script-file", "scripts are regular files directly in scripts/", TRUE},
    [VF_RULE_RESERVED_NAME] = {"reserved-name",
                               "nothing takes the name of an interpreter or of "
                               "pyvenv.cfg",
                               FALSE},
    [VF_RULE_ENTRY_POINT] = {"entry-point",
                             "scripts in entry_points.txt are NAME = MODULE:CALLABLE", TRUE},
    [VF_RULE_ENTRY_POINT_NAME] = {"entry-point-name", "names of entry points stay inside bin/",
                                  FALSE},
};

G_STATIC_ASSERT (G_N_ELEMENTS (table) == VF_N_RULES);
G_STATIC_ASSERT (VF_N_RULES <= 64);

const VfWheelRule *
vf_wheel_rules (gsize *out_n)
{
  *out_n = VF_N_RULES;
  return table;
}

gboolean
vf_rules_init (VfRules *rules, const char *what, const char *const *accept, GError **error)
{
  *rules = (VfRules){.what = what};
  for (; accept && *accept; accept++) {
    guint rule = 0;
    while (rule < VF_N_RULES && strcmp (table[rule].name, *accept) != 0)
      rule++;
    if (rule == VF_N_RULES)
      return vf_error_set (error, VF_ERROR_USAGE, "%s: no such rule of wheels", *accept);
    if (!table[rule].acceptable)
      return vf_error_set (error, VF_ERROR_USAGE,
                           "%s: this rule cannot be overridden: what such a wheel holds, or where "
                           "it would go, is in doubt",
                           *accept);
    rules->accepted |= G_GUINT64_CONSTANT (1) << rule;
  }
  return TRUE;
}

/* Names from the wheel go to a terminal: nothing that could steer it, or fill it. */
static char *
printable (const char *text)
{
  gsize length = strlen (text);
  g_autofree char *cut = length <= WRONG_MAX_BYTES
                             ? g_strdup (text)
                             : g_strdup_printf ("%.*s[…]%s", (int)WRONG_MAX_BYTES / 2, text,
                                                text + length - WRONG_MAX_BYTES / 2);
  g_autofree char *valid = g_utf8_make_valid (cut, -1);
  GString *out = g_string_new (NULL);
  for (const char *c = valid; *c; c = g_utf8_next_char (c)) {
    gunichar character = g_utf8_get_char (c);
    g_string_append_unichar (out, g_unichar_isprint (character) ? character : '?');
  }
  return g_string_free (out, FALSE);
}

gboolean
vf_rules_break (const VfRules *rules, VfRuleId rule, GError **error, const char *format, ...)
{
  if (rules->accepted & G_GUINT64_CONSTANT (1) << rule)
    return TRUE;
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *formatted = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_autofree char *wrong = printable (formatted);
  const char *name = table[rule].name;
  if (table[rule].acceptable)
    return vf_error_set (error, VF_ERROR_RULE,
                         "%s: rule %s: %s; another release may be whole, or --accept %s takes this "
                         "one as it is",
                         rules->what, name, wrong, name);
  return vf_error_set (error, VF_ERROR_RULE,
                       "%s: rule %s: %s; download it again or take another release", rules->what,
                       name, wrong);
}
