// WGSL to Metal's language. Called with the path of naga-wasm's module; each line on stdin is {wgsl, version, write},
// each line on stdout is an object of what `write` lists, or {error}: `msl` is the Metal text, `wgsl` naga's own
// spelling of what it understood.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { NagaError, parseWgsl, validate, writeMsl, writeWgsl } = await import(pathToFileURL(process.argv[2]));

for await (const line of createInterface({ input: process.stdin })) {
  const { wgsl, version, write } = JSON.parse(line);
  console.log(JSON.stringify(translate(wgsl, version, write)));
}

function translate(wgsl, langVersion, write) {
  let module, info;
  try {
    module = parseWgsl(wgsl);
    info = validate(module);
    const writers = {
      msl: () => writeMsl(module, info, { langVersion }),
      wgsl: () => writeWgsl(module, info),
    };
    return Object.fromEntries(write.map((language) => [language, writers[language]()]));
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
