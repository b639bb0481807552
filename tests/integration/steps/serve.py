"""What the steps that start a server share: start it, wait for a line, ask it, end it."""

import contextlib
import re
import signal
import site
import socket
import subprocess
import sys
import time
import urllib.request

SECONDS = 120
SITE = site.getsitepackages()[0]


def wait_for(condition, what):
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise SystemExit(f"waited in vain for {what}")


@contextlib.contextmanager
def started(*command):
    """Runs python -m COMMAND; gives a function that waits for a pattern in what it says."""
    with open("log", "w") as log:
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=log, stderr=subprocess.STDOUT,
                                   start_new_session=True)

    def said(pattern, times=1):
        def look():
            if process.poll() is not None:
                raise SystemExit(f"it ended:\n{open('log').read()}")
            return re.findall(pattern, open("log").read())[times - 1:]

        return wait_for(look, f"{pattern} in\n{open('log').read()}")[0]

    try:
        yield said
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def write_module(name, text):
    """A module in site-packages, newer than it was by what reloaders can tell."""
    time.sleep(1.1)
    with open(f"{SITE}/{name}.py", "w") as file:
        file.write(text)
