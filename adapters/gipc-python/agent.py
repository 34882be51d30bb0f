"""The agent of gipc: every process of a scenario runs this, talks to the harness, and does what it is told.

The library is used as its documentation shows; nothing here works around it. The conversation is served by greenlets
on gevent's own loop, so an answered ping proves that the loop turns. One agent for all releases, from 0.1.0 on Python
2.7 to the newest: what a release does not have is unsupported.
"""

import atexit
import encodings.hex_codec  # noqa: F401, loaded late otherwise, when descriptors may be scarce
import json
import os
import signal
import sys


def stop_tracker():
    """Left alone, the resource tracker ends by itself, but a moment after main has."""
    multiprocessing.resource_tracker._resource_tracker._stop()


METHOD = os.environ.get("ADAPTER_METHOD")
if __name__ == "__main__" and METHOD is not None:
    atexit.register(stop_tracker)  # before the import below, so that it comes after the library's own last things

import multiprocessing  # noqa: E402

# gipc looks once, when it is loaded. A child has been told before it comes here.
if METHOD is not None and multiprocessing.get_start_method(allow_none=True) is None:
    multiprocessing.set_start_method(METHOD)

import gevent  # noqa: E402
import gevent.event  # noqa: E402
import gevent.lock  # noqa: E402
import gevent.queue  # noqa: E402
import gevent.socket  # noqa: E402
import gipc  # noqa: E402
import gipc.gipc  # noqa: E402

import system  # noqa: E402
from words import CODECS, Raised, Unsupported, content, ended, explain, message, number  # noqa: E402

PROTOCOL = 1
# Before 0.4.0 messages are pickled and nothing else.
PICKLED = "encoder" not in gipc.pipe.__code__.co_varnames
PROFILES = ["core", "tasks", "process", "frames", "signals", "limits", "scope", "counts", "oddities"]
PROFILES += [] if PICKLED else ["codec"]
HAS_DUPLEX = "duplex" in gipc.pipe.__code__.co_varnames
all_handles = getattr(gipc.gipc, "_get_all_handles", None) or gipc.gipc.get_all_handles
watch_signal = getattr(gevent, "signal_handler", None) or gevent.signal

# Of the process this one was forked from; to be closed in the child.
control = None


class Cancelled(gevent.GreenletExit):
    """Thrown into a step that the harness cancels; gevent takes it for a quiet end."""


class Agent(object):
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
            self.socket.sendall(json.dumps(words).encode("utf-8") + b"\n")

    def listen(self):
        rest = b""
        while True:
            data = self.socket.recv(65536)
            if not data:
                os._exit(1)  # the harness is gone: nobody needs this process
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            for line in lines:
                self.hear(json.loads(line.decode("utf-8")))

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
            self.say(type="left", handles=len(all_handles()))
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
            limit = gevent.Timeout(within_ms / 1000.0)
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
        if PICKLED and codec is not None:
            raise Unsupported("no codecs before 0.4.0")
        encoder, decoder = CODECS[codec]
        pair = gipc.pipe() if PICKLED else gipc.pipe(encoder=encoder, decoder=decoder)
        self.pairs.append(pair)
        self.handles[reader], self.handles[writer] = pair
        if codec is not None:
            self.typed |= {reader, writer}
        return self.made(reader, writer)

    def do_duplex(self, near, far):
        if not HAS_DUPLEX:
            raise Unsupported("no duplex before 0.3.0")
        pair = gipc.pipe(duplex=True) if PICKLED else gipc.pipe(duplex=True, encoder=None, decoder=None)
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
        return message(got.encode("utf-8") if handle in self.typed else got)

    def do_close(self, handle):
        self.handle(handle).close()

    def do_join(self, child):
        self.children[child].join()
        return ended(self.children[child].exitcode)

    def do_kill(self, child):
        process = self.children[child]
        if hasattr(process, "kill"):  # multiprocessing's own, since Python 3.7
            process.kill()
        elif process.exitcode is None:  # by hand it comes to the same, for as long as there is a child
            os.kill(process.pid, signal.SIGKILL)
        else:  # what a kill does then is the library's to say, and it has none
            raise Unsupported("no kill before Python 3.7")

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
            return {"is": "number", "n": len(all_handles())}
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
        if child in self.ghosts:
            self.ghosts[child].stdin.close()
        system.stall(self.pid(child))

    def do_reaped(self, child):
        system.reaped(self.pid(child))

    def do_reap(self, child):
        if child in self.ghosts:
            ghost = self.ghosts.pop(child)
            ghost.stdin.close()
            return ended(ghost.wait())
        return system.reap(self.pid(child))

    def do_exec(self, ghost):
        self.ghosts[ghost] = system.ghost()

    def do_cut(self, handle, payload, at):
        frame = system.frame(content(payload), PICKLED)
        place = system.place(at, len(frame))
        self.rests[handle] = frame[place:]
        os.write(self.descriptor(handle), frame[:place])

    def do_rest(self, handle):
        os.write(self.descriptor(handle), self.rests.pop(handle))

    def do_announce(self, handle, size):
        os.write(self.descriptor(handle), system.announcement(size))

    def do_trap(self, signal):
        watch_signal(number(signal), self.caught)

    def caught(self):
        self.trapped += 1

    def do_ignore(self, signal):
        system.ignore(signal)

    def do_block(self, signal):
        system.block(signal)

    def do_signal(self, child, signal):
        os.kill(self.pid(child), number(signal))

    def do_limit(self, free=None):
        system.limit(free)

    def do_exit(self, code):
        self.over.set(code)
        gevent.sleep(60 * 60)  # there is no end: the process is gone before

    def do_cancel(self, task):
        self.steps[task].kill(Cancelled)

    def do_pause(self, ms):
        gevent.sleep(ms / 1000.0)


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
