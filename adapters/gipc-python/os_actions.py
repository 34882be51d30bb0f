"""The commands of the protocol that bypass the library and use the operating system directly.

This file runs on every Python from 2.7 on. System calls that an old Python lacks are made with ctypes.
"""

import ctypes
import errno
import fcntl
import multiprocessing
import os
import pickle
import resource
import signal
import struct
import subprocess

import gevent

from protocol import ended, signal_number

try:
    import faulthandler
except ImportError:  # Python 2.7 has none
    faulthandler = None

LIMITS = resource.getrlimit(resource.RLIMIT_NOFILE)
# Loaded early, since loading needs a descriptor and a later limit may leave none.
LIBC = ctypes.CDLL(None, use_errno=True)
P_PID, WEXITED, WNOWAIT = 1, 4, 0x01000000


def show_crashes():
    """Lets a crash print the stack, if PYTHONFAULTHANDLER asks for it: gipc resets all handlers in a forked child."""
    if faulthandler is not None and os.environ.get("PYTHONFAULTHANDLER"):
        faulthandler.disable()
        faulthandler.enable()


def stall(pid):
    """Blocks the whole process until that process has ended, without reaping it."""
    if hasattr(os, "waitid"):
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        except OSError:
            pass  # it has ended and been reaped already
    else:
        LIBC.waitid(P_PID, pid, ctypes.create_string_buffer(128), WEXITED | WNOWAIT)


def await_reaped(pid):
    """Waits until the pid is gone, while the loop keeps running."""
    while True:
        try:
            os.kill(pid, 0)
        except OSError as error:
            if error.errno == errno.ESRCH:
                return
            raise
        gevent.sleep(0.001)


def reap(pid):
    _, status = os.waitpid(pid, 0)
    return ended(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


class PlainProcess(object):
    """A child of plain multiprocessing, used like a `subprocess.Popen`. It holds nothing of its parent but its stdin."""

    def __init__(self):
        reader, writer = os.pipe()
        self.process = multiprocessing.Process(target=PlainProcess.run, args=(reader,))
        self.process.start()
        os.close(reader)
        self.pid, self.stdin = self.process.pid, os.fdopen(writer, "wb", 0)

    @staticmethod
    def run(reader):
        os.closerange(3, reader)
        os.closerange(reader + 1, 4096)
        os.read(reader, 1)
        os._exit(7)

    def wait(self):
        self.process.join()
        return self.process.exitcode


def start_foreign_program():
    """Starts a program that is not part of the scenario. It exits with code 7 when its stdin is closed."""
    if os.environ.get("ADAPTER_GHOST") == "multiprocessing":
        return PlainProcess()
    return subprocess.Popen(["sh", "-c", "read x; exit 7"], stdin=subprocess.PIPE)


def frame(data, pickled):
    """The bytes of a message in the pipe."""
    data = pickle.dumps(data, 2) if pickled else data
    return struct.pack("!i", len(data)) + data


def cut_position(at, length):
    """The number of bytes to write before the cut of a frame of this length."""
    (mark, count), = at.items()
    return {"bytes": count, "header": 4 + count, "end": length - count}[mark]


def header(size):
    """A header alone, which announces a message of this size in bytes."""
    return struct.pack("!I", min(size, 2**32 - 1))


def ignore(name):
    signal.signal(signal_number(name), signal.SIG_IGN)


def block(name):
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal_number(name)])
        return
    signals = ctypes.create_string_buffer(128)
    LIBC.sigemptyset(signals)
    LIBC.sigaddset(signals, int(signal_number(name)))
    LIBC.pthread_sigmask(0, signals, None)


def is_open(fd):
    """Whether this process has a descriptor of this number. /dev/fd does not list them on every system."""
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except (OSError, IOError):
        return False
    return True


def limit(free):
    """Lets this process open `free` more descriptors; None restores the original limit."""
    soft, hard = LIMITS
    if free is not None:
        soft = [fd for fd in range(min(soft, 4096)) if not is_open(fd)][free]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
