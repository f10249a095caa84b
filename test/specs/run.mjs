// Runs the op specs that tfjs-core ships on one backend: node run.mjs <backend> [part of a file's name]. Prints JSON.
import { readdirSync } from 'node:fs';
import { createRequire, register } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

register('./hooks.mjs', import.meta.url);
// The specs' own helper asks for jasmine by require.
globalThis.require = createRequire(import.meta.url);
const [backend, part = ''] = process.argv.slice(2);
const core = require('jasmine-core');
const jasmine = core.boot(core);
const dist = join(require.resolve('@tensorflow/tfjs-core/package.json'), '..', 'dist');
const load = (...path) => import(pathToFileURL(join(dist, ...path)));
const quiet = () => {};
Object.assign(console, { warn: quiet, info: quiet, debug: quiet, error: quiet });

// All of tfjs's gradients first, so that ours take the place of those they replace.
await load('register_all_gradients.js');
await load('public', 'chained_ops', 'register_all_chained_ops.js');
const { useBackend } = require('../../dist/src/compute/use-backend.js');
const { missing, unsupported } = await useBackend(backend);
const { setTestEnvs } = await load('jasmine_util.js');
setTestEnvs([{ name: 'patchwise', backendName: backend, flags: {}, isDataSync: true }]);
const files = readdirSync(join(dist, 'ops'), { recursive: true }).filter(
  (f) => f.endsWith('_test.js') && f.includes(part),
);
for (const file of files.sort()) await load('ops', file);

const specs = [];
const env = jasmine.getEnv();
env.configure({ random: false });
env.addReporter({
  specDone: ({ fullName, status, failedExpectations }) =>
    specs.push({
      name: fullName.replace(' patchwise {}', ''),
      status,
      error: failedExpectations[0]?.message,
    }),
});
await env.execute();
process.stdout.write(JSON.stringify({ specs, missing: [...missing, ...unsupported] }), () => process.exit(0));
