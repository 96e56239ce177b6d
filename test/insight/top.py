"""Plays the user of a terminal in which `mems top` runs: presses keys, changes its size, and reads the output.

usage: top.py PID COMMAND... - PID: of a process "busy"
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time


def plain(output):
    """The text without the sequences that move the cursor and set colours; they separate words."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][AB0]|\x1b[=>78]", " ", output.decode(errors="replace"))


class Terminal:
    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(command[0], command)
        self.resize(24, 120)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        """And control L: the whole screen is drawn again, not only what has changed."""
        for key in keys + "\x0c":
            os.write(self.fd, key.encode())
            time.sleep(0.1)

    def wait_for(self, pattern, seconds=100):
        end = time.monotonic() + seconds
        output = b""
        while time.monotonic() < end:
            if not select.select([self.fd], [], [], 0.2)[0]:
                continue
            try:
                output += os.read(self.fd, 65536)
            except OSError:
                break
            if re.search(pattern, plain(output), re.DOTALL):
                return
        os.kill(self.pid, signal.SIGKILL)
        sys.exit("no %r in %s" % (pattern, plain(output)[-3000:]))

    def status(self):
        for _ in range(600):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                return status
            time.sleep(0.1)
        os.kill(self.pid, signal.SIGKILL)
        sys.exit("it does not end")


def main():
    pid, *command = sys.argv[1:]
    terminal = Terminal(command)
    terminal.wait_for(r"processes on the libraries")
    terminal.press("")
    terminal.wait_for(r"\bbusy\b")
    terminal.press("/%s\r" % pid)
    terminal.wait_for(r"filter " + pid)
    terminal.press(">")
    terminal.wait_for(r">Rss/s")
    terminal.press("r")
    terminal.wait_for(r"<Rss/s")
    terminal.press("\r")
    terminal.wait_for(r"process " + pid + r" \(busy\): Rss .*slots of \d+ bytes")
    terminal.press("\t")
    terminal.wait_for(r"call site")
    terminal.press("\x1b")
    terminal.wait_for(r"processes on the libraries")
    terminal.resize(6, 50)
    time.sleep(0.5)
    terminal.press("")
    terminal.wait_for(r"q quit")
    terminal.press("?")
    terminal.resize(1, 1)
    time.sleep(1.5)
    terminal.resize(24, 120)
    time.sleep(0.5)
    terminal.press("")
    terminal.wait_for(r"processes on the libraries")
    os.write(terminal.fd, b"q")
    if terminal.status() != 0:
        sys.exit("its status is not 0")


if __name__ == "__main__":
    main()
