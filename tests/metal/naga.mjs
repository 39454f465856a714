// WGSL to MSL. Each line on stdin is {wgsl, version}; each line on stdout is {msl} or {error}.
import { createInterface } from "node:readline";
import { NagaError, parseWgsl, validate, writeMsl } from "naga-wasm";

for await (const line of createInterface({ input: process.stdin })) {
  const { wgsl, version } = JSON.parse(line);
  console.log(JSON.stringify(translate(wgsl, version)));
}

function translate(wgsl, langVersion) {
  try {
    const module = parseWgsl(wgsl);
    return { msl: writeMsl(module, validate(module), { langVersion }) };
  } catch (error) {
    // Anything else is a panic, after which naga answers nothing: let the process end.
    if (!(error instanceof NagaError)) throw error;
    return { error: error.message };
  }
}
