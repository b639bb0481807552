/* What the parts of the check share. */
#pragma once

#include "layers/check.h"
#include "layers/folder.h"

G_BEGIN_DECLS

typedef struct {
  VfStore *store;
  gboolean deep, repair;
  VfCheckReport report;
  VfCheckProgress progress; /* or NULL */
  gpointer user_data;
  guint64 n_files; /* looked at */
  VfCheckResult result;
  VfHasher *hasher;
  GHashTable *sizes;  /* VfDigest of each object that is in order -> its size, boxed */
  const char *folder; /* that is being listed */
} VfCheck;

/* Reports @relative. */
void vf_check_problem (VfCheck *check, const char *relative, const char *format, ...)
    G_GNUC_PRINTF (3, 4);
/* The same; a repair moves it to the quarantine, so that it is made anew. */
void vf_check_damaged (VfCheck *check, const char *relative, const char *format, ...)
    G_GNUC_PRINTF (3, 4);
/* Tells that one more is looked at; FALSE with VF_ERROR_CANCELLED when the caller wants no more. */
gboolean vf_check_step (VfCheck *check, GError **error);
/* Whether @relative is a regular file of mode 0444 with one link; reports what it is instead. A
 * wrong mode is repaired on the spot. */
gboolean vf_check_file (VfCheck *check, const char *relative, gint64 *out_size);
/* Whether the object is in the store and, unless @size is -1, has this size. */
gboolean vf_check_object (VfCheck *check, const VfDigest *digest, gint64 size);

/* check-content.c: what is named by its content, in the order in which one refers to the other. */
gboolean vf_check_content (VfCheck *check, GError **error);
/* check-environment.c */
gboolean vf_check_environments (VfCheck *check, GError **error);

G_END_DECLS
