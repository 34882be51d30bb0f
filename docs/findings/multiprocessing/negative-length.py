"""A negative length in a header is taken for an empty message."""
import multiprocessing
import os
import struct

r, w = multiprocessing.Pipe(duplex=False)
os.write(w.fileno(), struct.pack("!i", -5))  # what a damaged or foreign writer may leave
try:
    observed = repr(r.recv_bytes())
except Exception as error:
    observed = repr(error)
print("expected: an error that says that this is no message")
print("observed:", observed)
raise SystemExit(0 if observed == "b''" else 1)
