"""What the contract wants done without the library: by hand, with the system alone.

Runs on every Python from 2.7 on, which has not all of the system's calls: what is missing there is called by ctypes.
"""

import ctypes
import errno
import os
import pickle
import resource
import signal
import struct
import subprocess

import gevent

from words import ended, number

LIMITS = resource.getrlimit(resource.RLIMIT_NOFILE)
# Loaded here and not when a descriptor may be scarce.
LIBC = ctypes.CDLL(None, use_errno=True)
P_PID, WEXITED, WNOWAIT = 1, 4, 0x01000000


def stall(pid):
    """Waits with the whole process until it has ended, and reaps nobody."""
    if hasattr(os, "waitid"):
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        except OSError:
            pass  # it ended before, and somebody has reaped it since
    else:
        LIBC.waitid(P_PID, pid, ctypes.create_string_buffer(128), WEXITED | WNOWAIT)


def reaped(pid):
    """Waits with the loop turning until nothing is left of it."""
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


def ghost():
    """A program beside the library, which ends when its stdin does."""
    return subprocess.Popen(["sh", "-c", "read x; exit 7"], stdin=subprocess.PIPE)


def frame(data, pickled):
    """A message as it stands in the pipe."""
    data = pickle.dumps(data, 2) if pickled else data
    return struct.pack("!i", len(data)) + data


def place(at, length):
    """Where a frame of this length is cut."""
    (mark, count), = at.items()
    return {"bytes": count, "header": 4 + count, "end": length - count}[mark]


def announcement(size):
    return struct.pack("!I", min(size, 2**32 - 1))


def ignore(name):
    signal.signal(number(name), signal.SIG_IGN)


def block(name):
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [number(name)])
        return
    which = ctypes.create_string_buffer(128)
    LIBC.sigemptyset(which)
    LIBC.sigaddset(which, int(number(name)))
    LIBC.pthread_sigmask(0, which, None)


def limit(free):
    """Lets this process open so many descriptors more."""
    soft, hard = LIMITS
    if free is not None:
        # By its name alone, since a listing of all would hold one of them itself.
        soft = [fd for fd in range(min(soft, 4096)) if not os.path.lexists("/dev/fd/%d" % fd)][free]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
