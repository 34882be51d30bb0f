"""The agent of a Python library in a few lines: this is the whole conversation with the harness.

An adapter is a subclass of `Threads` (its library blocks) or of `Loop` (it runs on asyncio), with a method for each
verb that needs the library:

    class Agent(gipc_agent.Threads):
        name, version, profiles = "mine", "1.0", ["core"]

        def do_pipe(self, reader, writer): self.handles[reader], self.handles[writer] = mine.pipe()
        def do_put(self, handle, payload): self.handle(handle).send(content(payload))
        def do_get(self, handle):          return self.handle(handle).receive()
        ...

    Agent(sys.argv[1]).serve()      # in main, and so in every child, with its role and its handles

A method gets the words of its order, and `within` in seconds where there is a limit. It returns None for `ok`, bytes
for a message, True or False for `yes` or `no`, a word (`"timeout"`), or a whole outcome. What it raises becomes an
outcome by `errors`. A verb without a method, or with a word that the method does not take, is unsupported.
"""

import asyncio
import inspect
import os
import queue
import sys
import threading
import time

import by_hand
from conversation import Agent, Closed, Raised, Unsupported, content, ended, message  # noqa: F401, for adapters

# So often the loop turns before a ping is answered.
TURNS = 20


class Threads(Agent):
    """For a library that blocks: a thread talks to the harness, the process's own lines are done in the thread that
    called `serve`, and those of each task in a thread of its own."""

    control = "thread"

    def serve(self):
        """Talks until the script of this process is done. Whoever called it should return then."""
        self.lanes = {None: queue.SimpleQueue()}
        self.dial()
        threading.Thread(target=self.listen, daemon=True).start()
        for words in iter(self.lanes[None].get, None):
            self.perform(words)

    def listen(self):
        while True:
            self.receive()

    def lane(self, task):
        if task not in self.lanes:
            self.lanes[task] = queue.SimpleQueue()
            threading.Thread(target=self.perform_all, args=(task,), daemon=True).start()
        return self.lanes[task]

    def perform_all(self, task):
        while True:
            self.perform(self.lanes[task].get())

    def finish(self):
        self.lanes[None].put(None)

    def perform(self, words):
        self.say(type="begin", id=words["id"], pid=os.getpid())
        if words["do"]["verb"] == "raise":
            raise Raised()
        if words["do"]["verb"] == "exit":
            # Only the thread that began can end its process in the library's way; the others can only end it.
            (os._exit if words.get("task") else sys.exit)(words["do"]["code"])
        try:
            method, order = self.order(words)
            answer = method(**order)
        except Exception as error:
            answer = error
        self.tell(words, answer)

    def do_pause(self, ms):
        time.sleep(ms / 1000)

    def do_reaped(self, child):
        for pause in by_hand.pauses(self.pid(child)):
            threading.Event().wait(pause)

    def do_trap(self, signal):
        by_hand.trap(signal, self.caught)


class Loop(Agent):
    """For a library on asyncio: the conversation, the process's own lines and its tasks all run on the one loop."""

    control = "loop"

    async def serve(self):
        """Talks until the script of this process is done; returns the code to exit with, or None to return."""
        self.lanes, self.steps = {}, {}
        self.loop = asyncio.get_running_loop()
        self.over = self.loop.create_future()
        self.dial()
        self.loop.add_reader(self.socket, self.receive)
        return await self.over

    def lane(self, task):
        if task not in self.lanes:
            lane = asyncio.Queue()
            self.lanes[task] = lane, self.loop.create_task(self.perform_all(task, lane))
        return self.lanes[task][0]

    def finish(self):
        self.over.set_result(None)

    async def perform_all(self, task, lane):
        """Each step is an asyncio task of its own, so that it can be cancelled."""
        while True:
            words = await lane.get()
            self.say(type="begin", id=words["id"], pid=os.getpid())
            step = self.steps[task] = self.loop.create_task(self.perform(words))
            await asyncio.wait([step])
            self.tell(words, "cancelled" if step.cancelled() else step.exception() or step.result())

    async def perform(self, words):
        within = words.get("within_ms")
        method, order = self.order({name: value for name, value in words.items() if name != "within_ms"})
        answer = method(**order)
        if not inspect.isawaitable(answer):
            return answer
        try:
            return await asyncio.wait_for(answer, within and within / 1000)
        except asyncio.TimeoutError:
            if within is None:
                raise
            return "running" if words["do"]["verb"] == "join" else "timeout"

    def pong(self, n):
        self.loop.create_task(self.answer(n))

    async def answer(self, n):
        # Two answers are taken for proof that a step waits; but what asyncio does at once may take several turns.
        for _ in range(TURNS):
            await asyncio.sleep(0)
        super().pong(n)

    async def do_exit(self, code):
        self.over.set_result(code)
        await self.loop.create_future()  # there is no end: the process is gone before

    async def do_raise(self):
        self.over.set_exception(Raised())
        await self.loop.create_future()

    def do_cancel(self, task):
        self.steps[task].cancel()

    async def do_pause(self, ms):
        await asyncio.sleep(ms / 1000)

    async def do_reaped(self, child):
        for pause in by_hand.pauses(self.pid(child)):
            await (asyncio.sleep(pause) if pause else self.loop.create_future())

    def do_trap(self, signal):
        self.loop.add_signal_handler(by_hand.number(signal), self.caught)

    async def do_count(self, what):
        await asyncio.sleep(0)  # a signal that came before is handled in this turn of the loop, or the next
        await asyncio.sleep(0)
        return super().do_count(what)
