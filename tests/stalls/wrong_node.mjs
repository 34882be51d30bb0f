// child_process.fork, made wrong in the way that the first argument names. The agent is the adapter's own.

import { fileURLToPath } from "node:url";
import { Fork, Side, play } from "../../adapters/node/agent.mjs";

const [fault] = process.argv.splice(2, 1);
const { get } = Side.prototype;
const never = () => new Promise(() => {});

const faults = {
  /** Who has to wait is told of nothing. */
  deaf(signal) {
    return this.arrived.length > 0 ? get.call(this, signal) : never();
  },
  /** Who has to wait lets nobody else run. */
  blocks(signal) {
    if (this.arrived.length === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    return get.call(this, signal);
  },
  /** A get that was given up has not let go. */
  async locks(signal) {
    if (this.taken) return never();
    this.taken = true;
    const got = await get.call(this, signal);
    this.taken = false;
    return got;
  },
};

if (fault in faults) Side.prototype.get = faults[fault];
// Nothing is wrong with a clock.
if (fault === "ticks" && process.argv[2] === "clock") setInterval(() => {}, 10);
// Its children are wrong in the same way.
Fork.program = [fileURLToPath(import.meta.url), fault];
await play();
