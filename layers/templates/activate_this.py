"""Enters this Python environment in a Python that is running already:

    import runpy
    runpy.run_path("bin/activate_this.py")

For programs that embed Python; to run a program in the environment, run it with bin/python.
"""

import os
import site
import sys
import sysconfig

try:
    _bin = os.path.dirname(os.path.abspath(__file__))
except NameError:
    raise AssertionError("activate_this.py needs __file__: run it with runpy.run_path()") from None
_base = os.path.dirname(_bin)
_scheme = "venv" if "venv" in sysconfig.get_scheme_names() else "posix_prefix"
_site = sysconfig.get_path("purelib", _scheme, {"base": _base, "platbase": _base})

os.environ["PATH"] = os.pathsep.join([_bin, *filter(None, [os.environ.get("PATH")])])
os.environ["VIRTUAL_ENV"] = _base
os.environ["VIRTUAL_ENV_PROMPT"] = @prompt:py@

# What the environment brings goes before what was there.
_former = list(sys.path)
site.addsitedir(_site)
sys.path[:] = [p for p in sys.path if p not in _former] + _former
sys.real_prefix = sys.prefix
sys.prefix = _base
