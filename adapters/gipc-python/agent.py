"""The agent of gipc, which runs in every process of a scenario.

It uses the library as the documentation shows and works around nothing. The protocol client consists of greenlets on
gevent's loop, so an answered ping proves that the loop is running. The agent works with all releases, from 0.1.0 on
Python 2.7 to the newest; an operation that a release lacks is unsupported.
"""

import encodings.hex_codec  # noqa: F401, loaded early: later there may be no descriptor left to load it
import fcntl
import gc
import json
import os
import signal
import sys
import threading

import gevent
import gevent.event
import gevent.lock
import gevent.queue
import gevent.socket
import gipc
import gipc.gipc

import os_actions
from protocol import CODECS, Malformed, Raised, Unsupported, content, ended, explain, message, signal_number

PROTOCOL = 2
SESSION_NUMBER = 500
# Before 0.4.0 all messages are pickled; from then on those of a pipe without a codec of its own.
PICKLED = "encoder" not in gipc.pipe.__code__.co_varnames or os.environ.get("ADAPTER_CODEC") == "default"
PROFILES = ["core", "tasks", "process", "frames", "signals", "limits", "scope", "counts", "oddities", "drop-handle", "threads"]
PROFILES += [] if PICKLED else ["codec"]
HAS_DUPLEX = "duplex" in gipc.pipe.__code__.co_varnames
all_handles = getattr(gipc.gipc, "_get_all_handles", None) or gipc.gipc.get_all_handles
watch_signal = getattr(gevent, "signal_handler", None) or gevent.signal

# The descriptor of the session with the harness. A forked child inherits it from its parent and closes it.
session_fd = None


class Cancelled(gevent.GreenletExit):
    """Thrown into a step that the harness cancels; gevent does not report it as an error."""


class Agent(object):
    """One process of a scenario: its handles, its children, and its session with the harness."""

    def __init__(self, role, handles):
        self.role = role
        self.handles = {}
        self.children = {}
        self.queues = {}
        self.steps = {}
        self.foreign_programs = {}
        self.pairs = []
        self.typed = set()
        self.trapped = 0
        self.rests = {}
        self.finished = gevent.event.AsyncResult()
        self.send_lock = gevent.lock.RLock()
        for name, handle in handles:
            self.add_handle(name, handle)

    # The session.

    def serve(self):
        """Executes steps until the script of this process is done; returns the exit code, or None for a return."""
        global session_fd
        self.socket = gevent.socket.socket(gevent.socket.AF_UNIX, gevent.socket.SOCK_STREAM)
        self.socket.connect(os.environ["GIPC_HARNESS_SOCKET"])
        if os.environ.get("ADAPTER_METHOD") == "forkserver":
            self.move_session()
        session_fd = self.socket.fileno()
        self.send(
            type="hello",
            protocol=PROTOCOL,
            token=os.environ["GIPC_HARNESS_TOKEN"],
            role=self.role,
            pid=os.getpid(),
            implementation={"name": "gipc", "version": gipc.__version__},
            profiles=PROFILES,
            control="loop",
        )
        gevent.spawn(self.receive)
        return self.finished.get()

    def move_session(self):
        """Gives the session a high descriptor number. With forkserver a child's handles have the numbers that they had
        in its parent, and what is written to them goes to any file of the child."""
        moved = fcntl.fcntl(self.socket.fileno(), fcntl.F_DUPFD_CLOEXEC, SESSION_NUMBER)
        socket = gevent.socket.socket(gevent.socket.AF_UNIX, gevent.socket.SOCK_STREAM, fileno=moved)
        self.socket.close()
        self.socket = socket

    def send(self, **fields):
        with self.send_lock:
            self.socket.sendall(json.dumps(fields).encode("utf-8") + b"\n")

    def receive(self):
        partial_line = b""
        while True:
            data = self.socket.recv(65536)
            if not data:
                os._exit(1)  # the harness is gone
            lines = (partial_line + data).split(b"\n")
            partial_line = lines.pop()
            for line in lines:
                self.on_message(json.loads(line.decode("utf-8")))

    def on_message(self, fields):
        kind = fields["type"]
        if kind == "step":
            task = fields.get("task")
            if task not in self.queues:
                self.queues[task] = gevent.queue.Queue()
                gevent.spawn(self.run_task, task)
            self.queues[task].put(fields)
        elif kind == "ping":
            self.send(type="pong", n=fields["n"])
        elif kind == "finish":
            self.send(type="left", handles=len(all_handles()))
            self.finished.set(None)
        elif kind == "reject":
            os._exit(1)
        elif kind != "welcome":
            self.send(type="fault", reason="unknown message %s" % kind)

    def run_task(self, task):
        """Executes the steps of one task in order, each in a greenlet of its own, so that it can be cancelled."""
        for step in self.queues[task]:
            self.send(type="begin", id=step["id"], pid=os.getpid())
            greenlet = self.steps[task] = gevent.Greenlet(self.attempt, step["do"], step.get("within_ms"))
            greenlet.start()
            greenlet.join()
            answer = {"outcome": {"is": "cancelled"}} if isinstance(greenlet.value, Cancelled) else greenlet.value
            kind = "unsupported" if "reason" in answer else "end"
            self.send(type=kind, id=step["id"], pid=os.getpid(), **answer)

    def attempt(self, command, within_ms):
        """Executes one command; every exception becomes an answer."""
        try:
            outcome, extra = self.execute(command, within_ms)
            return dict(extra, outcome=outcome)
        except Unsupported as error:
            return {"reason": str(error)}
        except Exception as error:
            return {"outcome": explain(error), "detail": repr(error)}

    # The commands.

    def execute(self, command, within_ms):
        method = getattr(self, "do_" + command["verb"].replace("-", "_"), None)
        if method is None:
            raise Unsupported("unknown verb %s" % command["verb"])
        arguments = {name: value for name, value in command.items() if name != "verb"}
        if within_ms is None:
            answer = method(**arguments)
        else:
            limit = gevent.Timeout(within_ms / 1000.0)
            limit.start()
            try:
                answer = method(limit=limit, **arguments) if command["verb"] == "get" else method(**arguments)
            except gevent.Timeout as fired:
                if fired is not limit:
                    raise
                answer = {"is": "running" if command["verb"] == "join" else "timeout"}
            finally:
                limit.cancel()
        return answer if isinstance(answer, tuple) else (answer or {"is": "ok"}, {})

    def add_handle(self, name, handle):
        self.handles[name] = handle
        if hasattr(handle, "_writer"):
            self.handles[name + ".r"] = handle._reader
            self.handles[name + ".w"] = handle._writer

    def made(self, *names):
        """The answer of pipe and duplex."""
        return {"is": "ok"}, {"descriptors": {name: self.handles[name]._fd for name in names}}

    def handle(self, name):
        if name not in self.handles:
            raise gipc.GIPCClosed("this process never had %s" % name)
        return self.handles[name]

    def descriptor(self, name):
        """The descriptor of an open handle. A closed one is refused: its descriptor may belong to another file now."""
        handle = self.handle(name)
        handle._validate()
        return handle._fd

    def do_pipe(self, reader, writer, codec=None):
        if PICKLED and codec is not None:
            raise Unsupported("messages are pickled here")
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
        self.add_handle(near, pair[0])
        self.add_handle(far, pair[1])
        return self.made(near + ".r", near + ".w", far + ".r", far + ".w")

    def do_spawn(self, child, handles, listed=(), from_thread=False):
        given = tuple(self.handle(name) for name in handles)
        in_list = [(name, self.handle(name)) for name in listed]
        args = (child, handles, self.typed, in_list) + given
        process = in_thread(gipc.start_process, play, args) if from_thread else gipc.start_process(play, args)
        self.children[child] = process
        return {"is": "ok"}

    def do_put(self, handle, payload):
        if handle in self.typed:
            self.handle(handle).put(payload["text"])
        else:
            self.handle(handle).put(content(payload))

    def do_get(self, handle, limit=None):
        try:
            received = self.handle(handle).get(timeout=limit)
        except (gipc.GIPCClosed, gipc.GIPCLocked):
            raise
        except gipc.GIPCError as error:
            self.handle(handle)._validate()  # raises what is wrong with the handle itself
            raise Malformed(str(error))  # what is in the pipe is not a message
        return message(received.encode("utf-8") if handle in self.typed else received)

    def do_get_within(self, handle, limit):
        return message(self.handle(handle).get(timeout=limit))

    def do_drop_handle(self, handle):
        dropped = self.handles[handle]
        self.pairs = [pair for pair in self.pairs if dropped not in pair]
        del dropped
        for name in (handle, handle + ".r", handle + ".w"):
            self.handles.pop(name, None)
        gc.collect()

    def do_close_descriptor(self, handle):
        os.close(self.descriptor(handle))

    def do_close(self, handle):
        self.handle(handle).close()

    def do_join(self, child):
        if child not in self.children:
            raise TypeError("its start has given back no process object")
        self.children[child].join()
        return ended(self.children[child].exitcode)

    def do_kill(self, child):
        process = self.children[child]
        if hasattr(process, "kill"):  # multiprocessing's own, since Python 3.7
            process.kill()
        elif process.exitcode is None:  # while the child exists, this has the same effect
            os.kill(process.pid, signal.SIGKILL)
        else:  # the effect of a kill after the end is up to the library, and this release has no kill
            raise Unsupported("no kill before Python 3.7")

    def do_terminate(self, child):
        self.children[child].terminate()

    def do_alive(self, child):
        return {"is": "yes" if self.children[child].is_alive() else "no"}

    def do_code(self, child):
        return ended(self.children[child].exitcode)

    def do_raise(self):
        self.finished.set_exception(Raised())
        gevent.sleep(60 * 60)  # the process ends long before this returns

    def do_count(self, what):
        if what == "handles":
            return {"is": "number", "n": len(all_handles())}
        gevent.sleep(0)  # a signal that arrived before this command is handled in this turn of the loop or the next
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
        """The context managers to enter: the two ends of one pipe or duplex form a single one."""
        given = [self.handle(name) for name in handles]
        pair = next((pair for pair in self.pairs if len(given) == 2 and all(h in pair for h in given)), None)
        return [pair] if pair is not None else given

    def do_pass(self, handle, passed):
        self.handle(handle).put(self.handle(passed))

    # Commands that bypass the library.

    def pid(self, child):
        return (self.foreign_programs.get(child) or self.children[child]).pid

    def do_stall(self, child):
        if child in self.foreign_programs:
            self.foreign_programs[child].stdin.close()
        os_actions.stall(self.pid(child))

    def do_reaped(self, child):
        os_actions.await_reaped(self.pid(child))

    def do_reap(self, child):
        if child in self.foreign_programs:
            program = self.foreign_programs.pop(child)
            program.stdin.close()
            return ended(program.wait())
        return os_actions.reap(self.pid(child))

    def do_exec(self, ghost):
        self.foreign_programs[ghost] = os_actions.start_foreign_program()

    def do_cut(self, handle, payload, at):
        frame = os_actions.frame(content(payload), PICKLED)
        position = os_actions.cut_position(at, len(frame))
        self.rests[handle] = frame[position:]
        os.write(self.descriptor(handle), frame[:position])

    def do_rest(self, handle):
        os.write(self.descriptor(handle), self.rests.pop(handle))

    def do_announce(self, handle, size):
        os.write(self.descriptor(handle), os_actions.header(size))

    def do_trap(self, signal):
        watch_signal(signal_number(signal), self.on_trapped)

    def on_trapped(self):
        self.trapped += 1

    def do_ignore(self, signal):
        os_actions.ignore(signal)

    def do_block(self, signal):
        os_actions.block(signal)

    def do_signal(self, child, signal):
        os.kill(self.pid(child), signal_number(signal))

    def do_limit(self, free=None):
        os_actions.limit(free)

    def do_exit(self, code):
        self.finished.set(code)
        gevent.sleep(60 * 60)  # the process ends long before this returns

    def do_cancel(self, task):
        self.steps[task].kill(Cancelled)

    def do_pause(self, ms):
        gevent.sleep(ms / 1000.0)


def in_thread(function, *args):
    """Calls a function in a new thread of the system, in which no loop runs; returns or raises what it does."""
    results = []

    def call():
        try:
            results.append((function(*args), None))
        except Exception as error:
            results.append((None, error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    result, error = results[0]
    if error is not None:
        raise error
    return result


def play(role, names, typed, in_list, *handles):
    """Runs one process of a scenario: the entry of main and of every child."""
    if session_fd is not None:
        os.close(session_fd)  # that of the parent, inherited by fork
    os_actions.show_crashes()
    agent = Agent(role, list(zip(names, handles)) + in_list)
    agent.typed |= typed
    code = agent.serve()
    if code is not None:
        sys.exit(code)
