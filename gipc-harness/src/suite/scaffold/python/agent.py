"""The agent of NAME. It implements the commands with multiprocessing: replace that with your library."""

import multiprocessing
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kit", "python"))
from gipc_agent import Threads, content, ended  # noqa: E402


class Agent(Threads):
    name, version, profiles = "NAME", "0", ["core", "process"]
    errors = [(OSError, "handle is closed", "closed"), (OSError, "end of file during message", "truncated")]

    def do_pipe(self, reader, writer):
        self.handles[reader], self.handles[writer] = multiprocessing.Pipe(duplex=False)
        return self.made(reader, writer)

    def do_spawn(self, child, handles):
        given = [self.handle(name) for name in handles]
        process = multiprocessing.Process(target=play, args=(child, dict(zip(handles, given))))
        process.start()
        for connection in given:
            connection.close()
        return self.born(child, process)

    def do_put(self, handle, payload):
        self.handle(handle).send_bytes(content(payload))

    def do_get(self, handle):
        return self.handle(handle).recv_bytes()

    def do_close(self, handle):
        self.handle(handle).close()

    def do_join(self, child, within=None):
        self.children[child].join(within)
        return ended(self.children[child].exitcode)

    def do_alive(self, child):
        return self.children[child].is_alive()

    def do_code(self, child):
        return ended(self.children[child].exitcode)


def play(role, handles):
    Agent(role, handles).serve()


if __name__ == "__main__":
    play(sys.argv[1], {})
