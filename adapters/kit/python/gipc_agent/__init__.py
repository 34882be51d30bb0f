"""The kit for agents in Python: it implements the protocol, and an adapter adds the calls of its library.

An adapter subclasses `Threads` if its library blocks, or `Loop` if it runs on asyncio, and defines a method for each
verb that needs the library:

    class Agent(gipc_agent.Threads):
        name, version, profiles = "mine", "1.0", ["core"]

        def do_pipe(self, reader, writer): self.handles[reader], self.handles[writer] = mine.pipe()
        def do_put(self, handle, payload): self.handle(handle).send(content(payload))
        def do_get(self, handle):          return self.handle(handle).receive()
        ...

    Agent(sys.argv[1]).serve()      # in main, and likewise in each child, with its role and its handles

A method is called with the arguments of its command, and with `within` in seconds if the step has a time limit. It
returns None for `ok`, bytes for a message, True or False for `yes` or `no`, a word (`"timeout"`), or a complete
outcome. An exception becomes an outcome according to `errors`. A command is answered with `unsupported` if it has no
method, or if the method does not take one of its arguments.
"""

import asyncio
import inspect
import os
import queue
import sys
import threading
import time

from . import os_actions
from .session import Agent, Closed, Raised, Unsupported, content, ended, in_thread, message  # noqa: F401, for adapters

# Python 3.6 has no SimpleQueue.
Queue = getattr(queue, "SimpleQueue", queue.Queue)
# The number of turns that the loop takes before it answers a ping.
TURNS = 20


class Threads(Agent):
    """For a library that blocks. One thread receives from the harness, the main task runs in the thread that called
    `serve`, and every other task has a thread of its own."""

    control = "thread"

    def serve(self):
        """Executes steps until the script of this process is done. The caller should then return."""
        self.queues = {None: Queue()}
        self.connect()
        threading.Thread(target=self.receive_forever, daemon=True).start()
        for step in iter(self.queues[None].get, None):
            self.execute(step)

    def receive_forever(self):
        while True:
            self.receive()

    def queue_for(self, task):
        if task not in self.queues:
            self.queues[task] = Queue()
            threading.Thread(target=self.run_task, args=(task,), daemon=True).start()
        return self.queues[task]

    def run_task(self, task):
        while True:
            self.execute(self.queues[task].get())

    def finish(self):
        self.queues[None].put(None)

    def execute(self, step):
        self.send(type="begin", id=step["id"], pid=os.getpid())
        if step["do"]["verb"] == "raise":
            raise Raised()
        if step["do"]["verb"] == "exit":
            # Only the main thread can end its process as the library does; another thread can only call _exit.
            (os._exit if step.get("task") else sys.exit)(step["do"]["code"])
        try:
            method, arguments = self.method_for(step)
            result = method(**arguments)
        except Exception as error:
            result = error
        self.send_result(step, result)

    def do_pause(self, ms):
        time.sleep(ms / 1000)

    def do_reaped(self, child):
        for delay in os_actions.reap_poll_delays(self.pid(child)):
            threading.Event().wait(delay)

    def do_trap(self, signal):
        os_actions.trap(signal, self.on_trapped)


class Loop(Agent):
    """For a library on asyncio. The session, the main task and all other tasks run on one loop."""

    control = "loop"

    async def serve(self):
        """Executes steps until the script of this process is done. Returns the code to exit with, or None to return."""
        self.queues, self.steps = {}, {}
        self.loop = asyncio.get_running_loop()
        self.finished = self.loop.create_future()
        self.connect()
        self.loop.add_reader(self.socket, self.receive)
        return await self.finished

    def queue_for(self, task):
        if task not in self.queues:
            steps = asyncio.Queue()
            self.queues[task] = steps, self.loop.create_task(self.run_task(task, steps))
        return self.queues[task][0]

    def finish(self):
        self.finished.set_result(None)

    async def run_task(self, task, steps):
        """Executes the steps of one task, each in an asyncio task of its own, so that it can be cancelled."""
        while True:
            step = await steps.get()
            self.send(type="begin", id=step["id"], pid=os.getpid())
            running = self.steps[task] = self.loop.create_task(self.execute(step))
            await asyncio.wait([running])
            self.send_result(step, "cancelled" if running.cancelled() else running.exception() or running.result())

    async def execute(self, step):
        within = step.get("within_ms")
        method, arguments = self.method_for({name: value for name, value in step.items() if name != "within_ms"})
        result = method(**arguments)
        if not inspect.isawaitable(result):
            return result
        try:
            return await asyncio.wait_for(result, within and within / 1000)
        except asyncio.TimeoutError:
            if within is None:
                raise
            return "running" if step["do"]["verb"] == "join" else "timeout"

    def pong(self, n):
        self.loop.create_task(self.delayed_pong(n))

    async def delayed_pong(self, n):
        # The harness takes two pongs as proof that a step waits, but what asyncio does at once may take several turns.
        for _ in range(TURNS):
            await asyncio.sleep(0)
        super().pong(n)

    async def do_exit(self, code):
        self.finished.set_result(code)
        await self.loop.create_future()  # never completes: the process ends first

    async def do_raise(self):
        self.finished.set_exception(Raised())
        await self.loop.create_future()

    def do_cancel(self, task):
        self.steps[task].cancel()

    async def do_pause(self, ms):
        await asyncio.sleep(ms / 1000)

    async def do_reaped(self, child):
        for delay in os_actions.reap_poll_delays(self.pid(child)):
            await (asyncio.sleep(delay) if delay else self.loop.create_future())

    def do_trap(self, signal):
        self.loop.add_signal_handler(os_actions.signal_number(signal), self.on_trapped)

    async def do_count(self, what):
        await asyncio.sleep(0)  # a signal that arrived before is handled in this turn of the loop or the next
        await asyncio.sleep(0)
        return super().do_count(what)
