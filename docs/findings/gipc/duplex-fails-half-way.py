"""pipe(duplex=True) that fails for lack of descriptors keeps the first of its two pipes."""
import os
import resource

import gevent
import gipc
from gipc.gipc import _all_handles

gevent.sleep(0)  # the loop opens its own descriptors first


def leave_free(number):
    """Takes all descriptors but so many, and returns those that were taken."""
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        for _ in range(number):
            os.close(taken.pop())
    return taken


resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
before = len(os.listdir("/proc/self/fd"))
taken = leave_free(3)
try:
    gipc.pipe(duplex=True)
except OSError as error:
    print("pipe(duplex=True) raises", repr(error))
for descriptor in taken:
    os.close(descriptor)
more, handles = len(os.listdir("/proc/self/fd")) - before, len(_all_handles)
print("expected: 0 more descriptors, 0 handles")
print("observed:", more, "more descriptors,", handles, "handles, to which no variable refers")
raise SystemExit(0 if (more, handles) == (2, 2) else 1)
