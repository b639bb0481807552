/* pip as a tool: the resolver, the downloader and the builder of wheels.
 *
 * The pip that runs is a package of the store (the one that new environments are seeded with),
 * unpacked once below cache/ so that its bytecode lasts. It is run by the base interpreter that the
 * environment is for, with -I: that keeps the user's site-packages and PYTHON* variables out, while
 * pip's own configuration files, PIP_* variables, netrc, keyring and proxies work as ever.
 * Variables that would turn a download into something else (PIP_TARGET, PIP_USER …) are taken away.
 */
#pragma once

#include "layers/interpreter.h"
#include "tools/output.h"

G_BEGIN_DECLS

typedef struct VfPip VfPip;

/* @package: digest of a pip that supports @interpreter. @tmp_path: a directory that outlives it,
 * where pip puts its temporary files. Borrows @interpreter and @output. */
VfPip *vf_pip_new (VfStore *store, const VfInterpreter *interpreter, const VfDigest *package,
                   const char *tmp_path, GError **error);
void vf_pip_free (VfPip *pip);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (VfPip, vf_pip_free)

/* Called for each line that pip prints, and with NULL ten times a second while it prints none, on
 * the thread that runs it. */
typedef void (*VfPipLine) (const char *line, gpointer user_data);

/* How much the pips that run now have downloaded: until each ends, it lies in temporary
 * directories. */
guint64 vf_pip_downloaded_bytes (const VfPip *pip);

/* Runs `pip ARGUMENTS…` and waits. Any failure of pip's is one line (pip-explain.h). Interruptible
 * (VF_ERROR_CANCELLED); thread-safe.
 * @needs_constraints: FALSE for exact URLs, to which the user's PIP_CONSTRAINT is no concern. */
gboolean vf_pip_run (VfPip *pip, const char *const *arguments, gboolean needs_constraints,
                     VfPipLine on_line, gpointer user_data, GError **error);

/* Runs a script of our own (@source: its text) on the same interpreter, with pip importable.
 * @out_text: what it printed on stdout; its failure is the last line of its stderr. */
gboolean vf_pip_run_script (VfPip *pip, const char *source, const char *const *arguments,
                            char **out_text, GError **error);

G_END_DECLS
