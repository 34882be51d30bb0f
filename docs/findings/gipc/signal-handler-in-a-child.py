"""gevent.signal_handler has no effect in a child if the parent watches the same signal."""
import os
import signal

import gevent
import gipc


def child(w):
    gevent.signal_handler(signal.SIGTERM, lambda: os._exit(30))
    w.put("ready")
    gevent.sleep(5)


def exit_code():
    r, w = gipc.pipe()
    p = gipc.start_process(child, (w,))
    r.get()
    os.kill(p.pid, signal.SIGTERM)
    p.join()
    return p.exitcode


without = exit_code()
watcher = gevent.signal_handler(signal.SIGTERM, lambda: None)
beside = exit_code()
print("expected: exit code 30, since the child's handler runs")
print("observed:", without, "without a watcher in the parent,", beside, "with one")
raise SystemExit(0 if (without, beside) == (30, -signal.SIGTERM) else 1)
