"""A put that a Timeout ends in its middle leaves half a message: the reader fills it up with the messages that follow."""
import gevent
import gipc

r, w = gipc.pipe(encoder=None, decoder=None)
with gevent.Timeout(0.1, False):
    w.put(b"A" * 100000)  # more than the pipe holds


def more():
    for _ in range(6):
        w.put(b"B" * 8000)
    w.close()


gevent.spawn(more)
message = r.get()
print("expected: 100000 times A, or no message of which a part was put by another call")
print("observed: a message of", len(message), "bytes, of which", message.count(b"B"), "belong to later messages")
raise SystemExit(0 if message.count(b"B") > 0 else 1)
