"""What /proc tells of processes, any of which may end while it is looked at."""

import contextlib
import os
import signal
import time
from pathlib import Path


def field_of(pid, name):
    """A file of /proc/@pid; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def stat_of(pid):
    """(comm, state, parent pid) of a process, or None when it is gone."""
    text = field_of(pid, "stat")
    if not text:
        return None
    comm, rest = text[text.index(b"(") + 1:].rsplit(b")", 1)
    state, parent = rest.split()[:2]
    return comm.decode(), state.decode(), int(parent)


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


_without_environment = set()


def environment_of(pid):
    """What a living process was started with. While a program is being started, the kernel shows an empty
    one for a moment: whoever looked then would take the process for another world's."""
    PF_KTHREAD = 0x200000
    for _ in range(50):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return b""
        fields = field_of(pid, "stat").rpartition(b") ")[2].split()
        if environment or not fields or fields[0] in (b"Z", b"X") or int(fields[6]) & PF_KTHREAD:
            return environment
        if (pid, fields[19]) in _without_environment:  # fields[19]: when it was started
            return b""
        time.sleep(0.001)
    _without_environment.add((pid, fields[19]))
    return b""


def kill(pid):
    """kill -9, unless it has ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
