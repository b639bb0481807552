"""watchfiles sees by inotify what is done in the environment, and what is done to a module's directory."""

import os
import shutil
import threading
import time

import serve
from watchfiles import Change, watch

folder = f"{serve.SITE}/watched"
shutil.rmtree(folder, ignore_errors=True)
os.makedirs(folder)
seen = set()
stop, ready = threading.Event(), threading.Event()


def look():
    # Without a filter: the usual one passes over environments.
    for changes in watch(folder, watch_filter=None, stop_event=stop, debounce=50, step=10, force_polling=False,
                         yield_on_timeout=True, rust_timeout=100):
        ready.set()
        seen.update((change, os.path.basename(path)) for change, path in changes)


thread = threading.Thread(target=look, daemon=True)
thread.start()
ready.wait(serve.SECONDS)


def expect(change, name):
    serve.wait_for(lambda: (change, name) in seen, f"{change} of {name}")
    print(change.name, name)
    seen.clear()
    time.sleep(0.3)
    seen.clear()


with open(f"{folder}/a.py", "w") as file:
    file.write("1")
expect(Change.added, "a.py")
with open(f"{folder}/a.py", "a") as file:
    file.write("2")
expect(Change.modified, "a.py")
os.rename(f"{folder}/a.py", f"{folder}/b.py")
expect(Change.added, "b.py")
os.unlink(f"{folder}/b.py")
expect(Change.deleted, "b.py")
stop.set()
thread.join()
shutil.rmtree(folder)
