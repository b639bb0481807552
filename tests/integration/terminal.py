"""A shell at a terminal, to type into."""

import os
import pty
import select
import signal
import time

import support

STARTS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}


class Terminal:
    """@shell of @world, interactive. type() waits until what it typed has been done."""

    def __init__(self, world, shell, seconds=60):
        self.seconds = seconds
        self.text = ""
        self.n_lines = 0
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(world.project)
                if world.user:
                    os.setgroups([])
                    os.setgid(world.user.pw_gid)
                    os.setuid(world.user.pw_uid)
                os.execvpe(shell, STARTS[shell], {**world.environment, "TERM": "dumb"})
            finally:
                os._exit(127)
        self.type("true")

    def _await(self, text):
        deadline = time.monotonic() + self.seconds
        while text not in self.text:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise support.Unexpected(f"no {text!r} within {self.seconds} s:\n{self.text}")
            try:
                self.text += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                raise support.Unexpected(f"the shell ended:\n{self.text}") from None

    def type(self, line):
        """Types @line, with "\\t" for Tab, and waits until it has been done."""
        self.n_lines += 1
        # As typed it is in two parts, so that the echo is not taken for the answer.
        os.write(self.master, f"{line}; echo fini''shed-{self.n_lines}.\r".encode())
        self._await(f"finished-{self.n_lines}.")

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.master)
