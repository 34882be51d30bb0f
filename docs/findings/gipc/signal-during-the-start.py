"""A signal that comes to a child right after its start is lost if the parent watches that signal."""
import os
import signal

import gevent
import gipc


def child():
    gevent.sleep(1)


watcher = gevent.signal_handler(signal.SIGTERM, lambda: None)
codes = []
for _ in range(20):
    p = gipc.start_process(child)
    os.kill(p.pid, signal.SIGTERM)
    p.join()
    codes.append(p.exitcode)
lost = codes.count(0)
print("expected: 20 of 20 children are ended by SIGTERM")
print("observed:", lost, "of 20 never saw it, and ended with exit code 0")
raise SystemExit(0 if lost > 0 else 1)
