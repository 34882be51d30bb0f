"""Two greenlets of the parent wait for one reader; a child that has nothing to do with it ends with exit code 1."""
import gevent
import gipc


def child():
    print("child: target runs", flush=True)


def exit_code(waiting):
    r, w = gipc.pipe()
    greenlets = [gevent.spawn(r.get) for _ in range(waiting)]
    gevent.sleep(0.1)
    p = gipc.start_process(child)  # is not given r
    p.join()
    gevent.killall(greenlets)
    return p.exitcode


one, two = exit_code(1), exit_code(2)
print("expected: exit code 0 with one waiting greenlet, and with two")
print("observed: exit code", one, "with one,", two, "with two")
raise SystemExit(0 if (one, two) == (0, 1) else 1)
