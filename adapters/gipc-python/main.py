"""Starts the agent in main. The agent itself is a module: Python compiles a module once, and a program at every start."""

import atexit
import os
import sys


def stop_tracker():
    """Stops the resource tracker, which would otherwise end a moment after main."""
    multiprocessing.resource_tracker._resource_tracker._stop()


METHOD = os.environ.get("ADAPTER_METHOD")
if __name__ == "__main__" and METHOD is not None:
    atexit.register(stop_tracker)  # before the import below, so that it runs after the library's exit handlers

import multiprocessing  # noqa: E402

# gipc reads the start method once, when it is imported. In a child it is already set.
if METHOD is not None and multiprocessing.get_start_method(allow_none=True) is None:
    multiprocessing.set_start_method(METHOD)

from agent import play  # noqa: E402

if __name__ == "__main__":
    play(sys.argv[1], [], set(), [])
