"""A get that is killed inside a message loses what it has read: the next get takes the rest for a header."""
import os
import struct

import gevent
import gipc

r, w = gipc.pipe(encoder=None, decoder=None)
os.write(w._fd, struct.pack("!i", 8) + b"1234")  # half a message, as a slow writer leaves it
reader = gevent.spawn(r.get)
gevent.sleep(0.1)
reader.kill()  # a gevent.Timeout around get does the same
os.write(w._fd, b"5678")
w.put(b"next")
w.close()
try:
    observed = repr(r.get())
except Exception as error:
    observed = repr(error)
print("expected: get returns b'12345678', then b'next'; or an error that says that the pipe cannot be used any more")
print("observed:", observed)
raise SystemExit(0 if "Message interrupted" in observed else 1)
