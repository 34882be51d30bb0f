"""With the start method forkserver, a child gets the number of a descriptor, and not the descriptor."""
import multiprocessing
import os
import tempfile

if __name__ == "__main__":
    multiprocessing.set_start_method("forkserver")  # the default of CPython 3.14 on Linux
import gipc  # noqa: E402


def where(w):
    try:
        return os.readlink("/proc/self/fd/%d" % w._fd)
    except OSError as error:
        return repr(error)


def child(w, path):
    with open(path, "w") as file:
        file.write(where(w))


if __name__ == "__main__":
    r, w = gipc.pipe()
    mine, path = where(w), tempfile.mkstemp()[1]
    p = gipc.start_process(child, (w, path))
    p.join(3)
    theirs = open(path).read()
    os.remove(path)
    print("expected: the child has", mine, "and join returns")
    print("observed: the child has", theirs, "and after join(3) the exit code is", p.exitcode)
    os._exit(0 if theirs != mine and p.exitcode is None else 1)
