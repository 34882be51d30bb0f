"""One process of a scenario: its handles, its children, and its talk with the harness, for every Python library.

`gipc_agent` says how it is used. Here nothing is decided about who waits for what: that is `Threads` and `Loop`.
"""

import contextlib
import errno
import inspect
import json
import os
import socket
import threading

import by_hand
from by_hand import content, ended, message  # noqa: F401, some of it for adapters

# The verbs that a profile beyond core asks; `count` and what `pipe` and `spawn` may carry are looked at below.
VERBS = {
    "cancel": "tasks", "pause": "tasks", "terminate": "process", "alive": "process", "code": "process",
    "stall": "process", "reaped": "process", "reap": "process", "raise": "process", "exec": "process",
    "cut": "frames", "rest": "frames", "announce": "frames", "trap": "signals", "ignore": "signals",
    "block": "signals", "signal": "signals", "limit": "limits", "enter": "scope", "leave": "scope", "pass": "oddities",
}
# The socket of the process that this one was forked from, if it was.
inherited = None


class Unsupported(Exception):
    """The library has no such thing."""


class Closed(Exception):
    """This process has no such handle."""


class Raised(Exception):
    """The scenario says that this entry, or the body of a scope, fails."""


class Agent:
    """One process: its handles, its children, and its talk with the harness."""

    name, version, profiles, control = "", "", ["core"], ""
    # Words of an order that change what it asks, so that none may be dropped by a method that does not take it.
    meant = {
        "within": "%s takes no time limit", "codec": "%s takes no codec", "raising": "%s takes no error",
        "listed": "%s can give nothing that is hidden in another argument",
    }
    # The library's errors: class, a part of its text, and the outcome. The first that fits.
    errors = []
    common = [
        (Closed, "", "closed"), (Raised, "", "raised"), (BrokenPipeError, "", "broken"),
        (EOFError, "", "eof"), (TypeError, "", "misuse"),
    ]

    def __init__(self, role, handles=()):
        self.role = role
        self.handles = dict(handles)
        self.children, self.ghosts, self.rests, self.scopes = {}, {}, {}, {}
        self.trapped = 0
        self.speaking, self.heard = threading.Lock(), b""

    # What an adapter may use.

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
        """The answer of spawn."""
        self.children[child] = process
        return {"is": "ok"}, {"child": process.pid}

    def live(self):
        """How many live handles the library counts in this process; asked only with the profile counts."""
        raise Unsupported("it cannot count its handles")

    def header(self, size):
        """What stands before a message of this size."""
        return min(size, 2**32 - 1).to_bytes(4, "big")

    # The conversation.

    def dial(self):
        global inherited
        if inherited is not None:
            inherited.close()
        self.socket = inherited = socket.socket(socket.AF_UNIX)
        self.socket.connect(os.environ["GIPC_HARNESS_SOCKET"])
        self.say(
            type="hello", protocol=1, token=os.environ["GIPC_HARNESS_TOKEN"], role=self.role, pid=os.getpid(),
            implementation={"name": self.name, "version": self.version}, profiles=self.profiles, control=self.control,
        )

    def say(self, **words):
        with self.speaking:
            self.socket.sendall(json.dumps(words).encode() + b"\n")

    def pong(self, n):
        self.say(type="pong", n=n)

    def receive(self):
        """Takes in what has come; waits if nothing has."""
        data = self.socket.recv(65536)
        if not data:
            os._exit(1)  # the harness is gone: nobody needs this process
        *lines, self.heard = (self.heard + data).split(b"\n")
        for words in map(json.loads, lines):
            if words["type"] == "step":
                self.lane(words.get("task")).put_nowait(words)
            elif words["type"] == "ping":
                self.pong(words["n"])
            elif words["type"] == "finish":
                if "counts" in self.profiles:
                    self.say(type="left", handles=self.live())
                self.finish()
            elif words["type"] == "reject":
                os._exit(1)
            elif words["type"] != "welcome":
                self.say(type="fault", reason="unknown message %s" % words["type"])

    def order(self, words):
        """The method of a step, and what it is called with."""
        order = dict(words["do"])
        verb = order.pop("verb")
        profile = VERBS.get(verb, "core")
        if verb == "count":
            profile = "counts" if order["what"] == "handles" else "signals"
        if profile not in self.profiles:
            raise Unsupported("%s is of the profile %s, which is not here" % (verb, profile))
        method = getattr(self, "do_" + verb, None)
        if method is None:
            raise Unsupported("there is no %s here" % verb)
        if words.get("within_ms") is not None:
            order["within"] = words["within_ms"] / 1000
        takes = inspect.signature(method).parameters
        for word in [word for word in order if word not in takes]:
            if word in self.meant and order[word]:
                raise Unsupported(self.meant[word] % verb)
            del order[word]
        return method, order

    def tell(self, words, value):
        """Says what came of a step: a value, or an error."""
        step = {"id": words["id"], "pid": os.getpid()}
        if isinstance(value, Unsupported):
            return self.say(type="unsupported", reason=str(value), **step)
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
        self.say(type="end", outcome=outcome, **step, **more)

    def explain(self, error):
        for kind, text, word in self.errors + self.common:
            if isinstance(error, kind) and text in str(error):
                return {"is": word}
        number = getattr(error, "errno", None)
        return {"is": "os", "name": errno.errorcode.get(number, str(number))} if number else {"is": "other"}

    # What a library in Python mostly calls so; an adapter whose library does not has methods of its own.

    def do_kill(self, child):
        self.children[child].kill()

    def do_terminate(self, child):
        self.children[child].terminate()

    def do_enter(self, handles):
        scope = self.scopes[frozenset(handles)] = contextlib.ExitStack()
        for name in handles:
            scope.enter_context(self.handle(name))

    def do_leave(self, handles, raising=False):
        failure = (Raised, Raised(), None) if raising else (None, None, None)
        self.scopes.pop(frozenset(handles)).__exit__(*failure)
        return "raised" if raising else "ok"

    # What is done without the library.

    def pid(self, child):
        return (self.ghosts.get(child) or self.children[child]).pid

    def do_count(self, what):
        return self.live() if what == "handles" else self.trapped

    def do_stall(self, child):
        if child in self.ghosts:
            self.ghosts[child].stdin.close()
        by_hand.stall(self.pid(child))

    def do_reap(self, child):
        if child not in self.ghosts:
            return by_hand.reap(self.pid(child))
        ghost = self.ghosts.pop(child)
        ghost.stdin.close()
        return ended(ghost.wait())

    def do_exec(self, ghost):
        self.ghosts[ghost] = by_hand.ghost()

    def do_cut(self, handle, payload, at):
        data = content(payload)
        header = self.header(len(data))
        place = by_hand.place(at, len(header), len(header + data))
        self.rests[handle] = (header + data)[place:]
        os.write(self.descriptor(handle), (header + data)[:place])

    def do_rest(self, handle):
        os.write(self.descriptor(handle), self.rests.pop(handle))

    def do_announce(self, handle, size):
        os.write(self.descriptor(handle), self.header(size))

    def do_ignore(self, signal):
        by_hand.ignore(signal)

    def do_block(self, signal):
        by_hand.block(signal)

    def do_signal(self, child, signal):
        os.kill(self.pid(child), by_hand.number(signal))

    def do_limit(self, free=None):
        by_hand.limit(free)

    def caught(self, *_):
        self.trapped += 1
