"""A child never hears of the end of its own child if the parent has a gevent watcher for SIGCHLD."""
import os
import signal
import sys

import gevent
import gipc


def tool():
    sys.exit(3)


def worker(w):
    p = gipc.start_process(tool)
    p.join(timeout=2)
    w.put(p.exitcode)
    os._exit(0)


def exit_code():
    r, w = gipc.pipe()
    p = gipc.start_process(worker, (w,))
    code = r.get()
    p.join()
    return code


without = exit_code()
watcher = gevent.signal_handler(signal.SIGCHLD, lambda: None)
beside = exit_code()
print("expected: the worker's child has the exit code 3")
print("observed:", without, "without a watcher in the parent,", beside, "with one")
raise SystemExit(0 if (without, beside) == (3, None) else 1)
