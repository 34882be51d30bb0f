// The agent of Node's child_process.fork with `serialization: "advanced"`. README.md says what stands for what.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Answer, Unsupported, content, ended, orGivenUp, serve } from "../kit/node/gipc_agent.mjs";

const APART = "a channel is between a parent and its child: nobody else has an end of it, nor anybody before the start";

/** One side of a channel, once there is one: `process` in a child, the child in its parent. */
export class Side {
  arrived = [];
  waiting = [];
  over = false;
  ends = new Set();

  constructor(channel) {
    this.channel = channel;
    channel.on("message", (data) => {
      const wake = this.waiting.shift();
      wake ? wake(data) : this.arrived.push(data);
    });
    channel.on("disconnect", () => {
      this.over = true;
      this.waiting.splice(0).forEach((wake) => wake("eof"));
    });
  }

  get(signal) {
    if (this.arrived.length > 0) return this.arrived.shift();
    if (this.over) return "eof";
    return orGivenUp(signal, new Promise((wake) => {
      this.waiting.push(wake);
      signal.addEventListener("abort", () => (this.waiting = this.waiting.filter((other) => other !== wake)));
    }));
  }

  put(data, signal) {
    return new Promise((sent, failed) => {
      signal.addEventListener("abort", () => failed(new Unsupported("what is sent cannot be taken back")));
      this.channel.send(data, (error) => (error ? failed(error) : sent()));
    });
  }
}

export class Fork {
  static name = "node";
  static version = process.versions.node;
  static profiles = ["core", "tasks", "process", "signals"];
  /** What a child runs: a file, and its first arguments. */
  static program = [fileURLToPath(import.meta.url)];
  children = new Map();
  /** By name: the side of a channel, or null as long as there is none. */
  handles = new Map();
  /** By name: what it is called on the other side, and which way its messages go, seen from here. */
  made = new Map();

  constructor() {
    const given = JSON.parse(process.argv[3] ?? "[]");
    const side = given.length > 0 ? new Side(process) : null;
    given.forEach((name) => this.bind(name, side));
  }

  bind(name, side) {
    this.handles.set(name, side);
    side.ends.add(name);
  }

  side(name) {
    if (/\.[rw]$/.test(name)) throw new Unsupported("a channel has no halves");
    const side = this.handles.get(name);
    if (side === undefined) throw Object.assign(new Error(`this process has no ${name}`), { is: "closed" });
    if (side === null) throw new Unsupported(APART);
    return side;
  }

  pipe({ reader, writer }) {
    this.made.set(reader, { other: writer, ways: "in" }).set(writer, { other: reader, ways: "out" });
    this.handles.set(reader, null).set(writer, null);
  }

  duplex({ near, far }) {
    this.made.set(near, { other: far, ways: "in out" }).set(far, { other: near, ways: "in out" });
    this.handles.set(near, null).set(far, null);
  }

  spawn({ child, handles }) {
    for (const name of handles) {
      if (!this.handles.has(name)) throw Object.assign(new Error(`this process has no ${name}`), { is: "closed" });
      const { other } = this.made.get(name) ?? {};
      if (this.handles.get(name) !== null || !this.handles.has(other)) throw new Unsupported(APART);
    }
    const ways = handles.flatMap((name) => this.made.get(name).ways.split(" "));
    if (new Set(ways).size < ways.length) throw new Unsupported("a child has one channel, which goes each way once");
    const [file, ...words] = Fork.program;
    const process_ = fork(file, [...words, child, JSON.stringify(handles)], { serialization: "advanced" });
    this.children.set(child, process_);
    const side = new Side(process_);
    for (const name of handles) {
      this.handles.delete(name);
      this.bind(this.made.get(name).other, side);
    }
    return new Promise((started, failed) => {
      process_.once("spawn", () => started(new Answer("ok", { child: process_.pid })));
      process_.once("error", failed);
    });
  }

  put({ handle, payload }, signal, limit) {
    if (limit !== undefined) throw new Unsupported("send takes no time limit");
    return this.side(handle).put(content(payload), signal);
  }

  get({ handle }, signal) {
    return this.side(handle).get(signal);
  }

  close({ handle }) {
    const side = this.side(handle);
    if (side.ends.size > 1) throw new Unsupported("disconnect ends both ways at once");
    this.handles.delete(handle);
    if (side.channel.connected) side.channel.disconnect();
  }

  async join({ child }, signal) {
    const process_ = this.children.get(child);
    const exited = () => new Promise((resolve) => process_.once("exit", resolve));
    if (ended(process_).is === "running") {
      await orGivenUp(signal, exited()).catch((why) => why === "timeout" || Promise.reject(why));
    }
    return ended(process_);
  }

  kill({ child }) {
    this.children.get(child).kill("SIGKILL");
  }

  terminate({ child }) {
    this.children.get(child).kill();
  }

  alive({ child }) {
    return ended(this.children.get(child)).is === "running";
  }

  code({ child }) {
    return ended(this.children.get(child));
  }

  explain(error) {
    if (error.is) return { is: error.is };
    if (["ERR_IPC_CHANNEL_CLOSED", "EPIPE", "ECONNRESET"].includes(error.code)) return { is: "broken" };
    return error.syscall ? { is: "os", name: error.code } : { is: "other" };
  }
}

/** One process of a scenario, from its beginning to its end. */
export async function play() {
  await serve(Fork, process.argv[2]);
  if (process.connected) process.disconnect(); // a child that listens to its channel would never end
}

if (process.argv[1] === Fork.program[0]) await play();
