"""A second event loop in each process, for the variant `two-loops`.

It runs in a thread of its own. While the agent's loop starts a child, it starts one as well, reads its output and joins it.
"""

import asyncio
import subprocess
import threading

GREETING = b"from the child of the second loop\n"


async def child_of_its_own():
    process = await asyncio.create_subprocess_exec("echo", GREETING.decode().strip(), stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    if (output, process.returncode) != (GREETING, 0):
        raise RuntimeError("second loop: output %r, exit code %r" % (output, process.returncode))


class SecondLoop:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def beside(self, starting):
        """The result of `starting`, which is awaited while the second loop has a child.

        Raises what `starting` raises, or else what went wrong in the second loop."""
        other = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(child_of_its_own(), self.loop))
        results = await asyncio.gather(starting, other, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results[0]
