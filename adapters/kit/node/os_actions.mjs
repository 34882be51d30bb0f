// Payloads, exit statuses, and the commands of the protocol that bypass the library under test. The functions here use
// Node and the operating system directly; they know neither the library nor the protocol client.

import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { readFileSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const NOISE_BLOCK = 65521;
// If a child is still a zombie after this time, it is taken not to be reaped.
const ZOMBIE_MS = 5000;

/** The library has no such operation; the message says why. */
export class Unsupported extends Error {}

/** The bytes of a payload: a text, or noise that is generated from a seed. */
export function content(payload) {
  if ("text" in payload) return Buffer.from(payload.text);
  const wanted = Math.min(payload.len, NOISE_BLOCK);
  const digest = (n) => createHash("sha256").update(`${payload.seed}:${n}`).digest();
  const block = Buffer.concat(Array.from({ length: Math.ceil(wanted / 32) }, (_, n) => digest(n))).subarray(0, wanted);
  return payload.len === 0 ? Buffer.alloc(0) : Buffer.alloc(payload.len, block);
}

/** The outcome that reports a received message. */
export function message(data) {
  const outcome = { is: "message", len: data.length, sha256: createHash("sha256").update(data).digest("hex") };
  const text = data.length <= 64 ? Buffer.from(data).toString() : undefined;
  if (text !== undefined && Buffer.from(text).equals(Buffer.from(data))) outcome.text = text;
  return outcome;
}

/** The exit status of a child of `child_process`, or `running`. */
export function ended(child) {
  if (child.signalCode) return { is: "signal", name: child.signalCode };
  return child.exitCode === null ? { is: "running" } : { is: "exit", code: child.exitCode };
}

function exists(pid) {
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

/** The commands that need no library, for an agent whose `children` are those of `child_process`, by role. */
export function osActions(agent) {
  const foreignPrograms = new Map();
  const child = (role) => foreignPrograms.get(role) ?? agent.children.get(role);
  let trapped = 0;
  return {
    pause: ({ ms }, signal) => sleep(ms, undefined, { signal }).catch(() => Promise.reject(signal.reason)),
    trap: ({ signal }) => void process.on(signal, () => trapped++),
    signal: ({ child: role, signal }) => void process.kill(child(role).pid, signal),
    "signal-group": ({ child: role, signal }) => void process.kill(-child(role).pid, signal),
    count: ({ what }) => (what === "trapped" ? sleep(0).then(() => trapped) : agent.live()),
    exec({ ghost }) {
      // A program that is not part of the scenario. It exits with code 7 when its stdin is closed.
      foreignPrograms.set(ghost, spawn("sh", ["-c", "read x; exit 7"], { stdio: ["pipe", 1, 2] }));
    },
    exit: ({ code }) => process.exit(code),
    raise: () => {
      // Thrown outside of the promise of this step, which would catch it.
      setImmediate(() => {
        throw new Error("the scenario says that this entry fails");
      });
      return new Promise(() => {});
    },
    stall({ child: role }) {
      const { pid } = child(role);
      // The program ends after reading a line. The line is written to the descriptor, since the loop is blocked from
      // here on and so could not close the stream.
      const program = foreignPrograms.get(role);
      if (program) writeSync(program.stdin._handle.fd, "\n");
      const clock = new Int32Array(new SharedArrayBuffer(4));
      while (exists(pid) && !isZombie(pid)) Atomics.wait(clock, 0, 0, 1);
    },
    async reap({ child: role }) {
      const program = foreignPrograms.get(role);
      if (!program) throw new Unsupported("Node reaps its children itself");
      program.stdin.end();
      if (ended(program).is === "running") await new Promise((resolve) => program.once("exit", resolve));
      return ended(program);
    },
    async reaped({ child: role }) {
      const { pid } = child(role);
      let since;
      while (exists(pid)) {
        since = isZombie(pid) ? (since ?? Date.now()) : undefined;
        // An endless series of timers would keep the harness from detecting that nothing moves any more.
        if (since && Date.now() - since > ZOMBIE_MS) await new Promise(() => {});
        await sleep(1);
      }
    },
  };
}
