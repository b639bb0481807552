"""The program of the import benchmarks: imports all that modules.txt names and prints, as JSON, how
many modules that loaded from where and what it took. Run by the interpreter that is measured."""

import json
import os
import resource
import sys
import time
import warnings

warnings.simplefilter("ignore")
# JupyterLab asks node, where there is one, twice, which takes as long as a thousand modules.
os.environ["PATH"] = os.path.dirname(sys.executable)
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "modules.txt")) as lines:
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]

start = time.perf_counter()
for name in names:
    __import__(name)
seconds = time.perf_counter() - start

usage = resource.getrusage(resource.RUSAGE_SELF)
files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
inside = [name for name in files if name.startswith(sys.prefix + os.sep)]
print(json.dumps({
    "seconds": seconds,
    "user": usage.ru_utime,
    "system": usage.ru_stime,
    "modules": len(files),
    "sources": sum(name.endswith(".py") for name in inside),
    "extensions": sum(".so" in os.path.basename(name) for name in inside),
}))
