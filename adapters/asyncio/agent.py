"""The agent of asyncio: subprocesses that inherit descriptors, and streams on os.pipe. README.md has the details."""

import asyncio
import gc
import os
import platform
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit", "python"))
from gipc_agent import Loop, Unsupported, content, ended  # noqa: E402
from second_loop import SecondLoop  # noqa: E402


def group(in_group):
    """The argument for a process group of its own. Before Python 3.11 there is only one for a session of its own."""
    if not in_group:
        return {}
    return {"process_group": 0} if sys.version_info >= (3, 11) else {"start_new_session": True}


class PipeEnd:
    """One end of a pipe: a file, which becomes a stream at its first use."""

    def __init__(self, descriptor, mode):
        self.file, self.mode = os.fdopen(descriptor, mode, 0), mode
        self.connecting = self.transport = None

    def fileno(self):
        return self.file.fileno()

    async def stream(self):
        # The first task that needs the stream connects it for all; cancelling that task must not affect the others.
        self.connecting = self.connecting or asyncio.ensure_future(self.connect())
        return await asyncio.shield(self.connecting)

    async def connect(self):
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        protocol_factory = lambda: asyncio.StreamReaderProtocol(reader)  # noqa: E731
        if self.mode == "rb":
            self.transport, _ = await loop.connect_read_pipe(protocol_factory, self.file)
            return reader
        self.transport, protocol = await loop.connect_write_pipe(protocol_factory, self.file)
        return asyncio.StreamWriter(self.transport, protocol, None, loop)

    async def close(self):
        if self.transport is None:
            self.file.close()
            return
        self.transport.close()
        if self.mode == "wb":
            await (await self.stream()).wait_closed()


class Stream:
    """A standard stream of a subprocess, as asyncio gives it to its parent: a reader, or a writer."""

    def __init__(self, process, number):
        self.process, self.mode = process, "rb" if number else "wb"
        self.end = (process.stdin, process.stdout, process.stderr)[number]
        self.transport = process._transport.get_pipe_transport(number)

    def fileno(self):
        return self.transport.get_extra_info("pipe").fileno()

    async def stream(self):
        return self.end

    async def close(self):
        self.transport.close()
        if self.mode == "wb":
            await self.end.wait_closed()


async def start(argv, pipes, group):
    """Starts a program. Of its standard streams those are pipes that `pipes` names so."""
    return await asyncio.create_subprocess_exec(*argv, stdin=pipes[0], stdout=pipes[1], stderr=pipes[2], **group)


ERRORS = []
if os.environ.get("ADAPTER_PROGRAMS") == "anyio":
    from anyio_programs import ERRORS, Stream, start  # noqa: F811


class Agent(Loop):
    name, version = "asyncio", platform.python_version()
    profiles = ["core", "tasks", "process", "frames", "signals", "limits", "stdio", "drop", "groups", "share", "drop-handle"]
    errors = ERRORS + [
        (asyncio.IncompleteReadError, "", "truncated"), (ConnectionResetError, "Connection lost", "broken"),
        (ValueError, "closed file", "closed"), (RuntimeError, "another coroutine is already waiting", "locked"),
        (AttributeError, "", "misuse"), (OverflowError, "", "too-large"),
    ]

    second_loop = SecondLoop() if "ADAPTER_TWO_LOOPS" in os.environ else None

    def ends(self, name, halves="rw"):
        """The pipe ends that a name stands for: the halves of a duplex, or the end with that name."""
        names = [name + "." + half for half in halves if name + "." + half in self.handles] or [name]
        return [(name, self.handle(name)) for name in names]

    def do_pipe(self, reader, writer):
        self.add_pipe(reader, writer, os.pipe())
        return self.made(reader, writer)

    def add_pipe(self, reader, writer, descriptors):
        for name, descriptor, mode in zip((reader, writer), descriptors, ("rb", "wb")):
            self.handles[name] = PipeEnd(descriptor, mode)

    def do_duplex(self, near, far):
        there = os.pipe()
        try:
            back = os.pipe()
        except OSError:
            for descriptor in there:
                os.close(descriptor)
            raise
        self.add_pipe(near + ".r", far + ".w", there)
        self.add_pipe(far + ".r", near + ".w", back)
        return self.made(near + ".r", near + ".w", far + ".r", far + ".w")

    async def do_spawn(self, child, handles, shared=(), in_group=False):
        given = [end for name in handles for end in self.ends(name)]
        arguments = ["%s=%s%d" % (name, end.mode[0], end.fileno()) for name, end in given]
        descriptors = [end.fileno() for _, end in given]
        command = [sys.executable, sys.argv[0], child, *arguments]
        starting = asyncio.create_subprocess_exec(*command, pass_fds=descriptors, **group(in_group))
        process = await (self.second_loop.beside(starting) if self.second_loop else starting)
        for name in handles:
            for _, end in self.ends(name) if name not in shared else ():
                await end.close()
        return self.born(child, process)

    async def do_run(self, child, argv, stdin=None, stdout=None, stderr=None, in_group=False):
        streams = [stdin, stdout, stderr]
        if any(stream and "given" in stream for stream in streams):
            raise Unsupported("a stream belongs to the process that it was made for")
        pipes = [stream and subprocess.PIPE for stream in streams]
        process = await start(argv, pipes, group(in_group))
        kept = {stream["pipe"]: Stream(process, number) for number, stream in enumerate(streams) if stream}
        self.handles.update(kept)
        self.born(child, process)
        # On uvloop a transport does not tell its descriptor.
        return self.made(*(name for name in kept if kept[name].transport.get_extra_info("pipe")))

    def do_drop(self, child):
        del self.children[child]
        gc.collect()

    async def do_put(self, handle, payload):
        (_, end), = self.ends(handle, "w")
        data, writer = content(payload), await end.stream()
        writer.write(len(data).to_bytes(4, "big") + data)
        await writer.drain()

    async def do_get(self, handle):
        (_, end), = self.ends(handle, "r")
        reader = await end.stream()
        try:
            header = await reader.readexactly(4)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return "eof"
        return await reader.readexactly(int.from_bytes(header, "big"))

    async def do_close(self, handle):
        for _, end in self.ends(handle):
            await end.close()

    async def do_join(self, child):
        return ended(await self.children[child].wait())

    async def do_reaped(self, child):
        await super().do_reaped(child)
        while self.do_alive(child):  # before Python 3.12 a thread reaps, and informs the loop a moment later
            await asyncio.sleep(0.001)

    def do_alive(self, child):
        return self.children[child].returncode is None

    def do_code(self, child):
        return ended(self.children[child].returncode)


async def run_process(role, arguments):
    """Runs one process of a scenario. Each argument describes a given pipe end, as in `NAME=r5`."""
    given = {}
    for name, end in (argument.rsplit("=", 1) for argument in arguments):
        given[name] = PipeEnd(int(end[1:]), end[0] + "b")
    agent = Agent(role, given)
    code = await agent.serve()
    if code is None:
        for end in agent.handles.values():
            if end.transport and end.mode == "wb":
                try:
                    await end.close()  # as a program does whose last messages must be delivered
                except OSError:
                    pass
    return code


if __name__ == "__main__":
    if "ADAPTER_LOOP" in os.environ:
        asyncio.set_event_loop_policy(__import__(os.environ["ADAPTER_LOOP"]).EventLoopPolicy())
    sys.exit(asyncio.run(run_process(sys.argv[1], sys.argv[2:])))
