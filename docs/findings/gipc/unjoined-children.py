"""Each child that ended and was not joined costs two descriptors and a process object."""
import multiprocessing
import os

import gevent
import gipc


def nothing():
    pass


def descriptors():
    return len(os.listdir("/proc/self/fd"))


gipc.start_process(nothing).join()
before = descriptors()
for _ in range(50):
    gipc.start_process(nothing)
gevent.sleep(2)
more, active = descriptors() - before, len(multiprocessing.active_children())
print("expected: children that ended and were reaped cost nothing, since gipc reaps them by itself")
print("observed: after 50 children", more, "more descriptors, and", active, "children that count as active")
raise SystemExit(0 if more == 100 and active == 50 else 1)
