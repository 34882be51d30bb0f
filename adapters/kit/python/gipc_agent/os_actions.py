"""Payloads, exit statuses, and the commands of the protocol that bypass the library under test.

The functions here use the operating system directly; they know neither the library nor the protocol client.
"""

import fcntl
import hashlib
import os
import resource
import select
import signal
import subprocess
import time

NOISE_BLOCK = 65521
LIMITS = resource.getrlimit(resource.RLIMIT_NOFILE)
# If a child is still a zombie after this time, the library is taken not to reap it.
ZOMBIE_SECONDS = 5

# The time that a thread of the library may take to reap a child that has ended.
REAPER_THREAD_SECONDS = 0.05


def content(payload):
    """The bytes of a payload: a text, or noise that is generated from a seed."""
    if "text" in payload:
        return payload["text"].encode()
    length = payload["len"]
    wanted = min(length, NOISE_BLOCK)
    digests = (hashlib.sha256(b"%s:%d" % (payload["seed"].encode(), n)).digest() for n in range(wanted // 32 + 1))
    block = b"".join(digests)[:wanted]
    return (block * (length // NOISE_BLOCK + 1))[:length]


def message(data):
    """The outcome that reports a received message."""
    outcome = {"is": "message", "len": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if len(data) <= 64:
        try:
            outcome["text"] = bytes(data).decode()
        except UnicodeDecodeError:
            pass
    return outcome


def ended(code):
    """The exit status as an outcome, from an exit code as Python has it: None while running, negative for a signal."""
    if code is None:
        return {"is": "running"}
    if code >= 0:
        return {"is": "exit", "code": code}
    try:
        return {"is": "signal", "name": signal.Signals(-code).name}
    except ValueError:  # a real-time signal has no name of its own
        return {"is": "signal", "name": "SIG%d" % -code}


def cut_position(at, header, length):
    """The number of bytes of a frame to write before the cut; `header` and `length` are sizes in bytes."""
    (mark, count), = at.items()
    return {"bytes": count, "header": header + count, "end": length - count}[mark]


def stall(pid):
    """Blocks until the process has ended, without reaping it."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        await_exit(pid)  # it is not a child of this process, or it has been reaped already
    # If the library reaps in a thread of its own, this lets it finish now instead of during a later step.
    time.sleep(REAPER_THREAD_SECONDS)


def await_exit(pid):
    """Blocks until a process has ended, which need not be a child of this one."""
    if hasattr(os, "pidfd_open"):
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll()
        finally:
            os.close(pidfd)
    else:
        while exists(pid):
            time.sleep(0.001)


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_zombie(pid):
    try:
        with open("/proc/%d/stat" % pid, "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] == b"Z"
    except OSError:
        return False


def reap_poll_delays(pid):
    """Yields the delays, in seconds, with which to poll until the pid is gone; None means to wait forever.

    The delays are short until the process has been a zombie for ZOMBIE_SECONDS. Then None follows: an endless series of
    timers would keep the harness from detecting that nothing moves any more.
    """
    since = None
    while exists(pid):
        since = (since or time.monotonic()) if is_zombie(pid) else None
        yield None if since and time.monotonic() - since > ZOMBIE_SECONDS else 0.001


def reap(pid):
    _, status = os.waitpid(pid, 0)
    return ended(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def start_foreign_program():
    """Starts a program that is not part of the scenario. It exits with code 7 when its stdin is closed."""
    return subprocess.Popen(["sh", "-c", "read x; exit 7"], stdin=subprocess.PIPE)


def signal_number(name):
    return getattr(signal, name)


def trap(name, handler):
    signal.signal(signal_number(name), handler)


def ignore(name):
    signal.signal(signal_number(name), signal.SIG_IGN)


def block(name):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal_number(name)])


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
