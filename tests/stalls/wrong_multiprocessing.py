"""multiprocessing, made wrong in the way that the first argument names; forked children inherit all without that."""

import os
import sys
import threading
import time

fault = sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../adapters/multiprocessing"))

import agent  # noqa: E402

play, spawn, get = agent.play, agent.Agent.do_spawn, agent.Agent.do_get


def keep(self, child, handles, listed=()):
    for name in handles:
        os.dup(self.descriptor(name))
    return spawn(self, child, handles, listed)


def is_deaf(self, handle, within=None):
    if not self.handle(handle).poll(0):
        threading.Event().wait()
    return get(self, handle, within)


def lock(self, handle, within=None):
    taken = self.__dict__.setdefault("taken", set())
    if handle in taken:
        threading.Event().wait()
    taken.add(handle)
    got = get(self, handle, within)
    if got != "timeout":
        taken.remove(handle)
    return got


def tick():
    while True:
        time.sleep(0.01)


def ticking(role, *more):
    if role == "clock":
        threading.Thread(target=tick, daemon=True).start()
    play(role, *more)


if fault == "keeps":
    agent.Agent.do_spawn = keep
elif fault == "deaf":
    agent.Agent.do_get = is_deaf
elif fault == "locks":
    agent.Agent.do_get = lock
elif fault == "ticks":
    agent.play = ticking

agent.play(sys.argv[1], [], [], [])
