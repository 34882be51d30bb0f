"""A writer that dies between header and message looks like one that closed its handle: EOFError."""
import os
import signal
import struct

import gipc


def child(w, sent):
    os.write(w._fd, sent)
    os.kill(os.getpid(), signal.SIGKILL)  # in the middle of a message


def error(sent):
    r, w = gipc.pipe()
    p = gipc.start_process(child, (w, sent))
    try:
        r.get()
    except Exception as error:
        return repr(error)
    finally:
        p.join()


header = struct.pack("!i", 20)
after_header, inside = error(header), error(header + b"1234")
print("expected: the same error wherever the message was cut:", inside)
print("observed behind the header:", after_header)
raise SystemExit(0 if after_header.startswith("EOFError") and inside.startswith("OSError") else 1)
