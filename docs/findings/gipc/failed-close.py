"""After a close() that fails, every use of the handle waits forever."""
import os

import gevent
import gipc

reader, writer = gipc.pipe()
os.close(reader._fd)  # as a part of the program does that closes descriptors it does not own
try:
    reader.close()
    first = "no error"
except OSError as error:
    first = "OSError %s" % error.args[0]
finished = True
try:
    with gevent.Timeout(2):
        reader.get()
except gevent.Timeout:
    finished = False
except gipc.GIPCClosed:
    pass
try:
    reader.close()
    second = "no error"
except gipc.GIPCError as error:
    second = type(error).__name__
print("expected: the first close() reports the error, then get() and close() raise GIPCClosed")
print("observed: the first close():", first + ", get() returned within two seconds:", str(finished) + ", the second close():", second)
raise SystemExit(0 if not finished and second == "GIPCLocked" else 1)
