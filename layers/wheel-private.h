/* Between the parts of the wheel reader:
 *
 *   wheel.c          one wheel from file to package: the order of things, the contents
 *   wheel-plan.c     from the entries' names: which file goes where, what is left out
 *   wheel-info.c     file name, WHEEL, METADATA, entry_points.txt
 *   wheel-record.c   RECORD against the files
 *   wheel-rules.c    the rules and their messages */
#pragma once

#include "layers/record.h"
#include "layers/wheel-rules.h"
#include "layers/zip.h"

G_BEGIN_DECLS

/* One entry of the zip. */
typedef struct {
  const VfZipEntry *entry;
  gboolean installed; /* goes into the package; FALSE for directories and what is left out */
  VfScheme scheme;
  const char *path; /* relative to the scheme; points into entry->name */
  VfDigest digest;  /* of the content, once has_digest */
  gboolean has_digest;
  guint row;  /* of RECORD, plus one; 0: none */
  guint twin; /* an earlier item that has the same place and must be the same file, plus one */
} VfWheelItem;

typedef struct {
  VfRules rules;
  char *name, *version; /* of the file's name, as it escapes them */
  VfZip *zip;
  VfWheelItem *items; /* in the order of the file */
  gsize n_items;
  GHashTable *by_name; /* entry name → item, the first of that name; borrowed */
  char *dist_info;     /* the directory's name */
  VfRecord *record;
  VfPackage *package;
  GPtrArray *warnings; /* of char *; borrowed, or NULL */
} VfWheel;

/* The entry's content with a NUL behind it. At most @max_bytes: these files are read whole before
 * the rest is. Remembers the digest: what is installed later must be the same. */
char *vf_wheel_read_item (VfWheel *wheel, VfWheelItem *item, gsize max_bytes, GError **error);
/* <dist_info>/@file, or NULL. */
VfWheelItem *vf_wheel_info_item (VfWheel *wheel, const char *file);

/* Rule file-name. */
gboolean vf_wheel_parse_name (VfWheel *wheel, const char *file_name, GError **error);
/* Sets wheel->package from WHEEL and METADATA, without files. */
gboolean vf_wheel_read_info (VfWheel *wheel, GError **error);
gboolean vf_wheel_read_entry_points (VfWheel *wheel, GError **error);

/* Sets by_name and dist_info. */
gboolean vf_wheel_find_dist_info (VfWheel *wheel, GError **error);
/* Sets where each item goes. Needs wheel->package with its entry points. */
gboolean vf_wheel_plan (VfWheel *wheel, GError **error);

/* Reads RECORD and finds each item's row. */
gboolean vf_wheel_read_record (VfWheel *wheel, GError **error);
/* @content is the item's, whose digest is set. */
gboolean vf_wheel_check_record (VfWheel *wheel, const VfWheelItem *item, const void *content,
                                GError **error);

G_END_DECLS
