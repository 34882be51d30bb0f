// The agent of NAME. This is what an agent looks like, for channels inside one process: put your library in their place.

import { Unsupported, content, orGivenUp, serve } from "../kit/node/gipc_agent.mjs";

class Channels {
  static name = "NAME";
  static version = process.versions.node;
  static profiles = ["core", "tasks"];
  handles = new Map();
  children = new Map();

  pipe({ reader, writer }) {
    const { port1, port2 } = new MessageChannel();
    const end = { port: port1, came: [], waiting: [], over: false };
    const give = () => {
      while (end.waiting.length > 0 && (end.came.length > 0 || end.over)) end.waiting.shift()(end.came.shift() ?? "eof");
    };
    port1.on("message", (data) => give(end.came.push(data)));
    port1.on("close", () => give((end.over = true)));
    this.handles.set(reader, { ...end, give }).set(writer, { port: port2 });
  }

  end(name) {
    if (!this.handles.has(name)) throw Object.assign(new Error(`no ${name}`), { is: "closed" });
    return this.handles.get(name);
  }

  put({ handle, payload }) {
    this.end(handle).port.postMessage(content(payload));
  }

  get({ handle }, signal) {
    const { waiting, give } = this.end(handle);
    return orGivenUp(signal, new Promise((wake) => {
      waiting.push(wake);
      signal.addEventListener("abort", () => waiting.splice(waiting.indexOf(wake), 1));
      give();
    }));
  }

  close({ handle }) {
    this.end(handle).port.close();
    this.handles.delete(handle);
  }

  spawn() {
    throw new Unsupported("a port goes to a thread, not to a process");
  }

  explain(error) {
    return { is: error.is ?? "other" };
  }
}

await serve(Channels, process.argv[2]);
process.exit(); // ports that are open would keep it
