// When a child exits, Node destroys its stdin, although a grandchild that has inherited it still reads.
import { spawn } from "node:child_process";

const child = spawn("sh", ["-c", "exec 3<&0; (cat <&3; echo end) & exit 3"], { stdio: ["pipe", "pipe", "inherit"] });
let output = "";
child.stdout.on("data", (data) => (output += data));
child.stdin.on("error", () => {});
child.on("exit", () => child.stdin.end("to the grandchild\n"));
child.on("close", () => {
  console.log('expected: "to the grandchild\\nend\\n"');
  console.log("observed:", JSON.stringify(output));
  process.exit(output === "end\n" ? 0 : 1);
});
