/* The rules a wheel has to keep, by name, and how a reader says that one is broken.
 *
 * Internal to the wheel reader (zip.c, wheel*.c, entry-points.c); the table is public as
 * vf_wheel_rules(). */
#pragma once

#include <glib.h>

#include "layers/wheel.h"

G_BEGIN_DECLS

typedef enum {
  VF_RULE_FILE_NAME,
  VF_RULE_ZIP_END,
  VF_RULE_ZIP_TRAILING,
  VF_RULE_ZIP_COMMENT,
  VF_RULE_ZIP_64,
  VF_RULE_ZIP_DIRECTORY,
  VF_RULE_ZIP_COUNT,
  VF_RULE_ZIP_EXTRA,
  VF_RULE_ZIP_NAME,
  VF_RULE_ZIP_TYPE,
  VF_RULE_ZIP_ENCRYPTED,
  VF_RULE_ZIP_METHOD,
  VF_RULE_ZIP_RATIO,
  VF_RULE_ZIP_OVERLAP,
  VF_RULE_ZIP_HIDDEN,
  VF_RULE_ZIP_LOCAL,
  VF_RULE_ZIP_DESCRIPTOR,
  VF_RULE_ZIP_DATA,
  VF_RULE_ZIP_DUPLICATE,
  VF_RULE_PATH_TRAVERSAL,
  VF_RULE_PATH_CONFLICT,
  VF_RULE_DIST_INFO,
  VF_RULE_DIST_INFO_NAME,
  VF_RULE_WHEEL_VERSION,
  VF_RULE_METADATA,
  VF_RULE_METADATA_NAME,
  VF_RULE_METADATA_VERSION,
  VF_RULE_RECORD,
  VF_RULE_RECORD_PATH,
  VF_RULE_RECORD_UNLISTED,
  VF_RULE_RECORD_ABSENT,
  VF_RULE_RECORD_NO_HASH,
  VF_RULE_RECORD_HASH,
  VF_RULE_RECORD_SIZE,
  VF_RULE_DATA_DIRECTORY,
  VF_RULE_DATA_KEY,
  VF_RULE_SCRIPT_FILE,
  VF_RULE_RESERVED_NAME,
  VF_RULE_ENTRY_POINT,
  VF_RULE_ENTRY_POINT_NAME,
  VF_N_RULES,
} VfRuleId;

/* What one wheel is judged by. */
typedef struct {
  const char *what; /* the file, for messages; borrowed */
  guint64 accepted; /* bit n: rule n is overridden */
} VfRules;

/* VF_ERROR_USAGE for a name that is no rule, or of a rule that may not be overridden. */
gboolean
vf_rules_init (VfRules *rules, const char *what, const char *const *accept, GError **error);

/* Reports that @rule is broken: TRUE when the user accepts that, else @error is set to
 * VF_ERROR_RULE, "FILE: rule NAME: <formatted>; what to do". */
gboolean vf_rules_break (const VfRules *rules, VfRuleId rule, GError **error, const char *format,
                         ...) G_GNUC_PRINTF (4, 5);

G_END_DECLS
