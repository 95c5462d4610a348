"""A program on a terminal of its own, and what it has drawn there.

    t = Terminal([BIN, "demo"], env, rows=24, columns=80)
    t.until("q: quit").type("q")      what is on the screen is t.screen.lines()
"""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from .settings import secs

CODE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


class Screen:
    """As much of a terminal as the demo uses: it wraps and scrolls, and knows CSI A, H, J and m.
    Anything else is an error."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[]]  # lines, those that have scrolled away first
        self.top = self.row = self.column = 0
        self.colours = 0
        self.rest = ""

    def feed(self, text):
        text, i = self.rest + text, 0
        self.rest = ""
        while i < len(text):
            if text[i] != "\x1b":
                self.put(text[i])
                i += 1
                continue
            m = CODE.match(text, i)
            if not m:
                assert len(text) - i < 16, repr(text[i:i + 40])
                self.rest = text[i:]
                return
            self.code(m[1], m[2])
            i = m.end()

    def code(self, number, letter):
        if letter == "m":
            self.colours += 1
        elif letter == "A":
            self.row = max(self.top, self.row - int(number or 1))
        elif letter == "H":
            assert number == ""
            self.row, self.column = self.top, 0
        elif letter == "J" and number == "2":
            for y in range(self.top, len(self.cells)):
                self.cells[y] = []
        else:
            assert letter == "J" and number == "", (number, letter)
            del self.cells[self.row + 1:]
            del self.cells[self.row][self.column:]

    def put(self, c):
        if c == "\r":
            self.column = 0
        elif c == "\n":
            self.row += 1
            self.top = max(self.top, self.row - self.rows + 1)
            while len(self.cells) <= self.row:
                self.cells.append([])
        else:
            assert c >= " ", repr(c)
            if self.column == self.columns:
                self.put("\r")
                self.put("\n")
            line = self.cells[self.row]
            line += [" "] * (self.column - len(line))
            line[self.column:self.column + 1] = [c]
            self.column += 1

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.top = max(self.top, self.row - self.rows + 1)

    def lines(self):
        return ["".join(x) for x in self.cells[self.top:]]

    def __str__(self):
        return "\n".join(self.lines())


class Terminal:

    def __init__(self, argv, env, rows=40, columns=100):
        self.screen = Screen(rows, columns)
        self.text, self.seen, self.status = "", 0, None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(argv[0], argv, env)

    def resize(self, rows, columns):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        return self

    def read(self, seconds):
        """Take what comes; False at the end."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536).decode(errors="replace")
        except OSError:  # how a terminal's end is told
            return False
        self.text += data
        self.screen.feed(data)
        return bool(data)

    def until(self, word, timeout=30):
        """Read on until it says so, once more than before."""
        end = time.monotonic() + secs(timeout)
        while word not in self.text[self.seen:]:
            assert time.monotonic() < end, f"not said: {word!r}\n{self.screen}"
            assert self.read(0.2) or word in self.text[self.seen:], f"ended\n{self.screen}"
        self.seen = self.text.index(word, self.seen) + len(word)
        return self

    def until_shown(self, what, condition, timeout=10):
        """Read on until the screen is so."""
        end = time.monotonic() + secs(timeout)
        while not condition(self.screen):
            assert time.monotonic() < end, f"not shown: {what}\n{self.screen}"
            assert self.read(0.2), f"ended\n{self.screen}"
        return self

    def type(self, text):
        os.write(self.fd, text.encode())
        return self

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def wait(self, timeout=30):
        """Its exit status, once it has ended and all is read."""
        end = time.monotonic() + secs(timeout)
        while self.read(0.2):
            assert time.monotonic() < end, f"it goes on\n{self.screen}"
        os.close(self.fd)
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.close(self.fd)
            os.waitpid(self.pid, 0)
