"""A program that was started with SIGCHLD ignored gets the exit code 255 for a child that exited with 3."""
import asyncio
import signal
import warnings

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # or inherited: `env --ignore-signal=CHLD`
warnings.simplefilter("ignore")


async def exit_code():
    child = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.2; exit 3")
    return await child.wait()


code = asyncio.run(exit_code())
print("expected: exit code 3, or an error that says that the status is not known")
print("observed: exit code", code)
raise SystemExit(0 if code == 255 else 1)
