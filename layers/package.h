/* Package indexes: what one distribution unpacks to, independent of interpreter and environment.
 *
 * A package is named by the SHA-256 of its serialised index. RECORD, INSTALLER, REQUESTED and
 * direct_url.json are not in it: they belong to an environment, the merge writes them (merge.h).
 * So a distribution that a wheel brought, that pip wrote or that an import found is one package if
 * its files are the same. The serialised form is described in docs/store-format.md; it is
 * canonical (one package, one byte string) and untrusted when read. */
#pragma once

#include "layers/object.h"

G_BEGIN_DECLS

/* The install schemes of the wheel specification (.data directories; sysconfig's names). */
typedef enum {
  VF_SCHEME_PURELIB,
  VF_SCHEME_PLATLIB,
  VF_SCHEME_HEADERS,
  VF_SCHEME_SCRIPTS,
  VF_SCHEME_DATA,
} VfScheme;
const char *vf_scheme_name (VfScheme scheme);

typedef enum {
  /* A file of scripts/ whose first line is `#!python…`: the object holds the wheel's bytes, the
   * merge turns it into a view with the interpreter's path in that line. */
  VF_PACKAGE_FILE_PYTHON_SCRIPT = 1 << 0,
} VfPackageFileFlags;

typedef struct {
  VfScheme scheme;
  VfPackageFileFlags flags;
  guint32 mode;     /* 0644 or 0755 */
  guint64 size;     /* bytes */
  const char *path; /* relative to the scheme's directory, '/'-separated, no "." or ".." segment */
  VfDigest digest;  /* the object */
} VfPackageFile;

typedef struct {
  gboolean gui;          /* gui_scripts rather than console_scripts */
  const char *name;      /* the script's name in bin/ */
  const char *module;    /* "pkg.cli" */
  const char *attribute; /* "main" or "App.run" */
} VfEntryPoint;

typedef struct {
  char *name;      /* as METADATA spells it */
  char *version;   /* as METADATA spells it */
  char *dist_info; /* "<name>-<version>.dist-info", as the wheel spells it */
  gboolean root_is_purelib;
  GArray *files;         /* VfPackageFile, sorted by (scheme, path); dist-info files among them */
  GArray *entry_points;  /* VfEntryPoint, sorted by name */
  GStringChunk *strings; /* owns the strings of files and entry_points that were added */
  GBytes *bytes;         /* of a parsed package: owns the strings; else NULL */
  VfDigest digest;       /* set by vf_package_put and _load */
} VfPackage;

VfPackage *vf_package_new (const char *name, const char *version, const char *dist_info);
void vf_package_free (VfPackage *package);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfPackage, vf_package_free)
void vf_package_add_file (VfPackage *package, VfScheme scheme, const char *path, guint32 mode,
                          guint64 size, const VfDigest *digest, VfPackageFileFlags flags);
void vf_package_add_entry_point (VfPackage *package, gboolean gui, const char *name,
                                 const char *module, const char *attribute);

/* Canonical bytes; sorts the arrays. What was added keeps the promises above (paths, dotted names,
 * no (scheme, path) and no entry point twice, no string longer than 4095 bytes). */
GBytes *vf_package_serialize (VfPackage *package);
/* VF_ERROR_DAMAGED for anything vf_package_serialize() would not have written. @what for messages.
 */
VfPackage *vf_package_parse (GBytes *bytes, const char *what, GError **error);

/* Sets package->digest, and adds packages/<digest>, which is there once @batch is committed. */
gboolean vf_package_put (VfPackage *package, VfObjectBatch *batch, GError **error);
VfPackage *vf_package_load (VfStore *store, const VfDigest *digest, GError **error);

/* Whether @path is what `path` above promises: relative, no empty, "." or ".." segment, at most 128
 * segments of at most 255 bytes, at most 4095 in all. */
gboolean vf_package_check_path (const char *path, gsize length);
/* Whether @name is a dotted Python name, "pkg.cli". */
gboolean vf_package_check_dotted (const char *name, gsize length);

/* PEP 503: lower case, runs of -_. become one '-'. */
char *vf_package_normalize_name (const char *name);

G_END_DECLS
