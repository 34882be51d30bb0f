"""The agent of CPython's multiprocessing: Process, and Connection from Pipe(). README.md says what stands for what."""

import atexit
import contextlib
import os
import platform
import sys


def stop_helpers():
    """Left alone, the fork server and the resource tracker end by themselves, but a moment after main has."""
    with contextlib.suppress(FileNotFoundError):  # its socket's folder is gone already
        multiprocessing.forkserver._forkserver._stop()
    multiprocessing.resource_tracker._resource_tracker._stop()


METHOD = os.environ.get("ADAPTER_METHOD", "fork")
if __name__ == "__main__" and METHOD != "fork":
    atexit.register(stop_helpers)  # before the import below, so that it comes after the library's own last things

import multiprocessing  # noqa: E402
import multiprocessing.forkserver  # noqa: E402
import multiprocessing.resource_tracker  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit", "python"))
from gipc_agent import Threads, Unsupported, content, ended  # noqa: E402

context = multiprocessing.get_context(METHOD)


class Unencodable(Exception):
    """A value that pickle refuses."""

    def __reduce__(self):
        raise self


class Undecodable(Exception):
    """A value whose pickle cannot be read."""

    def __reduce__(self):
        return refuse, ()


def refuse():
    raise Undecodable


RACES = {
    "put": "two threads must not write to the same end at once, says the documentation of Pipe()",
    "get": "two threads must not read from the same end at once, says the documentation of Pipe()",
    "join": "of two threads that join a process at once the second may be told nothing (popen_fork.py:26-31, gh-130895)",
}
VALUES = {"unencodable": Unencodable, "undecodable": Undecodable}


class Agent(Threads):
    name, version = "multiprocessing (%s)" % METHOD, platform.python_version()
    profiles = ["core", "tasks", "process", "frames", "signals", "limits", "scope", "codec", "oddities"]
    errors = [
        (OSError, "handle is closed", "closed"), (OSError, "end of file during message", "truncated"),
        (OSError, "connection is", "misuse"), (OSError, "bad message length", "protocol"),
        (Unencodable, "", "encode"), (Undecodable, "", "decode"),
    ]

    def __init__(self, role, handles=(), typed=()):
        super().__init__(role, handles)
        self.typed, self.used = set(typed), {}

    def handle(self, name):
        if name.endswith((".r", ".w")):
            raise Unsupported("both directions of Pipe(duplex=True) are one connection, which has no halves")
        return super().handle(name)

    @contextlib.contextmanager
    def alone(self, *use):
        """What two threads at once come to depends on a race, so that nothing can be said of it."""
        if self.used.setdefault(use, mine := object()) is not mine:
            raise Unsupported(RACES[use[1]])
        try:
            yield
        finally:
            del self.used[use]

    def do_pipe(self, reader, writer, codec=None):
        if codec == "json":
            raise Unsupported("values are pickled, and no other codec can be chosen")
        self.handles[reader], self.handles[writer] = context.Pipe(duplex=False)
        self.typed |= {reader, writer} if codec else set()
        return self.made(reader, writer)

    def do_duplex(self, near, far):
        self.handles[near], self.handles[far] = context.Pipe()
        return self.made(near, far)

    def do_spawn(self, child, handles, listed=()):
        given, inside = [self.handle(name) for name in handles], [(name, self.handle(name)) for name in listed]
        process = context.Process(target=play, args=(child, handles, self.typed, inside, *given))
        process.start()
        for connection in given:
            connection.close()  # the documented idiom: the parent closes what only the child should have
        return self.born(child, process)

    def do_put(self, handle, payload):
        connection = self.handle(handle)
        with self.alone(handle, "put"):
            if handle in self.typed:
                text = payload["text"]
                connection.send(VALUES[text]() if text in VALUES else text)
            else:
                connection.send_bytes(content(payload))

    def do_get(self, handle, within=None):
        connection = self.handle(handle)
        with self.alone(handle, "get"):
            if within is not None and not connection.poll(within):
                return "timeout"
            return connection.recv().encode() if handle in self.typed else connection.recv_bytes()

    def do_pass(self, handle, passed):
        self.handle(handle).send(self.handle(passed))

    def do_close(self, handle):
        self.handle(handle).close()

    def do_enter(self, handles):
        # What puts is closed first: else it depends on a race what comes of a put that is under way.
        super().do_enter(sorted(reversed(handles), key=lambda name: self.handle(name).writable))

    def do_join(self, child, within=None):
        with self.alone(child, "join"):
            self.children[child].join(within)
            return ended(self.children[child].exitcode)

    def do_alive(self, child):
        return self.children[child].is_alive()

    def do_code(self, child):
        return ended(self.children[child].exitcode)


def play(role, names, typed, inside, *handles):
    Agent(role, [*zip(names, handles), *inside], typed).serve()


if __name__ == "__main__":
    play(sys.argv[1], [], [], [])
