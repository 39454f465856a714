// Chrome's compiler on a device that runs nothing. Each line on stdin is {wgsl, constants}: the module is
// validated, and its pipeline created unless `constants` is null. Each line on stdout is {error}, null if none.
import { createInterface } from "node:readline";
import { create } from "webgpu";

// A global is never collected; were this, the process would die.
globalThis.gpu = create(["backend=null"]);
const adapter = await globalThis.gpu.requestAdapter();
const device = await adapter.requestDevice({ requiredFeatures: ["subgroups", "shader-f16"] });

for await (const line of createInterface({ input: process.stdin })) {
  const { wgsl, constants } = JSON.parse(line);
  console.log(JSON.stringify({ error: await refusal(wgsl, constants) }));
}
process.exit(0);

async function refusal(code, constants) {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  if (constants !== null) {
    device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main", constants } });
  }
  return (await device.popErrorScope())?.message ?? null;
}
