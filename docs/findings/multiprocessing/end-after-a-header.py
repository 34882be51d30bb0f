"""A writer that dies between header and message looks like one that closed its end: EOFError."""
import multiprocessing
import os
import signal
import struct


def child(w, sent):
    os.write(w.fileno(), sent)
    os.kill(os.getpid(), signal.SIGKILL)  # in the middle of a message


def error(sent):
    r, w = multiprocessing.Pipe(duplex=False)
    p = multiprocessing.Process(target=child, args=(w, sent))
    p.start()
    w.close()
    try:
        r.recv_bytes()
    except Exception as error:
        return repr(error)
    finally:
        p.join()


multiprocessing.set_start_method("fork")
header = struct.pack("!i", 20)
after_header, inside = error(header), error(header + b"1234")
print("expected: the same error wherever the message was cut:", inside)
print("observed behind the header:", after_header)
raise SystemExit(0 if after_header == "EOFError()" and inside.startswith("OSError") else 1)
