// Output to which no listener is attached when the child exits is read and discarded.
import { spawn } from "node:child_process";

const child = spawn("sh", ["-c", "echo last"], { stdio: ["ignore", "pipe", "inherit"] });
child.on("exit", async () => {
  await new Promise((later) => setTimeout(later, 100)); // an await of anything else
  let output = "";
  for await (const data of child.stdout) output += data;
  console.log('expected: "last\\n"');
  console.log("observed:", JSON.stringify(output));
  process.exit(output === "" ? 0 : 1);
});
