// WGSL to Metal's language. Called with the path of naga-wasm's module; each line on stdin is {wgsl, version}, each
// line on stdout is {msl, wgsl}, the latter naga's own spelling of what it understood, or {error}. Where version is
// null the text is only validated.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { NagaError, parseWgsl, validate, writeMsl, writeWgsl } = await import(pathToFileURL(process.argv[2]));

for await (const line of createInterface({ input: process.stdin })) {
  const { wgsl, version } = JSON.parse(line);
  console.log(JSON.stringify(translate(wgsl, version)));
}

function translate(wgsl, langVersion) {
  let module, info;
  try {
    module = parseWgsl(wgsl);
    info = validate(module);
    if (langVersion === null) return {};
    return { msl: writeMsl(module, info, { langVersion }), wgsl: writeWgsl(module, info) };
  } catch (error) {
    if (!(error instanceof NagaError)) {
      // A panic, after which naga answers nothing: the next question starts another process.
      console.error(error.message);
      process.exit(70); // GAVE_UP of node.py.
    }
    return { error: error.formatted ?? error.message };
  } finally {
    info?.free();
    module?.free();
  }
}
