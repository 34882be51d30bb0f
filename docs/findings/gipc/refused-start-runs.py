"""start_process raises GIPCClosed or GIPCLocked, and the child that it refused to start is running."""
import os

import gevent
import gipc
from gevent.select import select

report_r, report_w = os.pipe()


def child(*handles):
    os.write(report_w, b"x")


def children_after(*handles):
    """How many children begin although start_process raises."""
    try:
        gipc.start_process(child, handles)
        return 0
    except gipc.GIPCError:
        gevent.sleep(0.5)
        return len(os.read(report_r, 10)) if select([report_r], [], [], 0.1)[0] else 0


r, w = gipc.pipe()
twice = children_after(w, w)
r, w = gipc.pipe()
gipc.start_process(lambda handle: None, (w,)).join()
given = children_after(w)
r, w = gipc.pipe()
gevent.spawn(r.get)
gevent.sleep(0.1)
in_use = children_after(r)
print("expected: start_process raises, and no child runs: 0, 0, 0")
print("observed: it raises, and children run: %d (named twice), %d (given before), %d (in use)" % (twice, given, in_use))
raise SystemExit(0 if twice + given + in_use == 3 else 1)
