// What the contract wants done without the library, and what payloads and ends of processes are called. Everything here
// is Node's or the system's; nothing knows the library, or how the harness is talked to.

import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { readFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const NOISE_BLOCK = 65521;
// So long a child that has ended may stay a zombie before it is believed that nobody reaps it.
const ZOMBIE_MS = 5000;

/** The library has no such thing; the message says why. */
export class Unsupported extends Error {}

/** The bytes of a payload: a text, or so much noise that tells its seed. */
export function content(payload) {
  if ("text" in payload) return Buffer.from(payload.text);
  const wanted = Math.min(payload.len, NOISE_BLOCK);
  const digest = (n) => createHash("sha256").update(`${payload.seed}:${n}`).digest();
  const block = Buffer.concat(Array.from({ length: Math.ceil(wanted / 32) }, (_, n) => digest(n))).subarray(0, wanted);
  return payload.len === 0 ? Buffer.alloc(0) : Buffer.alloc(payload.len, block);
}

/** What to say of a message that was got. */
export function message(data) {
  const said = { is: "message", len: data.length, sha256: createHash("sha256").update(data).digest("hex") };
  const text = data.length <= 64 ? Buffer.from(data).toString() : undefined;
  if (text !== undefined && Buffer.from(text).equals(Buffer.from(data))) said.text = text;
  return said;
}

/** How a child of `child_process` ended, or that it runs. */
export function ended(child) {
  if (child.signalCode) return { is: "signal", name: child.signalCode };
  return child.exitCode === null ? { is: "running" } : { is: "exit", code: child.exitCode };
}

function isThere(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function isZombie(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)[0] === "Z";
  } catch {
    return false;
  }
}

/** The verbs that need no library, for an agent whose `children` are those of `child_process`, by role. */
export function byHand(agent) {
  const ghosts = new Map();
  const child = (role) => ghosts.get(role) ?? agent.children.get(role);
  let trapped = 0;
  return {
    pause: ({ ms }, signal) => sleep(ms, undefined, { signal }).catch(() => Promise.reject(signal.reason)),
    trap: ({ signal }) => void process.on(signal, () => trapped++),
    signal: ({ child: role, signal }) => void process.kill(child(role).pid, signal),
    count: ({ what }) => (what === "trapped" ? sleep(0).then(() => trapped) : agent.live()),
    exec: ({ ghost }) => void ghosts.set(ghost, spawn("sh", ["-c", "read x; exit 7"], { stdio: ["pipe", 1, 2] })),
    exit: ({ code }) => process.exit(code),
    raise: () => {
      // Out of the promise of this step, which would catch it.
      setImmediate(() => {
        throw new Error("the scenario says that this entry fails");
      });
      return new Promise(() => {});
    },
    stall({ child: role }) {
      const { pid } = child(role);
      // By its descriptor, since the loop, which would close the stream, does not turn. It reads one line.
      if (ghosts.has(role)) writeSync(ghosts.get(role).stdin._handle.fd, "\n");
      const clock = new Int32Array(new SharedArrayBuffer(4));
      while (isThere(pid) && !isZombie(pid)) Atomics.wait(clock, 0, 0, 1);
    },
    async reap({ child: role }) {
      const ghost = ghosts.get(role);
      if (!ghost) throw new Unsupported("Node reaps its children itself");
      ghost.stdin.end();
      if (ended(ghost).is === "running") await new Promise((resolve) => ghost.once("exit", resolve));
      return ended(ghost);
    },
    async reaped({ child: role }) {
      const { pid } = child(role);
      let since;
      while (isThere(pid)) {
        since = isZombie(pid) ? (since ?? Date.now()) : undefined;
        // To look for ever would be a timer, and the harness could not see that all stands still.
        if (since && Date.now() - since > ZOMBIE_MS) await new Promise(() => {});
        await sleep(1);
      }
    },
  };
}
