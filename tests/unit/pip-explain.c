#include "tools/pip-explain.h"

#include <errno.h>
#include <string.h>

#include "layers/error.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

/* What pips 23 to 25 print, and what is made of it. */
static const struct {
  const char *text;
  GQuark (*domain) (void);
  int code;
  const char *beginning;
} samples[] = {
    {"Looking in links: w\n"
     "ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)\n"
     "ERROR: No matching distribution found for nosuch\n",
     vf_error_quark, VF_ERROR_NOT_FOUND,
     "nosuch: nothing of this name for Python 3.13.0 on the index; "},
    {"ERROR: Could not find a version that satisfies the requirement aa==3 (from versions: 1.0, "
     "2.0)\n"
     "ERROR: No matching distribution found for aa==3\n",
     vf_error_quark, VF_ERROR_NOT_FOUND,
     "aa==3: no such version for Python 3.13.0 on this machine; there are 1.0, 2.0"},
    {"WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('Failed to "
     "establish a new connection')': /simple/aa/\n"
     "ERROR: Could not find a version that satisfies the requirement aa (from versions: none)\n"
     "ERROR: No matching distribution found for aa\n",
     vf_error_quark, VF_ERROR_FAILED, "aa: no package index can be reached; "},
    {"ERROR: Could not install packages due to an OSError: HTTPConnectionPool(host='h', port=9): "
     "Max retries exceeded with url: /x.whl\n\n",
     vf_error_quark, VF_ERROR_FAILED, "no package index can be reached; "},
    {"ERROR: Cannot install aa==1.0 and cc==1.0 because these package versions have conflicting "
     "dependencies.\n\nThe conflict is caused by:\n    aa 1.0 depends on bb==1.0\n"
     "    cc 1.0 depends on bb==2.0\n\nTo fix this you could try to:\n1. loosen\n\n"
     "ERROR: ResolutionImpossible: for help visit https://pip.pypa.io\n",
     vf_error_quark, VF_ERROR_INVALID,
     "aa==1.0 and cc==1.0: cannot be installed together: aa 1.0 depends on bb==1.0, "
     "cc 1.0 depends on bb==2.0; "},
    {"ERROR: Package 'old' requires a different Python: 3.13.0 not in '>=3.99'\n", vf_error_quark,
     VF_ERROR_INVALID, "old: needs Python >=3.99, this is Python 3.13.0"},
    {"ERROR: win-1.0-cp27-none-win32.whl is not a supported wheel on this platform.\n",
     vf_error_quark, VF_ERROR_INVALID, "win-1.0-cp27-none-win32.whl: not for Python 3.13.0"},
    {"ERROR: Wheel 'trunc' located at /w/trunc-1.0-py3-none-any.whl is invalid.\n", vf_error_quark,
     VF_ERROR_INVALID, "/w/trunc-1.0-py3-none-any.whl: not a valid wheel"},
    {"ERROR: Invalid requirement: 'foo bar': Expected end or semicolon\n    foo bar\n"
     "        ^ (from line 1 of g.txt)\n",
     vf_error_quark, VF_ERROR_INVALID, "foo bar: not a requirement, from line 1 of g.txt"},
    {"ERROR: Invalid requirement: './none': Expected package name at the start\n    ./none\n    ^\n"
     "Hint: It looks like a path. File './none' does not exist.\n",
     vf_system_error_quark, ENOENT, "./none: No such file or directory"},
    {"ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If\n"
     "    aa==1.0 from file:///w/aa-1.0-py3-none-any.whl (from -r bad.txt (line 1)):\n"
     "        Expected sha256 " ZEROS "\n             Got        df54\n\n",
     vf_error_quark, VF_ERROR_INVALID,
     "aa==1.0: wrong hash: sha256 " ZEROS " was expected, the file has df54; "},
    {"ERROR: Hashes are required in --require-hashes mode, but they are missing\n"
     "    bb==1.0 --hash=sha256:8793\n",
     vf_error_quark, VF_ERROR_INVALID, "bb==1.0: has no hash"},
    {"Processing ./proj\n  error: subprocess-exited-with-error\n  × pip subprocess to install "
     "build "
     "dependencies did not run successfully.\n  ╰─> [3 lines of output]\n      Looking in links: "
     "w\n"
     "      ERROR: No matching distribution found for setuptools>=40.8.0\n      [end of output]\n",
     vf_error_quark, VF_ERROR_FAILED,
     "./proj: cannot be built from source here: ERROR: No matching distribution found for "
     "setuptools>=40.8.0; "},
    {"Collecting git+file:/nosuch\n  fatal: '/nosuch' does not appear to be a git repository\n"
     "  error: subprocess-exited-with-error\n",
     vf_error_quark, VF_ERROR_FAILED,
     "git+file:/nosuch: cannot be built from source here: '/nosuch' does not appear"},
    {"ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
     vf_system_error_quark, ENOSPC, "pip: cannot write"},
    {"ERROR: Directory './w' is not installable. Neither 'setup.py' nor\n", vf_error_quark,
     VF_ERROR_INVALID, "pip: Directory './w' is not installable"},
    {"Traceback (most recent call last):\n  File x\nKeyError: 'a'\n", vf_error_quark,
     VF_ERROR_INVALID, "pip: KeyError: 'a'"},
    {"ERROR: Exception:\nTraceback (most recent call last):\n  File x\nKeyError: 'a'\n",
     vf_error_quark, VF_ERROR_INVALID, "pip: KeyError: 'a'"},
    {"ERROR: Exception:\nTraceback (most recent call last):\n  File x\n"
     "urllib3.exceptions.ReadTimeoutError: HTTPConnectionPool(host='i'): Read timed out.\n",
     vf_error_quark, VF_ERROR_FAILED,
     "no package index can be reached; check the network and proxy, or use --no-index "
     "--find-links DIR (pip: urllib3.exceptions.ReadTimeoutError: "},
    {"\nUsage:\n  pip install\n\nno such option: --report\n", vf_error_quark, VF_ERROR_FAILED,
     "pip: the one that Python 3.13.0 carries is too old to resolve"},
    {"", vf_error_quark, VF_ERROR_INVALID, "pip: it failed"},
};

static void
test_samples (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (samples); i++) {
    g_autoptr (GError) error = NULL;
    g_assert_false (vf_pip_explain (samples[i].text, "Python 3.13.0", &error));
    g_test_message ("%s", error->message);
    g_assert_true (error->domain == samples[i].domain ());
    g_assert_cmpint (error->code, ==, samples[i].code);
    g_assert_null (strchr (error->message, '\n'));
    if (!g_str_has_prefix (error->message, samples[i].beginning))
      g_assert_cmpstr (error->message, ==, samples[i].beginning);
  }
}

static void
test_offline (void)
{
  g_autoptr (GError) offline = NULL, absent = NULL;
  vf_pip_explain (samples[2].text, "Python 3.13.0", &offline);
  vf_pip_explain (samples[0].text, "Python 3.13.0", &absent);
  g_assert_true (vf_pip_error_is_offline (offline));
  g_assert_false (vf_pip_error_is_offline (absent));
  g_assert_false (vf_pip_error_is_offline (NULL));
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pip-explain/samples", test_samples);
  g_test_add_func ("/pip-explain/offline", test_offline);
  return g_test_run ();
}
