"""The agent of gipc: every process of a scenario runs this, talks to the harness, and does what it is told.

The library is used as its documentation shows; nothing here works around it. The conversation is served by greenlets
on gevent's own loop, so an answered ping proves that the loop turns.
"""

import encodings.hex_codec  # noqa: F401, loaded late otherwise, when descriptors may be scarce
import errno
import hashlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys

import gevent
import gevent.event
import gevent.lock
import gevent.queue
import gevent.socket
import gipc

PROTOCOL = 1
NOISE_BLOCK = 65521
PROFILES = ["core", "tasks", "process", "frames", "signals", "limits", "scope", "counts", "codec", "oddities"]

# Of the process this one was forked from; to be closed in the child.
control = None


class Cancelled(gevent.GreenletExit):
    """Thrown into a step that the harness cancels; gevent takes it for a quiet end."""


class Unsupported(Exception):
    """gipc has no such thing."""


class Unencodable(Exception):
    """The value has no bytes."""


class Undecodable(Exception):
    """The bytes are no value."""


class Raised(Exception):
    """The scenario says that this entry, or the body of a scope, fails."""


def failing_encoder(data):
    if data == "unencodable":
        raise Unencodable
    return data.encode()


def failing_decoder(data):
    if data == b"undecodable":
        raise Undecodable
    return data.decode()


# How values become bytes. Without a codec bytes go as they are: pickling would only add its own.
CODECS = {
    None: (None, None),
    "json": (lambda value: json.dumps(value).encode(), lambda data: json.loads(data.decode())),
    "failing": (failing_encoder, failing_decoder),
}


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
        self.ghosts = {}
        self.pairs = []
        self.typed = set()
        self.trapped = 0
        self.rests = {}
        self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
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
            profiles=PROFILES,
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
            self.say(type="left", handles=len(gipc.gipc._get_all_handles()))
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

    def descriptor(self, name):
        """Of a handle that is open: what is done by hand must not end in a number of nobody's, or of somebody else's."""
        handle = self.handle(name)
        handle._validate()
        return handle._fd

    def do_pipe(self, reader, writer, codec=None):
        encoder, decoder = CODECS[codec]
        pair = gipc.pipe(encoder=encoder, decoder=decoder)
        self.pairs.append(pair)
        self.handles[reader], self.handles[writer] = pair
        if codec is not None:
            self.typed |= {reader, writer}
        return self.made(reader, writer)

    def do_duplex(self, near, far):
        pair = gipc.pipe(duplex=True, encoder=None, decoder=None)
        self.pairs.append(pair)
        one, other = pair
        self.keep(near, one)
        self.keep(far, other)
        return self.made(near + ".r", near + ".w", far + ".r", far + ".w")

    def do_spawn(self, child, handles, listed=()):
        given = tuple(self.handle(name) for name in handles)
        inside = [(name, self.handle(name)) for name in listed]
        process = gipc.start_process(play, args=(child, handles, self.typed, inside) + given)
        self.children[child] = process
        return {"is": "ok"}, {"child": process.pid}

    def do_put(self, handle, payload):
        if handle in self.typed:
            self.handle(handle).put(payload["text"])
        else:
            self.handle(handle).put(content(payload))

    def do_get(self, handle, limit=None):
        got = self.handle(handle).get(timeout=limit)
        return message(got.encode() if handle in self.typed else got)

    def do_close(self, handle):
        self.handle(handle).close()

    def do_join(self, child):
        self.children[child].join()
        return ended(self.children[child].exitcode)

    def do_kill(self, child):
        self.children[child].kill()

    def do_terminate(self, child):
        self.children[child].terminate()

    def do_alive(self, child):
        return {"is": "yes" if self.children[child].is_alive() else "no"}

    def do_code(self, child):
        return ended(self.children[child].exitcode)

    def do_raise(self):
        self.over.set_exception(Raised())
        gevent.sleep(60 * 60)  # there is no end: the process is gone before

    def do_count(self, what):
        if what == "handles":
            return {"is": "number", "n": len(gipc.gipc._get_all_handles())}
        gevent.sleep(0)  # a signal that came before this was asked is handled in this turn of the loop, or the next
        gevent.sleep(0)
        return {"is": "number", "n": self.trapped}

    def do_enter(self, handles):
        for handle in self.scope(handles):
            handle.__enter__()

    def do_leave(self, handles, raising=False):
        for handle in reversed(self.scope(handles)):
            failure = (Raised, Raised(), None) if raising else (None, None, None)
            handle.__exit__(*failure)
        if raising:
            return {"is": "raised"}

    def scope(self, handles):
        """A pair that was made together is one scope."""
        given = [self.handle(name) for name in handles]
        pair = next((pair for pair in self.pairs if len(given) == 2 and all(h in pair for h in given)), None)
        return [pair] if pair is not None else given

    def do_pass(self, handle, passed):
        self.handle(handle).put(self.handle(passed))

    # What is done without the library.

    def pid(self, child):
        return self.ghosts[child].pid if child in self.ghosts else self.children[child].pid

    def do_stall(self, child):
        try:
            os.waitid(os.P_PID, self.pid(child), os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            pass  # it ended before, and somebody has reaped it since

    def do_reaped(self, child):
        while True:
            try:
                os.kill(self.pid(child), 0)
            except ProcessLookupError:
                return
            gevent.sleep(0.001)

    def do_reap(self, child):
        if child in self.ghosts:
            ghost = self.ghosts.pop(child)
            ghost.stdin.close()
            return ended(ghost.wait())
        _, status = os.waitpid(self.pid(child), 0)
        return ended(os.waitstatus_to_exitcode(status))

    def do_exec(self, ghost):
        self.ghosts[ghost] = subprocess.Popen(["sh", "-c", "read x; exit 7"], stdin=subprocess.PIPE)

    def do_cut(self, handle, payload, at):
        data = content(payload)
        frame = struct.pack("!i", len(data)) + data
        (mark, count), = at.items()
        place = {"bytes": count, "header": 4 + count, "end": len(frame) - count}[mark]
        self.rests[handle] = frame[place:]
        os.write(self.descriptor(handle), frame[:place])

    def do_rest(self, handle):
        os.write(self.descriptor(handle), self.rests.pop(handle))

    def do_announce(self, handle, size):
        os.write(self.descriptor(handle), struct.pack("!I", min(size, 2**32 - 1)))

    def do_trap(self, signal):
        gevent.signal_handler(number(signal), self.caught)

    def caught(self):
        self.trapped += 1

    def do_ignore(self, signal):
        set_handler(number(signal), IGNORE)

    def do_block(self, signal):
        block(number(signal))

    def do_signal(self, child, signal):
        os.kill(self.pid(child), number(signal))

    def do_limit(self, free=None):
        soft, hard = self.limits
        if free is not None:
            # By its name alone, since a listing of all would hold one of them itself.
            soft = [fd for fd in range(min(soft, 4096)) if not os.path.lexists("/dev/fd/%d" % fd)][free]
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def do_exit(self, code):
        self.over.set(code)
        gevent.sleep(60 * 60)  # there is no end: the process is gone before

    def do_cancel(self, task):
        self.steps[task].kill(Cancelled)

    def do_pause(self, ms):
        gevent.sleep(ms / 1000)


def number(name):
    return getattr(signal, name)


IGNORE = signal.SIG_IGN
set_handler = signal.signal


def block(which):
    signal.pthread_sigmask(signal.SIG_BLOCK, [which])


def content(payload):
    return payload["text"].encode() if "text" in payload else noise(payload["seed"], payload["len"])


def ended(code):
    """How a process ended, from an exit code as Python has it."""
    if code is None:
        return {"is": "running"}
    if code < 0:
        return {"is": "signal", "name": signal.Signals(-code).name}
    return {"is": "exit", "code": code}


def explain(error):
    """A Python exception in the words of the protocol."""
    if isinstance(error, Unencodable):
        return {"is": "encode"}
    if isinstance(error, Undecodable):
        return {"is": "decode"}
    if isinstance(error, TypeError):
        return {"is": "misuse"}
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


def play(role, names, typed, inside, *handles):
    """The entry of every process."""
    if control is not None:
        os.close(control)  # the parent's, which came along with the fork
    agent = Agent(role, list(zip(names, handles)) + inside)
    agent.typed |= typed
    code = agent.serve()
    if code is not None:
        sys.exit(code)


if __name__ == "__main__":
    play(sys.argv[1], [], set(), [])
