"""A negative length in a header is taken for an empty message."""
import os
import struct

import gipc

r, w = gipc.pipe(encoder=None, decoder=None)
os.write(w._fd, struct.pack("!i", -5))  # what a damaged or foreign writer may leave
try:
    observed = repr(r.get())
except Exception as error:
    observed = repr(error)
print("expected: an error that says that this is no message")
print("observed:", observed)

r, w = gipc.pipe()
os.write(w._fd, struct.pack("!i", -5))
try:
    pickled = repr(r.get())
except Exception as error:
    pickled = repr(error)
print("observed with the default decoder:", pickled, "which looks like the end of the pipe")
raise SystemExit(0 if observed == "b''" and pickled.startswith("EOFError") else 1)
