"""What a person sees while something takes long: a bar on a terminal, plain lines in a log."""

import os
import pty
import re
import select
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local_wheels import write_wheel

pytestmark = pytest.mark.usefixtures("seeded_world")
HALF = 1_000_000  # pip writes what came by the quarter megabyte


@pytest.fixture
def slow_index(tmp_path):
    """An index of one package whose wheel stops coming after HALF bytes, until .released is set.

    It has the metadata apart (PEP 658), as an index does, so that resolving downloads no wheel."""
    wheel = write_wheel(tmp_path, "big", "1.0", files={"big.bin": os.urandom(2 * HALF)})
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            is_wheel = self.path.endswith(".whl")
            if self.path == "/big/":
                body = f'<a href="/{wheel.name}" data-core-metadata="true">{wheel.name}</a>'.encode()
            elif is_wheel:
                body = wheel.read_bytes()
            elif self.path.endswith(".whl.metadata"):
                body = b"Metadata-Version: 2.1\nName: big\nVersion: 1.0\n"
            else:
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream" if is_wheel else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if is_wheel:
                self.wfile.write(body[:HALF])
                self.wfile.flush()
                released.wait(120)
                body = body[HALF:]
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.released = released
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        released.set()
        server.shutdown()


@pytest.mark.slow
def test_downloading_on_a_terminal(world, slow_index):
    """The bar shows what has come, is redrawn while nothing comes, and is gone at the end."""
    index = f"http://127.0.0.1:{slow_index.server_port}"
    master, slave = pty.openpty()
    process = world.popen(world.executable, "create", "proj", "--python", world.python.path, "-i", index, "big",
                          env={"PIP_NO_INDEX": "0", "TERM": "xterm", "PIP_NO_CACHE_DIR": "1", "PIP_DEFAULT_TIMEOUT": "120"},
                          stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = ""
    deadline = time.monotonic() + 90
    try:
        while select.select([master], [], [], 60)[0]:
            if time.monotonic() > deadline:
                process.kill()
            seen += os.read(master, 4096).decode()
            # Older pips download while they resolve.
            if re.search(r"(Downloading \[\.+\] 0 of 1 wheel|Resolving 1 package), \d+\.\d [KM]B, [1-9]", seen):
                slow_index.released.set()
    except OSError:  # the terminal's end
        pass
    os.close(master)
    assert process.wait(60) == 0, seen[-1000:]
    assert slow_index.released.is_set(), seen[-1000:]
    left = [line.split("\r\033[K")[-1] for line in seen.replace("\r\n", "\n").split("\n")]
    assert [line.split()[0] for line in left if line] == ["Added", "Created"], left


@pytest.mark.slow
def test_nothing_in_a_log_of_what_is_quick(world):
    write_wheel(world.wheelhouse, "lib", "1.0")
    said = world.venvfs("create", "proj", "--python", world.python.path, "--without-pip", "--no-compile", "lib")
    assert "[" not in said.err, said.err
