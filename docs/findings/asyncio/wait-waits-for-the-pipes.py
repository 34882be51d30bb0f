"""wait() does not return when a process was killed, as long as another process has its stdout."""
import asyncio
import os
import signal


async def returns_after(seconds):
    child = await asyncio.create_subprocess_exec(
        "sh", "-c", "sleep 60 & echo $!; wait", stdout=asyncio.subprocess.PIPE
    )
    grandchild = int(await child.stdout.readline())
    waiting = asyncio.ensure_future(child.wait())
    await asyncio.sleep(0)  # one turn of the loop: wait() begins
    child.kill()
    done, _ = await asyncio.wait([waiting], timeout=seconds)
    code = child.returncode
    os.kill(grandchild, signal.SIGKILL)
    await waiting
    return bool(done), code


done, code = asyncio.run(returns_after(2))
print("expected: wait() returns -9 when the child is dead")
print("observed: wait() returned within two seconds:", done, "although returncode is", code)
raise SystemExit(1 if done else 0)
