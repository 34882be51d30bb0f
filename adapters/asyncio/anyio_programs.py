"""Programs that anyio starts in place of asyncio, for the variants of anyio."""

import asyncio

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

ERRORS = [(anyio.BrokenResourceError, "", "broken"), (anyio.ClosedResourceError, "", "closed")]


async def start(argv, pipes, group):
    """Starts a program. Of its standard streams those are pipes that `pipes` names so."""
    return await anyio.open_process(argv, stdin=pipes[0], stdout=pipes[1], stderr=pipes[2], **group)


class Stream:
    """A standard stream of a program, as anyio gives it to its parent, with the methods of the streams of asyncio."""

    def __init__(self, process, number):
        self.mode = "rb" if number else "wb"
        self.end = (process.stdin, process.stdout, process.stderr)[number]
        self.buffered = BufferedByteReceiveStream(self.end)
        self.transport = process._process._transport.get_pipe_transport(number)

    def fileno(self):
        return self.transport.get_extra_info("pipe").fileno()

    async def stream(self):
        return self

    async def readexactly(self, size):
        try:
            return await self.buffered.receive_exactly(size)
        except anyio.IncompleteRead:
            raise asyncio.IncompleteReadError(b"", size) from None

    def write(self, data):
        self.unsent = data

    async def drain(self):
        await self.end.send(self.unsent)

    async def close(self):
        await self.end.aclose()
