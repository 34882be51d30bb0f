"""The base class of all agents in Python: the protocol client of one process, with its handles and children.

Adapters use `gipc_agent`, whose subclasses `Threads` and `Loop` decide how steps are scheduled.
"""

import contextlib
import errno
import gc
import inspect
import json
import os
import socket
import threading

from . import os_actions
from .os_actions import content, ended, message  # noqa: F401, re-exported for adapters

# The profile of each verb that is not in core. `Agent.method_for` handles `count`, and the optional arguments of `pipe`
# and `spawn` that need another profile.
VERBS = {
    "cancel": "tasks", "pause": "tasks", "terminate": "process", "alive": "process", "code": "process",
    "stall": "process", "reaped": "process", "reap": "process", "raise": "process", "exec": "process",
    "cut": "frames", "rest": "frames", "announce": "frames", "trap": "signals", "ignore": "signals",
    "block": "signals", "signal": "signals", "limit": "limits", "enter": "scope", "leave": "scope", "pass": "oddities",
    "run": "stdio", "drop": "drop", "signal-group": "groups", "drop-handle": "drop-handle", "get-within": "oddities",
    "close-descriptor": "oddities",
}
# The socket that this process has inherited from its parent by fork, if any.
inherited = None


class Unsupported(Exception):
    """The library has no such operation."""


class Closed(Exception):
    """This process has no such handle."""


class Raised(Exception):
    """The scenario says that this entry, or the body of a scope, fails."""


def in_thread(function, *args):
    """Calls a function in a new thread, in which no event loop runs; returns or raises what it does."""
    results = []

    def call():
        try:
            results.append((function(*args), None))
        except Exception as error:
            results.append((None, error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    (result, error), = results
    if error is not None:
        raise error
    return result


class Agent:
    """One process of a scenario: its handles, its children, and its session with the harness."""

    name, version, profiles, control = "", "", ["core"], ""
    # Arguments that change the meaning of a command. If a method does not take one, the command is unsupported.
    required_arguments = {
        "within": "%s takes no time limit", "codec": "%s takes no codec", "raising": "%s takes no error",
        "in_group": "%s starts no process group", "from_thread": "%s is called from no other thread",
        "shared": "%s gives only what its parent does not keep",
        "listed": "%s can give nothing that is hidden in another argument",
    }
    # The errors of the library: class, a part of the text, and the outcome. The first match counts.
    errors = []
    common = [
        (Closed, "", "closed"), (Raised, "", "raised"), (BrokenPipeError, "", "broken"),
        (EOFError, "", "eof"), (TypeError, "", "misuse"),
    ]

    def __init__(self, role, handles=()):
        self.role = role
        self.handles = dict(handles)
        self.children, self.foreign_programs, self.rests, self.scopes = {}, {}, {}, {}
        self.trapped = 0
        self.send_lock, self.partial_line = threading.Lock(), b""

    # For adapters.

    def handle(self, name):
        if name not in self.handles:
            raise Closed("this process has no %s" % name)
        return self.handles[name]

    def descriptor(self, name):
        return self.handle(name).fileno()

    def made(self, *names):
        """The answer of pipe and duplex."""
        return {"is": "ok"}, {"descriptors": {name: self.descriptor(name) for name in names}}

    def born(self, child, process):
        """The answer of spawn; also records the child."""
        self.children[child] = process
        return {"is": "ok"}

    def live(self):
        """The number of live handles that the library counts in this process; only needed for the profile counts."""
        raise Unsupported("it cannot count its handles")

    def header(self, size):
        """The header of a message of this size in bytes."""
        return min(size, 2**32 - 1).to_bytes(4, "big")

    # The session.

    def connect(self):
        global inherited
        if inherited is not None:
            inherited.close()
        self.socket = inherited = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.environ["GIPC_HARNESS_SOCKET"])
        self.send(
            type="hello", protocol=2, token=os.environ["GIPC_HARNESS_TOKEN"], role=self.role, pid=os.getpid(),
            implementation={"name": self.name, "version": self.version}, profiles=self.profiles, control=self.control,
        )

    def send(self, **fields):
        with self.send_lock:
            self.socket.sendall(json.dumps(fields).encode() + b"\n")

    def pong(self, n):
        self.send(type="pong", n=n)

    def receive(self):
        """Reads once from the socket, blocking if it is empty, and handles the complete messages."""
        data = self.socket.recv(65536)
        if not data:
            os._exit(1)  # the harness is gone
        *lines, self.partial_line = (self.partial_line + data).split(b"\n")
        for fields in map(json.loads, lines):
            if fields["type"] == "step":
                self.queue_for(fields.get("task")).put_nowait(fields)
            elif fields["type"] == "ping":
                self.pong(fields["n"])
            elif fields["type"] == "finish":
                if "counts" in self.profiles:
                    self.send(type="left", handles=self.live())
                self.finish()
            elif fields["type"] == "reject":
                os._exit(1)
            elif fields["type"] != "welcome":
                self.send(type="fault", reason="unknown message %s" % fields["type"])

    def method_for(self, step):
        """The method that executes a step, and its keyword arguments."""
        arguments = dict(step["do"])
        verb = arguments.pop("verb")
        profile = VERBS.get(verb, "core")
        if verb == "count":
            profile = "counts" if arguments["what"] == "handles" else "signals"
        elif arguments.get("from_thread"):
            profile = "threads"
        elif arguments.get("in_group"):
            profile = "groups"
        elif arguments.get("shared"):
            profile = "share"
        if profile not in self.profiles:
            raise Unsupported("%s is of the profile %s, which is not declared" % (verb, profile))
        method = getattr(self, "do_" + verb.replace("-", "_"), None)
        if method is None:
            raise Unsupported("there is no %s here" % verb)
        if step.get("within_ms") is not None:
            arguments["within"] = step["within_ms"] / 1000
        parameters = inspect.signature(method).parameters
        for name in [name for name in arguments if name not in parameters]:
            if name in self.required_arguments and arguments[name]:
                raise Unsupported(self.required_arguments[name] % verb)
            del arguments[name]
        return method, arguments

    def send_result(self, step, value):
        """Reports the result of a step: a return value, or an exception."""
        ids = {"id": step["id"], "pid": os.getpid()}
        if isinstance(value, Unsupported):
            return self.send(type="unsupported", reason=str(value), **ids)
        if isinstance(value, BaseException):
            value = self.explain(value), {"detail": repr(value)}
        outcome, more = value if isinstance(value, tuple) else (value, {})
        if isinstance(outcome, bool):
            outcome = "yes" if outcome else "no"
        elif isinstance(outcome, int):
            outcome = {"is": "number", "n": outcome}
        elif isinstance(outcome, (bytes, bytearray)):
            outcome = message(outcome)
        if not isinstance(outcome, dict):
            outcome = {"is": outcome or "ok"}
        self.send(type="end", outcome=outcome, **ids, **more)

    def explain(self, error):
        """The outcome for an exception."""
        for kind, text, word in self.errors + self.common:
            if isinstance(error, kind) and text in str(error):
                return {"is": word}
        number = getattr(error, "errno", None)
        return {"is": "os", "name": errno.errorcode.get(number, str(number))} if number else {"is": "other"}

    # Commands under the names that most Python libraries use. An adapter of another library overrides them.

    def do_kill(self, child):
        self.children[child].kill()

    def do_terminate(self, child):
        self.children[child].terminate()

    def do_drop_handle(self, handle):
        for name in (handle, handle + ".r", handle + ".w"):
            self.handles.pop(name, None)
        gc.collect()

    def do_enter(self, handles):
        scope = self.scopes[frozenset(handles)] = contextlib.ExitStack()
        for name in handles:
            scope.enter_context(self.handle(name))

    def do_leave(self, handles, raising=False):
        failure = (Raised, Raised(), None) if raising else (None, None, None)
        self.scopes.pop(frozenset(handles)).__exit__(*failure)
        return "raised" if raising else "ok"

    # Commands that bypass the library.

    def pid(self, child):
        return (self.foreign_programs.get(child) or self.children[child]).pid

    def do_count(self, what):
        return self.live() if what == "handles" else self.trapped

    def do_stall(self, child):
        if child in self.foreign_programs:
            self.foreign_programs[child].stdin.close()
        os_actions.stall(self.pid(child))

    def do_reap(self, child):
        if child not in self.foreign_programs:
            return os_actions.reap(self.pid(child))
        program = self.foreign_programs.pop(child)
        program.stdin.close()
        return ended(program.wait())

    def do_exec(self, ghost):
        self.foreign_programs[ghost] = os_actions.start_foreign_program()

    def do_close_descriptor(self, handle):
        os.close(self.descriptor(handle))

    def do_cut(self, handle, payload, at):
        data = content(payload)
        header = self.header(len(data))
        position = os_actions.cut_position(at, len(header), len(header + data))
        self.rests[handle] = (header + data)[position:]
        os.write(self.descriptor(handle), (header + data)[:position])

    def do_rest(self, handle):
        os.write(self.descriptor(handle), self.rests.pop(handle))

    def do_announce(self, handle, size):
        os.write(self.descriptor(handle), self.header(size))

    def do_ignore(self, signal):
        os_actions.ignore(signal)

    def do_block(self, signal):
        os_actions.block(signal)

    def do_signal(self, child, signal):
        os.kill(self.pid(child), os_actions.signal_number(signal))

    def do_signal_group(self, child, signal):
        os.killpg(self.pid(child), os_actions.signal_number(signal))

    def do_limit(self, free=None):
        os_actions.limit(free)

    def on_trapped(self, *_):
        self.trapped += 1
