// The kit for agents in Node: it implements the protocol, and an adapter adds the calls of its library. README.md says
// how to use it. The commands that bypass the library are in os_actions.mjs.

import { connect } from "node:net";
import { createInterface } from "node:readline";
import { Unsupported, message, osActions } from "./os_actions.mjs";

export { Unsupported, content, ended } from "./os_actions.mjs";

// The profile of each verb that is not in core. `methodFor` handles `count`, and the arguments of `pipe` and `spawn`
// that need another profile.
const PROFILES = {
  cancel: "tasks", pause: "tasks", terminate: "process", alive: "process", code: "process", stall: "process",
  reaped: "process", reap: "process", raise: "process", exec: "process", cut: "frames", rest: "frames",
  announce: "frames", trap: "signals", ignore: "signals", block: "signals", signal: "signals", limit: "limits",
  enter: "scope", leave: "scope", pass: "oddities", run: "stdio", drop: "drop",
  "signal-group": "groups",
};

/** An outcome with additional fields: `descriptors` of new handles, or `detail`, the words of the library. */
export class Answer {
  constructor(outcome, more) {
    Object.assign(this, { outcome, more });
  }
}

/** Settles as the promise does, but rejects as soon as the step is cancelled or its time limit passes. */
export function orGivenUp(signal, promise) {
  const aborted = new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
  return Promise.race([promise, aborted]);
}

/** Executes steps until the script of this process is done. Closing what is open then is up to the adapter. */
export function serve(Adapter, role) {
  const agent = new Adapter(role);
  const { name, version, profiles } = Adapter;
  const { pid, env } = process;
  // By task: the promise of its last step, and the AbortController of its current one.
  const [tasks, controllers] = [new Map(), new Map()];
  const fallbacks = osActions(agent);
  fallbacks.cancel = ({ task }) => controllers.get(task)?.abort("cancelled");

  const socket = connect(env.GIPC_HARNESS_SOCKET);
  const send = (message) => socket.writable && socket.write(JSON.stringify(message) + "\n");

  function methodFor({ verb, ...command }) {
    let profile = PROFILES[verb] ?? "core";
    if (verb === "count") profile = command.what === "handles" ? "counts" : "signals";
    if (command.codec) profile = "codec";
    if (command.listed) profile = "oddities";
    if (command.in_group) profile = "groups";
    if (command.from_thread) profile = "threads";
    if (command.shared) profile = "share";
    if (!profiles.includes(profile)) {
      throw new Unsupported(`${verb} is of the profile ${profile}, which is not declared`);
    }
    const method = agent[verb]?.bind(agent) ?? fallbacks[verb];
    if (!method) throw new Unsupported(`there is no ${verb} here`);
    return method;
  }

  async function execute(step) {
    const { verb, ...command } = step.do;
    const method = methodFor(step.do);
    const controller = new AbortController();
    const limit = step.within_ms;
    const timer = limit === undefined ? undefined : setTimeout(() => controller.abort("timeout"), limit);
    controllers.set(step.task, controller);
    try {
      return await method(command, controller.signal, limit);
    } finally {
      clearTimeout(timer);
    }
  }

  function outcomeOf(value) {
    if (value === undefined || value === null) return { is: "ok" };
    if (typeof value === "string") return { is: value };
    if (typeof value === "boolean") return { is: value ? "yes" : "no" };
    if (typeof value === "number") return { is: "number", n: value };
    return value instanceof Uint8Array ? message(value) : value;
  }

  async function runStep(step) {
    const ids = { id: step.id, pid };
    send({ type: "begin", ...ids });
    try {
      const value = await execute(step);
      const { outcome, more } = value instanceof Answer ? value : new Answer(value, {});
      send({ type: "end", ...ids, outcome: outcomeOf(outcome), ...more });
    } catch (error) {
      if (error instanceof Unsupported) return send({ type: "unsupported", ...ids, reason: error.message });
      const aborted = error === "cancelled" || error === "timeout";
      const outcome = aborted ? { is: error } : agent.explain(error);
      send({ type: "end", ...ids, outcome, ...(aborted ? {} : { detail: String(error) }) });
    }
  }

  return new Promise((finish) => {
    function onMessage(message) {
      if (message.type === "step") {
        const previous = tasks.get(message.task) ?? Promise.resolve();
        tasks.set(message.task, previous.then(() => runStep(message)));
      } else if (message.type === "ping") {
        // What Node does at once may take one or two turns of its loop.
        setImmediate(() => setImmediate(() => send({ type: "pong", n: message.n })));
      } else if (message.type === "finish") {
        if (profiles.includes("counts")) send({ type: "left", handles: agent.live() });
        socket.unref(); // the socket stays open until the process ends, but does not keep the process alive
        finish();
      } else if (message.type === "reject") {
        process.exit(1);
      } else if (message.type !== "welcome") {
        send({ type: "fault", reason: `unknown message ${message.type}` });
      }
    }
    createInterface({ input: socket }).on("line", (line) => onMessage(JSON.parse(line)));
    socket.on("error", () => process.exit(1));
    socket.on("close", () => process.exit(1)); // the harness is gone
    const implementation = { name, version };
    const token = env.GIPC_HARNESS_TOKEN;
    send({ type: "hello", protocol: 2, token, role, pid, implementation, profiles, control: "loop" });
  });
}
