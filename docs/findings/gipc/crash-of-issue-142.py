"""A child crashes with SIGSEGV when two of its greenlets wait for a writer that the parent has used. Issue 142."""
import gevent
import gipc


def child(w, w2):
    one = gevent.spawn(w.put, b"x" * (2 << 20))
    gevent.sleep(0.1)
    two = gevent.spawn(w.put, b"third")  # waits for the lock that `one` holds
    gevent.sleep(0.1)
    w2.put(b"both wait")
    gevent.joinall([one, two])


def parent():
    r, w = gipc.pipe(encoder=None, decoder=None)
    r2, w2 = gipc.pipe(encoder=None, decoder=None)
    w.put(b"first")  # the parent has used w
    p = gipc.start_process(child, (w, w2))  # in a greenlet, not in the main one
    try:
        for reader in [r2, r, r, r]:
            reader.get()
    except EOFError:
        pass
    p.join()
    return p.exitcode


code = gevent.spawn(parent).get()
print("expected: exit code 0")
print("observed: exit code", code)
raise SystemExit(0 if code == -11 else 1)
