"""multiprocessing with an injected fault, which the first argument names.

`inherits` needs no code here: forked children inherit everything.
"""

import os
import sys
import threading
import time

fault = sys.argv.pop(1)
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../adapters/multiprocessing"))

import agent  # noqa: E402

original_play, original_spawn, original_get = agent.play, agent.Agent.do_spawn, agent.Agent.do_get


def spawn_that_keeps(self, child, handles, listed=()):
    for name in handles:
        os.dup(self.descriptor(name))
    return original_spawn(self, child, handles, listed)


def get_without_wakeup(self, handle, within=None):
    if not self.handle(handle).poll(0):
        threading.Event().wait()
    return original_get(self, handle, within)


def get_that_keeps_its_lock(self, handle, within=None):
    taken = self.__dict__.setdefault("taken", set())
    if handle in taken:
        threading.Event().wait()
    taken.add(handle)
    outcome = original_get(self, handle, within)
    if outcome != "timeout":
        taken.remove(handle)
    return outcome


def tick():
    while True:
        time.sleep(0.01)


def play_with_a_clock(role, *more):
    if role == "clock":
        threading.Thread(target=tick, daemon=True).start()
    original_play(role, *more)


if fault == "keeps":
    agent.Agent.do_spawn = spawn_that_keeps
elif fault == "deaf":
    agent.Agent.do_get = get_without_wakeup
elif fault == "locks":
    agent.Agent.do_get = get_that_keeps_its_lock
elif fault == "ticks":
    agent.play = play_with_a_clock

agent.play(sys.argv[1], [], [], [])
