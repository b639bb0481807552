#include "layers/error.h"

#include <errno.h>
#include <gio/gio.h>

static void
test_messages (void)
{
  g_autoptr (GError) error = NULL;
  g_assert_false (vf_error_errno (&error, ENOSPC, "%s/%d: cannot write", "objects", 7));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOSPC);
  g_assert_cmpstr (error->message, ==, "objects/7: cannot write: No space left on device");
  g_clear_error (&error);

  g_assert_false (vf_error_set (&error, VF_ERROR_EXISTS, "%s: 100%% taken", "proj"));
  g_assert_error (error, VF_ERROR, VF_ERROR_EXISTS);
  g_assert_cmpstr (error->message, ==, "proj: 100% taken");

  g_assert_false (vf_error_errno (NULL, EIO, "nobody asks"));
  g_assert_false (vf_error_set (NULL, VF_ERROR_FAILED, "nobody asks"));
}

static void
test_errno (void)
{
  static const struct {
    VfErrorCode code;
    int errnum;
  } cases[] = {
      {VF_ERROR_FAILED, EIO},          {VF_ERROR_NOT_FOUND, ENOENT}, {VF_ERROR_EXISTS, EEXIST},
      {VF_ERROR_BUSY, EBUSY},          {VF_ERROR_INVALID, EINVAL},   {VF_ERROR_RULE, EINVAL},
      {VF_ERROR_DAMAGED, EIO},         {VF_ERROR_NEWER, EIO},        {VF_ERROR_USAGE, EINVAL},
      {VF_ERROR_CANCELLED, ECANCELED},
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = g_error_new_literal (VF_ERROR, (int)cases[i].code, "x");
    g_assert_cmpint (vf_errno_from_error (error), ==, cases[i].errnum);
  }
  g_autoptr (GError) system = g_error_new_literal (VF_SYSTEM_ERROR, EDQUOT, "x");
  g_assert_cmpint (vf_errno_from_error (system), ==, EDQUOT);
  g_autoptr (GError) foreign = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "x");
  g_assert_cmpint (vf_errno_from_error (foreign), ==, EIO);
}

static gboolean
yes (void)
{
  return TRUE;
}

static gboolean
no (void)
{
  return FALSE;
}

static void
test_stop (void)
{
  g_autoptr (GError) error = NULL;
  g_assert_true (vf_stop_check (NULL, "p", &error) && vf_stop_check (no, "p", &error));
  g_assert_no_error (error);
  g_assert_false (vf_stop_check (yes, "/the/path", &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
  g_assert_cmpstr (error->message, ==, "/the/path: interrupted");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/error/messages", test_messages);
  g_test_add_func ("/error/errno", test_errno);
  g_test_add_func ("/error/stop", test_stop);
  return g_test_run ();
}
