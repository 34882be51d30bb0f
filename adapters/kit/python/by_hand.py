"""What the contract wants done without the library, and what payloads and ends of processes are called.

Everything here is the system's alone; nothing knows the library, or how the harness is talked to.
"""

import hashlib
import os
import resource
import select
import signal
import subprocess
import time

NOISE_BLOCK = 65521
LIMITS = resource.getrlimit(resource.RLIMIT_NOFILE)
# So long a child that has ended may stay a zombie before it is believed that nobody reaps it.
ZOMBIE_SECONDS = 5

# So long a thread of the library may take to reap what has ended.
THREADS_SECONDS = 0.05


def content(payload):
    """The bytes of a payload: a text, or so much noise that tells its seed."""
    if "text" in payload:
        return payload["text"].encode()
    length = payload["len"]
    wanted = min(length, NOISE_BLOCK)
    digests = (hashlib.sha256(b"%s:%d" % (payload["seed"].encode(), n)).digest() for n in range(wanted // 32 + 1))
    block = b"".join(digests)[:wanted]
    return (block * (length // NOISE_BLOCK + 1))[:length]


def message(data):
    """What to say of a message that was got."""
    said = {"is": "message", "len": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if len(data) <= 64:
        try:
            said["text"] = bytes(data).decode()
        except UnicodeDecodeError:
            pass
    return said


def ended(code):
    """How a process ended, from an exit code as Python has it: None while it runs, negative for a signal."""
    if code is None:
        return {"is": "running"}
    if code >= 0:
        return {"is": "exit", "code": code}
    try:
        return {"is": "signal", "name": signal.Signals(-code).name}
    except ValueError:  # a real-time signal has no name of its own
        return {"is": "signal", "name": "SIG%d" % -code}


def place(at, header, length):
    """Where a frame of this length is cut."""
    (mark, count), = at.items()
    return {"bytes": count, "header": header + count, "end": length - count}[mark]


def stall(pid):
    """Waits until it has ended, and reaps nobody."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        watch(pid)  # it is no child of ours, or somebody has reaped it since
    # A library that reaps in a thread of its own does so now, and not at some moment of a later step.
    time.sleep(THREADS_SECONDS)


def watch(pid):
    """Waits until a process that need not be a child of ours has ended."""
    if hasattr(os, "pidfd_open"):
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            looking = select.poll()
            looking.register(handle, select.POLLIN)
            looking.poll()
        finally:
            os.close(handle)
    else:
        while is_there(pid):
            time.sleep(0.001)


def is_there(pid):
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


def pauses(pid):
    """The pauses to make until the number is gone: short ones; at last None, for ever, once it is a zombie for good.

    To look for ever would be a timer, and the harness could not see that all stands still.
    """
    since = None
    while is_there(pid):
        since = (since or time.monotonic()) if is_zombie(pid) else None
        yield None if since and time.monotonic() - since > ZOMBIE_SECONDS else 0.001


def reap(pid):
    _, status = os.waitpid(pid, 0)
    return ended(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))


def ghost():
    """A program beside the library, which ends when its stdin does."""
    return subprocess.Popen(["sh", "-c", "read x; exit 7"], stdin=subprocess.PIPE)


def number(name):
    return getattr(signal, name)


def trap(name, handler):
    signal.signal(number(name), handler)


def ignore(name):
    signal.signal(number(name), signal.SIG_IGN)


def block(name):
    signal.pthread_sigmask(signal.SIG_BLOCK, [number(name)])


def limit(free):
    """Lets this process open so many descriptors more; all, if there is no number."""
    soft, hard = LIMITS
    if free is not None:
        # By its name alone, since a listing of all would hold a descriptor itself.
        soft = [fd for fd in range(min(soft, 4096)) if not os.path.lexists("/dev/fd/%d" % fd)][free]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
