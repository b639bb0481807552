"""An index of packages that tests of tools have for themselves."""

import hashlib
import http.server
import os
import re
import sys
import threading
from functools import partial

import support
import tool_cache
from local_wheels import write_wheel


class _Simple(http.server.BaseHTTPRequestHandler):
    """The simple repository protocol (PEP 503) over a directory of wheels."""

    def __init__(self, wheelhouse, *args):
        self.wheelhouse = wheelhouse
        super().__init__(*args)

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = self.path.split("#")[0].strip("/").split("/")
        body, kind = None, "text/html"
        if parts[0] == "simple":
            body = self._page(parts[1] if len(parts) > 1 else None)
        elif parts[0] == "files" and len(parts) == 2 and (self.wheelhouse / parts[1]).is_file():
            body, kind = (self.wheelhouse / parts[1]).read_bytes(), "application/octet-stream"
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body or b"")

    def _page(self, project):
        links = []
        for path in sorted(self.wheelhouse.glob("*.whl")):
            name = re.sub(r"[-_.]+", "-", path.name.split("-")[0]).lower()
            if project is None:
                links.append(f'<a href="/simple/{name}/">{name}</a>')
            elif name == project:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                links.append(f'<a href="/files/{path.name}#sha256={digest}">{path.name}</a>')
        return f"<!DOCTYPE html><html><body>{'<br>'.join(links)}</body></html>".encode() if links else None


class Index:
    """A wheelhouse, and an index that serves it by HTTP, which all tests of a session share.

    The index has vf-app, which needs vf-lib, of which there are two versions; vf-tool; and what
    tests/tools/wheels.txt lists. The pips of that list are left out, so that what seeds an environment
    is the same for everybody: pip_wheel() gives them."""

    def __init__(self, root):
        self.root = root
        self.wheelhouse = root / "wheels"
        self.wheelhouse.mkdir()
        self.pinned = tool_cache.wheels("wheels", sys.executable)
        for wheel in self.pinned.glob("*.whl"):
            if not wheel.name.startswith("pip-"):
                os.symlink(wheel, self.wheelhouse / wheel.name)
        write_wheel(self.wheelhouse, "vf-lib", "1.0")
        write_wheel(self.wheelhouse, "vf-lib", "2.0")
        write_wheel(self.wheelhouse, "vf-app", "1.0", scripts={"vf-app": "vf_app:main"}, requires=["vf-lib"])
        write_wheel(self.wheelhouse, "vf-tool", "0.1", scripts={"vf-tool": "vf_tool:main"})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Simple, self.wheelhouse))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/simple/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        support.remove_tree(self.root)

    def environment(self):
        """What makes pip, uv, pdm and all who use them ask this index alone."""
        return {"PIP_INDEX_URL": self.url, "PIP_NO_INDEX": None, "PIP_FIND_LINKS": None,
                "UV_DEFAULT_INDEX": self.url, "UV_PYTHON_DOWNLOADS": "never", "PDM_PYPI_URL": self.url,
                "VIRTUALENV_NO_PERIODIC_UPDATE": "1"}

    def pip_wheel(self, which):
        """The "oldest" pip that runs on 3.8, or the "newest"."""
        folder = tool_cache.wheels("oldest-pip", sys.executable) if which == "oldest" else self.pinned
        (wheel,) = folder.glob("pip-*.whl")
        return wheel

    def seed_links(self):
        """What lets a tool that seeds an environment find the newest pip."""
        return {"UV_FIND_LINKS": str(self.pinned), "PIP_FIND_LINKS": str(self.pinned)}
