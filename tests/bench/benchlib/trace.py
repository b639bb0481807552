"""What the kernel asks a FUSE file system, and how long each answer takes, by the kernel's own
tracepoints (events/fuse of tracefs, Linux 6.11 and newer). Needs root.

A time is from the moment the kernel has a request ready to the moment it has the answer; that the
asking process then wakes up comes on top."""

import os
import re
import statistics
import subprocess
from pathlib import Path

TRACEFS = Path("/sys/kernel/tracing")
SENT = re.compile(r"^\s*(.+)-\d+\s+\[.* (\d+\.\d+): fuse_request_send: connection (\d+) req (\d+) opcode \d+ \(FUSE_(\w+)\)")
ENDED = re.compile(r" (\d+\.\d+): fuse_request_end: connection (\d+) req (\d+) ")
BUFFER_KB = 16384
# Forgetting has no answer.
UNANSWERED = ("FORGET", "BATCH_FORGET")


def is_possible():
    if not (TRACEFS / "events").is_dir():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", TRACEFS], stderr=subprocess.DEVNULL)
    return (TRACEFS / "events" / "fuse" / "fuse_request_send").is_dir()


class Trace:
    """with Trace(mount point) as trace: …; then trace.requests: kind → list of (who asked, µs)."""

    def __init__(self, root):
        self.connection = os.minor(os.stat(root).st_dev)
        self.instance = TRACEFS / "instances" / f"bench-{os.getpid()}"
        self.requests = {}

    def __enter__(self):
        self.instance.mkdir()
        (self.instance / "buffer_size_kb").write_text(f"{BUFFER_KB}\n")
        (self.instance / "events" / "fuse" / "enable").write_text("1\n")
        return self

    def __exit__(self, *_):
        (self.instance / "events" / "fuse" / "enable").write_text("0\n")
        text = (self.instance / "trace").read_text(errors="replace")
        self.instance.rmdir()
        self._read(text)

    def _read(self, text):
        open_requests = {}
        for line in text.splitlines():
            sent, ended = SENT.search(line), ENDED.search(line)
            if sent and int(sent[3]) == self.connection and sent[5] not in UNANSWERED:
                open_requests[sent[4]] = sent[5], sent[1], float(sent[2])
            elif ended and int(ended[2]) == self.connection and ended[3] in open_requests:
                kind, comm, start = open_requests.pop(ended[3])
                self.requests.setdefault(kind, []).append((comm, (float(ended[1]) - start) * 1e6))


    def costs(self):
        """kind → how many were waited for, median in µs, sum in ms; and how many venvfs made itself,
        to look ahead."""
        found = {}
        for kind, requests in self.requests.items():
            times = [time for comm, time in requests if not comm.startswith("venvfs")]
            found[kind] = {"waited": len(times), "each": statistics.median(times) if times else 0,
                           "all": sum(times) / 1000, "ahead": len(requests) - len(times)}
        return found
