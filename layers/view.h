/* Views: files whose content depends on the mount point.
 *
 * An image holds a template; a mount renders it. A template is the file's bytes with references of
 * the form 0x01 KIND 0x02; any other byte stands for itself. KIND is one of
 *
 *   path            the mount point, as it is
 *   sh csh fish nu ps1 xsh py     the mount point, quoted as a literal of that language
 *   cfg             the mount point as one line of UTF-8, for pyvenv.cfg
 *   prompt, prompt-sh, prompt-py, …     the prompt, raw or quoted the same way
 *   nothing         the byte 0x01 itself
 *   shebang:NAME    a first line (or two) that runs <mount point>/bin/NAME: "#!…" or, where longer
 * than 127 bytes or with a space, the '''exec' form of /bin/sh
 *
 * so the same image serves every mount point and prompt. An unknown or unfinished reference is
 * damage. Rendering is pure. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  const char *mount_point; /* absolute, normalised, without ':' */
  const char *prompt;      /* UTF-8 without newline; the environment's name by default */
} VfViewContext;

/* The rendered bytes, or NULL if the template is damaged. */
GBytes *vf_view_render (const char *template_text, gsize length, const VfViewContext *context);

/* For whoever writes templates: @data standing for itself, and a reference to @kind. */
void vf_view_append_literal (GString *template_text, const char *data, gsize length);
void vf_view_append_reference (GString *template_text, const char *kind);

/* One literal of @dialect ("sh", "fish", …), for the tools. NULL for an unknown dialect. */
char *vf_view_quote (const char *dialect, const char *text);

G_END_DECLS
