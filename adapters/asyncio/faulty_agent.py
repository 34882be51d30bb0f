"""The agent of asyncio with deliberate faults, of which the variable GIPC_FAULT chooses one: what an event loop or a fork
can do wrong. `faults.toml` describes each, and `gipc-harness mutants` runs the suite on each. Without a fault the agent is
that of `agent.py`.
"""

import asyncio
import functools
import math
import os
import select
import signal
import sys

import agent
from agent import Agent, PipeEnd, content

FAULTS = {}
REPLACED = ("do_pipe", "do_get", "do_put", "do_spawn", "do_run", "do_join", "execute", "serve")
originals = {name: getattr(Agent, name) for name in REPLACED}


def fault(function):
    """Makes a function that changes `Agent` a fault with the name of the function."""
    FAULTS[function.__name__.replace("_", "-")] = function
    return function


def like(name):
    """Gives a function the signature of the original, by which the kit decides what it passes."""
    return functools.wraps(originals[name])


def end_of(self, handle, half):
    (_, end), = self.ends(handle, half)
    return end


@fault
def get_blocks_the_loop():
    async def do_get(self, handle):
        select.select([end_of(self, handle, "r")], [], [])
        return await originals["do_get"](self, handle)
    Agent.do_get = do_get


@fault
def put_blocks_the_loop():
    async def do_put(self, handle, payload):
        end, data = end_of(self, handle, "w"), content(payload)
        data = self.header(len(data)) + data
        os.set_blocking(end.fileno(), True)
        while data:
            data = data[os.write(end.fileno(), data):]
    Agent.do_put = do_put


@fault
def join_blocks_the_loop():
    async def do_join(self, child):
        if self.children[child].returncode is None:
            os.waitid(os.P_PID, self.children[child].pid, os.WEXITED | os.WNOWAIT)
        return await originals["do_join"](self, child)
    Agent.do_join = do_join


@fault
def put_does_not_drain():
    async def do_put(self, handle, payload):
        data, writer = content(payload), await end_of(self, handle, "w").stream()
        writer.write(self.header(len(data)) + data)
    Agent.do_put = do_put


@fault
def put_is_left_to_a_task():
    async def do_put(self, handle, payload):
        end_of(self, handle, "w")
        self.loop.create_task(originals["do_put"](self, handle, payload))
    Agent.do_put = do_put


@fault
def errors_of_a_put_are_swallowed():
    async def do_put(self, handle, payload):
        try:
            await originals["do_put"](self, handle, payload)
        except OSError:
            pass
    Agent.do_put = do_put


@fault
def exit_drops_what_is_buffered():
    async def do_put(self, handle, payload):
        data, writer = content(payload), await end_of(self, handle, "w").stream()
        self.loop.call_later(0.2, writer.write, self.header(len(data)) + data)

    async def serve(self):
        code = await originals["serve"](self)
        self.handles.clear()
        return code
    Agent.do_put, Agent.serve = do_put, serve


@fault
def close_drops_what_is_buffered():
    async def close(self):
        if self.transport is None:
            self.file.close()
        elif self.mode == "wb":
            self.transport.abort()
        else:
            self.transport.close()
    put_does_not_drain()
    PipeEnd.close = close


@fault
def a_cancelled_get_goes_on():
    async def do_get(self, handle):
        return await asyncio.shield(originals["do_get"](self, handle))
    Agent.do_get = do_get


@fault
def a_get_waits_in_a_thread():
    def read(descriptor, size):
        data = b""
        while len(data) < size:
            part = os.read(descriptor, size - len(data))
            if not part:
                return data
            data += part
        return data

    def get(descriptor):
        header = read(descriptor, 4)
        if not header:
            return "eof"
        return read(descriptor, int.from_bytes(header, "big"))

    async def do_get(self, handle):
        descriptor = end_of(self, handle, "r").fileno()
        os.set_blocking(descriptor, True)
        return await self.loop.run_in_executor(None, get, descriptor)
    Agent.do_get = do_get


@fault
def a_cancelled_get_keeps_the_lock():
    locks = {}

    async def do_get(self, handle):
        lock = locks.setdefault(handle, asyncio.Lock())
        await lock.acquire()
        result = await originals["do_get"](self, handle)
        lock.release()
        return result
    Agent.do_get = do_get


@fault
def limits_are_whole_seconds():
    async def execute(self, step):
        if step.get("within_ms") is not None:
            step["within_ms"] = math.ceil(step["within_ms"] / 1000) * 1000
        return await originals["execute"](self, step)
    Agent.execute = execute


@fault
def a_limit_cancels_nothing():
    async def execute(self, step):
        within = step.pop("within_ms", None)
        running = asyncio.ensure_future(originals["execute"](self, step))
        done, _ = await asyncio.wait([running], timeout=within and within / 1000)
        if done:
            return running.result()
        return "running" if step["do"]["verb"] == "join" else "timeout"
    Agent.execute = execute


@fault
def the_end_is_an_error():
    async def do_get(self, handle):
        result = await originals["do_get"](self, handle)
        if result == "eof":
            raise asyncio.IncompleteReadError(b"", 4)
        return result
    Agent.do_get = do_get


@fault
def children_inherit_all():
    create = asyncio.create_subprocess_exec

    async def create_subprocess_exec(*command, pass_fds):
        for descriptor in range(3, 200):
            try:
                if os.readlink("/proc/self/fd/%d" % descriptor).startswith("pipe:"):
                    os.set_inheritable(descriptor, True)
            except OSError:
                pass
        return await create(*command, close_fds=False)
    asyncio.create_subprocess_exec = create_subprocess_exec


@fault
def the_parent_keeps_what_it_gives():
    @like("do_spawn")
    async def do_spawn(self, child, handles, **how):
        copies = [os.dup(end.fileno()) for name in handles for _, end in self.ends(name)]
        result = await originals["do_spawn"](self, child, handles, **how)
        self.copies = getattr(self, "copies", []) + copies
        return result
    Agent.do_spawn = do_spawn


@fault
def sigchld_reaps_all():
    def reap():
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    async def serve(self):
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, reap)
        return await originals["serve"](self)
    Agent.serve = serve


@fault
def alive_until_joined():
    async def do_join(self, child):
        result = await originals["do_join"](self, child)
        self.children[child].is_joined = True
        return result
    Agent.do_join = do_join
    Agent.do_alive = lambda self, child: not getattr(self.children[child], "is_joined", False)
    Agent.do_reaped = agent.Loop.do_reaped


@fault
def a_task_that_waits_delays_a_start():
    lock = asyncio.Lock()

    async def do_get(self, handle):
        async with lock:
            return await originals["do_get"](self, handle)

    @like("do_spawn")
    async def do_spawn(self, child, handles, **how):
        async with lock:
            return await originals["do_spawn"](self, child, handles, **how)
    Agent.do_get, Agent.do_spawn = do_get, do_spawn


def registry_of(is_kept):
    """Keeps a reference to each new end that fulfils the condition, so that dropping the handle closes nothing."""
    registry = []

    def do_pipe(self, reader, writer):
        answer = originals["do_pipe"](self, reader, writer)
        registry.extend(end for end in (self.handles[reader], self.handles[writer]) if is_kept(end))
        return answer
    Agent.do_pipe = do_pipe


@fault
def a_registry_keeps_what_is_dropped():
    registry_of(lambda end: True)


@fault
def a_dropped_reader_stays_open():
    registry_of(lambda end: end.mode == "rb")


class Forked:
    """A child that was forked, with the interface of asyncio's processes. A thread waits for its end."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None
        self.waiting = asyncio.ensure_future(self.reap())

    async def reap(self):
        _, status = await asyncio.get_running_loop().run_in_executor(None, os.waitpid, self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    async def wait(self):
        return await asyncio.shield(self.waiting)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)


def fork_with(leave_parent):
    """Starts children by fork alone. `leave_parent(agent)` is what the child does about the loop of its parent."""
    async def do_spawn(self, child, handles, shared=(), in_group=False):
        given = [end for name in handles for end in self.ends(name)]
        arguments = ["%s=%s%d" % (name, end.mode[0], os.dup(end.fileno())) for name, end in given]
        pid = os.fork()
        if pid == 0:
            if in_group:
                os.setpgid(0, 0)
            leave_parent(self)
            asyncio._set_running_loop(None)
            code = 1
            try:
                code = asyncio.run(agent.run_process(child, arguments)) or 0
            finally:
                os._exit(code)
        for argument in arguments:
            os.close(int(argument.rsplit("=", 1)[1][1:]))
        if in_group:
            os.setpgid(pid, pid)
        for name in handles:
            for _, end in self.ends(name) if name not in shared else ():
                await end.close()
        return self.born(child, Forked(pid))
    Agent.do_spawn = do_spawn


@fault
def a_missing_program_is_a_child_that_failed():
    @like("do_run")
    async def do_run(self, child, argv, **streams):
        argv = argv if os.access(argv[0], os.X_OK) else ["sh", "-c", "exit 127"]
        return await originals["do_run"](self, child, argv, **streams)
    Agent.do_run = do_run


@fault
def a_missing_program_keeps_its_pipes():
    @like("do_run")
    async def do_run(self, child, argv, **streams):
        try:
            return await originals["do_run"](self, child, argv, **streams)
        except OSError:
            os.pipe()
            raise
    Agent.do_run = do_run


@fault
def a_forked_child_keeps_all():
    fork_with(lambda parent: None)


@fault
def a_forked_child_silences_its_parent():
    # The epoll object is shared with the parent: what the child removes from it is removed for both.
    def leave(parent):
        for key in list(parent.loop._selector.get_map().values()):
            parent.loop._selector.unregister(key.fd)
    fork_with(leave)


@fault
def a_forked_child_sends_what_is_buffered():
    def leave(parent):
        for end in parent.handles.values():
            if end.mode == "wb" and end.transport and end.transport._buffer:
                os.set_blocking(end.fileno(), True)
                os.write(end.fileno(), bytes(end.transport._buffer))
    fork_with(leave)
    put_does_not_drain()


if __name__ == "__main__":
    chosen = os.environ.get("GIPC_FAULT")
    if chosen:
        FAULTS[chosen]()
    sys.exit(asyncio.run(agent.run_process(sys.argv[1], sys.argv[2:])))
