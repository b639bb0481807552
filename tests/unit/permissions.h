/* What root may do without asking, laid down for a while: so that a test of a refusal runs as root
 * too. Of the calling thread. */
#pragma once

#include <glib.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Whether root passes by the permissions of files. */
static inline void
permissions_override (gboolean on)
{
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  guint32 override = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
  g_assert_cmpint (syscall (SYS_capget, &header, data), ==, 0);
  data[0].effective &= ~override;
  data[0].effective |= on ? data[0].permitted & override : 0;
  g_assert_cmpint (syscall (SYS_capset, &header, data), ==, 0);
}
