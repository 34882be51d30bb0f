"""The agent of CPython's multiprocessing: Process, and Connection from Pipe(). README.md has the details."""

import atexit
import contextlib
import importlib
import os
import platform
import sys


def stop_helpers():
    """Stops the fork server and the resource tracker, which would otherwise end a moment after main. Before Python 3.8
    they cannot be stopped."""
    # The folder of its socket is removed already, or the system has reaped it since SIGCHLD is ignored.
    with contextlib.suppress(FileNotFoundError, ChildProcessError, AttributeError):
        forkserver._forkserver._stop()
    with contextlib.suppress(ChildProcessError, AttributeError):
        tracker._resource_tracker._stop()


METHOD = os.environ.get("ADAPTER_METHOD", "fork")
if __name__ == "__main__" and METHOD != "fork":
    atexit.register(stop_helpers)  # before the import below, so that it runs after the library's exit handlers

LIBRARY = os.environ.get("ADAPTER_LIBRARY", "multiprocessing")
multiprocessing = importlib.import_module(LIBRARY)


def part(name):
    """A module of the library, or None. Before Python 3.8, and in billiard, there is no resource tracker."""
    try:
        return importlib.import_module(LIBRARY + "." + name)
    except ImportError:
        return None


forkserver, tracker = part("forkserver"), part("resource_tracker")

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit", "python"))
from gipc_agent import Threads, Unsupported, content, ended, in_thread  # noqa: E402

context = multiprocessing.get_context(METHOD)


class Unencodable(Exception):
    """A value that can't be pickled."""

    def __reduce__(self):
        raise self


class Undecodable(Exception):
    """A value whose pickle can't be loaded."""

    def __reduce__(self):
        return refuse, ()


def refuse():
    raise Undecodable


RACES = {
    "put": "the documentation of Pipe() forbids that two threads write to the same end at once",
    "get": "the documentation of Pipe() forbids that two threads read from the same end at once",
    "join": "if two threads join a process at once, the second may get no exit code (popen_fork.py:26-31, gh-130895)",
}
# Whether two threads may join one process all the same, to show the bug.
RACES_ASKED = "ADAPTER_RACES" in os.environ
VALUES = {"unencodable": Unencodable, "undecodable": Undecodable}


class Agent(Threads):
    name, version = "%s (%s)" % (LIBRARY, METHOD), getattr(multiprocessing, "__version__", platform.python_version())
    profiles = ["core", "tasks", "process", "frames", "signals", "limits", "scope", "codec", "oddities", "share", "drop-handle", "threads"]
    errors = [
        (OSError, "handle is closed", "closed"), (OSError, "end of file during message", "truncated"),
        (OSError, "connection is", "misuse"), (OSError, "bad message length", "protocol"),
        (Unencodable, "", "encode"), (Undecodable, "", "decode"),
    ]

    def __init__(self, role, handles=(), typed=()):
        super().__init__(role, handles)
        self.typed, self.in_use = set(typed), {}

    def handle(self, name):
        if name.endswith((".r", ".w")):
            raise Unsupported("both directions of Pipe(duplex=True) are one connection, which has no halves")
        return super().handle(name)

    @contextlib.contextmanager
    def exclusive(self, name, verb):
        """Refuses a second thread at the same handle or child, since its outcome would depend on a race."""
        mine = object()
        if self.in_use.setdefault((name, verb), mine) is not mine:
            raise Unsupported(RACES[verb])
        try:
            yield
        finally:
            del self.in_use[name, verb]

    def do_pipe(self, reader, writer, codec=None):
        if codec == "json":
            raise Unsupported("values are pickled, and no other codec can be chosen")
        self.handles[reader], self.handles[writer] = context.Pipe(duplex=False)
        self.typed |= {reader, writer} if codec else set()
        return self.made(reader, writer)

    def do_duplex(self, near, far):
        self.handles[near], self.handles[far] = context.Pipe()
        return self.made(near, far)

    def do_spawn(self, child, handles, shared=(), listed=(), from_thread=False):
        given, in_list = [self.handle(name) for name in handles], [(name, self.handle(name)) for name in listed]
        process = context.Process(target=play, args=(child, handles, self.typed, in_list, *given))
        in_thread(process.start) if from_thread else process.start()
        for connection in (self.handle(name) for name in handles if name not in shared):
            connection.close()  # the documented idiom: the parent closes the ends that only the child should have
        return self.born(child, process)

    def do_put(self, handle, payload):
        connection = self.handle(handle)
        with self.exclusive(handle, "put"):
            if handle in self.typed:
                text = payload["text"]
                connection.send(VALUES[text]() if text in VALUES else text)
            else:
                connection.send_bytes(content(payload))

    def do_get(self, handle, within=None):
        connection = self.handle(handle)
        with self.exclusive(handle, "get"):
            if within is not None and not connection.poll(within):
                return "timeout"
            return connection.recv().encode() if handle in self.typed else connection.recv_bytes()

    def do_get_within(self, handle, limit):
        return "ok" if self.handle(handle).poll(limit) else "timeout"

    def do_pass(self, handle, passed):
        self.handle(handle).send(self.handle(passed))

    def do_close(self, handle):
        self.handle(handle).close()

    def do_enter(self, handles):
        # Writers are closed before readers: otherwise the outcome of a pending put depends on a race.
        super().do_enter(sorted(reversed(handles), key=lambda name: self.handle(name).writable))

    def do_join(self, child, within=None):
        with contextlib.nullcontext() if RACES_ASKED else self.exclusive(child, "join"):
            self.children[child].join(within)
            return ended(self.children[child].exitcode)

    def do_alive(self, child):
        return self.children[child].is_alive()

    def do_code(self, child):
        return ended(self.children[child].exitcode)


def play(role, names, typed, in_list, *handles):
    """Runs one process of a scenario."""
    Agent(role, [*zip(names, handles), *in_list], typed).serve()


if __name__ == "__main__":
    play(sys.argv[1], [], [], [])
