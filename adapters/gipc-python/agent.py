"""The agent of gipc: every process of a scenario runs this, talks to the harness, and does what it is told.

The library is used as its documentation shows; nothing here works around it. The conversation is served by greenlets
on gevent's own loop, so an answered ping proves that the loop turns.
"""

import errno
import hashlib
import json
import os
import signal
import struct
import sys

import gevent
import gevent.event
import gevent.lock
import gevent.queue
import gevent.socket
import gipc

PROTOCOL = 1
NOISE_BLOCK = 65521

# Of the process this one was forked from; to be closed in the child.
control = None


class Cancelled(gevent.GreenletExit):
    """Thrown into a step that the harness cancels; gevent takes it for a quiet end."""


class Unsupported(Exception):
    """gipc has no such thing."""


def noise(seed, length):
    """So many bytes that tell their seed: SHA-256 digests, cut to a block, and the block repeated."""
    wanted = min(length, NOISE_BLOCK)
    digests = (hashlib.sha256(b"%s:%d" % (seed.encode(), n)).digest() for n in range(wanted // 32 + 1))
    block = b"".join(digests)[:wanted]
    return (block * (length // NOISE_BLOCK + 1))[:length]


def message(data):
    """What to say of a message that was got."""
    said = {"is": "message", "len": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if len(data) <= 64:
        try:
            said["text"] = data.decode()
        except UnicodeDecodeError:
            pass
    return said


class Agent:
    """One process: its handles, its children, and its talk with the harness."""

    def __init__(self, role, handles):
        self.role = role
        self.handles = {}
        self.children = {}
        self.lanes = {}
        self.steps = {}
        self.over = gevent.event.AsyncResult()
        self.speaking = gevent.lock.RLock()
        for name, handle in handles:
            self.keep(name, handle)

    # The conversation.

    def serve(self):
        """Talks until the script of this process is done; returns its exit code, or None for a plain return."""
        global control
        self.socket = gevent.socket.socket(gevent.socket.AF_UNIX, gevent.socket.SOCK_STREAM)
        self.socket.connect(os.environ["GIPC_HARNESS_SOCKET"])
        control = self.socket.fileno()
        self.say(
            type="hello",
            protocol=PROTOCOL,
            token=os.environ["GIPC_HARNESS_TOKEN"],
            role=self.role,
            pid=os.getpid(),
            implementation={"name": "gipc", "version": gipc.__version__},
            profiles=["core", "tasks"],
            control="loop",
        )
        gevent.spawn(self.listen)
        return self.over.get()

    def say(self, **words):
        with self.speaking:
            self.socket.sendall(json.dumps(words).encode() + b"\n")

    def listen(self):
        rest = b""
        while True:
            data = self.socket.recv(65536)
            if not data:
                os._exit(1)  # the harness is gone: nobody needs this process
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self.hear(json.loads(line))

    def hear(self, words):
        kind = words["type"]
        if kind == "step":
            lane = words.get("task")
            if lane not in self.lanes:
                self.lanes[lane] = gevent.queue.Queue()
                gevent.spawn(self.perform_all, lane)
            self.lanes[lane].put(words)
        elif kind == "ping":
            self.say(type="pong", n=words["n"])
        elif kind == "finish":
            self.over.set(None)
        elif kind == "reject":
            os._exit(1)
        elif kind != "welcome":
            self.say(type="fault", reason="unknown message %s" % kind)

    def perform_all(self, lane):
        """The steps of one task, one by one, each in a greenlet of its own so that it can be cancelled."""
        for words in self.lanes[lane]:
            self.say(type="begin", id=words["id"], pid=os.getpid())
            step = self.steps[lane] = gevent.Greenlet(self.attempt, words["do"], words.get("within_ms"))
            step.start()
            step.join()
            answer = {"outcome": {"is": "cancelled"}} if isinstance(step.value, Cancelled) else step.value
            kind = "unsupported" if "reason" in answer else "end"
            self.say(type=kind, id=words["id"], pid=os.getpid(), **answer)

    def attempt(self, order, within_ms):
        """Does one order; every error becomes an answer."""
        try:
            outcome, extra = self.perform(order, within_ms)
            return dict(extra, outcome=outcome)
        except Unsupported as error:
            return {"reason": str(error)}
        except Exception as error:
            return {"outcome": explain(error), "detail": repr(error)}

    # The orders.

    def perform(self, order, within_ms):
        verb = getattr(self, "do_" + order["verb"].replace("-", "_"), None)
        if verb is None:
            raise Unsupported("unknown verb %s" % order["verb"])
        words = {name: value for name, value in order.items() if name != "verb"}
        if within_ms is None:
            answer = verb(**words)
        else:
            limit = gevent.Timeout(within_ms / 1000)
            limit.start()
            try:
                answer = verb(limit=limit, **words) if order["verb"] == "get" else verb(**words)
            except gevent.Timeout as fired:
                if fired is not limit:
                    raise
                answer = {"is": "running" if order["verb"] == "join" else "timeout"}
            finally:
                limit.cancel()
        return answer if isinstance(answer, tuple) else (answer or {"is": "ok"}, {})

    def keep(self, name, handle):
        self.handles[name] = handle
        if hasattr(handle, "_writer"):
            self.handles[name + ".r"] = handle._reader
            self.handles[name + ".w"] = handle._writer

    def made(self, *names):
        return {"is": "ok"}, {"descriptors": {name: self.handles[name]._fd for name in names}}

    def handle(self, name):
        if name not in self.handles:
            raise gipc.GIPCClosed("this process never had %s" % name)
        return self.handles[name]

    def do_pipe(self, reader, writer):
        # Bytes as they are: the harness compares bytes, and pickling would only add its own.
        self.handles[reader], self.handles[writer] = gipc.pipe(encoder=None, decoder=None)
        return self.made(reader, writer)

    def do_duplex(self, near, far):
        one, other = gipc.pipe(duplex=True, encoder=None, decoder=None)
        self.keep(near, one)
        self.keep(far, other)
        return self.made(near + ".r", near + ".w", far + ".r", far + ".w")

    def do_spawn(self, child, handles):
        given = tuple(self.handle(name) for name in handles)
        process = gipc.start_process(play, args=(child, handles) + given)
        self.children[child] = process
        return {"is": "ok"}, {"child": process.pid}

    def do_put(self, handle, payload):
        data = payload["text"].encode() if "text" in payload else noise(payload["seed"], payload["len"])
        self.handle(handle).put(data)

    def do_get(self, handle, limit=None):
        return message(self.handle(handle).get(timeout=limit))

    def do_close(self, handle):
        self.handle(handle).close()

    def do_join(self, child):
        process = self.children[child]
        process.join()
        if process.exitcode < 0:
            return {"is": "signal", "name": signal.Signals(-process.exitcode).name}
        return {"is": "exit", "code": process.exitcode}

    def do_kill(self, child):
        self.children[child].kill()

    def do_exit(self, code):
        self.over.set(code)
        gevent.sleep(60 * 60)  # there is no end: the process is gone before

    def do_cancel(self, task):
        self.steps[task].kill(Cancelled)

    def do_pause(self, ms):
        gevent.sleep(ms / 1000)


def explain(error):
    """A Python exception in the words of the protocol."""
    if isinstance(error, gipc.GIPCLocked):
        return {"is": "locked"}
    if isinstance(error, gipc.GIPCClosed):
        return {"is": "closed"}
    if isinstance(error, gipc.GIPCError):
        return {"is": "misuse"}
    if isinstance(error, EOFError):
        return {"is": "eof"}
    if isinstance(error, struct.error):
        return {"is": "too-large"}
    if isinstance(error, BrokenPipeError):
        return {"is": "broken"}
    if isinstance(error, OSError) and error.errno is not None:
        return {"is": "os", "name": errno.errorcode.get(error.errno, str(error.errno))}
    if isinstance(error, OSError) and "interrupted by EOF" in str(error):
        return {"is": "truncated"}
    return {"is": "other"}


def play(role, names, *handles):
    """The entry of every process."""
    if control is not None:
        os.close(control)  # the parent's, which came along with the fork
    code = Agent(role, zip(names, handles)).serve()
    if code is not None:
        sys.exit(code)


if __name__ == "__main__":
    play(sys.argv[1], [])
