// Tokenizes scenarios with the TextMate grammar, as VS Code does: `node check-textmate.mjs good|bad FILE…`. Every word of a
// good file must have a scope that is not `invalid`; a bad file must have at least one invalid word.
// Needs the packages vscode-textmate and vscode-oniguruma, in the folder MODULES.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.MODULES}/`);
const textmate = require("vscode-textmate");
const oniguruma = require("vscode-oniguruma");

await oniguruma.loadWASM(readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm")).buffer);
const path = new URL("vscode/scenario.tmLanguage.json", import.meta.url);
const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async () => textmate.parseRawGrammar(readFileSync(path, "utf8"), path.pathname),
});
const grammar = await registry.loadGrammar("source.scenario");

/** The words of a file that are invalid or have no scope, with their lines. */
function wrongWords(file) {
  const wrong = [];
  let state = textmate.INITIAL;
  readFileSync(file, "utf8").split("\n").forEach((line, number) => {
    const { tokens, ruleStack } = grammar.tokenizeLine(line, state);
    state = ruleStack;
    for (const { startIndex, endIndex, scopes } of tokens) {
      const word = line.slice(startIndex, endIndex).trim();
      const isInvalid = scopes.some((scope) => scope.startsWith("invalid"));
      if (isInvalid || (word && scopes.length === 1)) wrong.push(`${file}:${number + 1}: ${word || "end of line"}`);
    }
  });
  return wrong;
}

const [kind, ...files] = process.argv.slice(2);
const wrong = files.map(wrongWords);
const failures = kind === "good" ? wrong.flat() : files.filter((_, at) => wrong[at].length === 0);
failures.forEach((failure) => console.error(failure));
console.log(`TextMate: ${files.length} ${kind} files, ${failures.length} failures`);
process.exit(failures.length > 0 ? 1 : 0);
