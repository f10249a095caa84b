import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { attach } from '../../../src/index';
import { KERNEL, RawKernel, until, untyped } from '../raw-kernel';

let kernel: RawKernel;
afterEach(() => kernel.stop());

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it('the package is imported from a notebook anywhere, with its types', async () => {
  kernel = await RawKernel.start(); // its folder is an empty one under the system's temporary folder
  const { reply, outputs } = await kernel.execute(`
    import * as pw from 'patchwise';
    const error = new pw.InvalidArgument('patch', 'three sizes', [1, 2]);
    error.argument`);
  expect(reply.status).toBe('ok');
  expect(outputs.at(-1)!.content.data['text/plain']).toBe("'patch'");
  const typed = await kernel.execute('error.argument.nonsense');
  expect(typed.reply.evalue).toContain("Property 'nonsense' does not exist on type 'string'");
  const completion = await kernel.request('complete_request', { code: 'pw.InvalidArg', cursor_pos: 13 });
  expect(completion.matches).toContain('InvalidArgument');

  // A local module beside the notebook, which imports the package itself.
  writeFileSync(
    join(kernel.folder, 'mine.ts'),
    `import { InvalidArgument } from 'patchwise';\nexport const fails = (): never => {\n  throw new InvalidArgument('a', 'b', 'c');\n};\n`,
  );
  const local = await kernel.execute(`import { fails } from './mine';\nfails()`);
  expect(local.reply).toMatchObject({ ename: 'InvalidArgument', evalue: 'a: expected b, received "c"' });
});

it("a notebook's own copy of the package comes first", async () => {
  kernel = await RawKernel.start({ PATCHWISE_TEST: '1' }, ['sh', '-c', ownCopyThen(), 'sh']);
  const { outputs } = await kernel.execute(`import { mine } from 'patchwise';\nmine`);
  expect(outputs.at(-1)!.content.data['text/plain']).toBe("'own copy'");
  // It has no patchwise/internal: its public names show its values and read the words of %run.
  expect(await kernel.value(`import { shown } from 'patchwise';\nshown`)).toBe('as the copy shows it');
  const { outputs: runs } = await kernel.execute('%run steps=7');
  expect(runs.at(-1)!.content.data['text/plain']).toContain("'steps=7'");
});

/** A shell that puts a package named patchwise beside the notebook before it becomes the kernel. */
function ownCopyThen(): string {
  const folder = 'node_modules/patchwise';
  const manifest = JSON.stringify({ name: 'patchwise', main: 'index.js', types: 'index.d.ts' });
  const code = `
    exports.mine = "own copy";
    exports.shown = { isOfTheCopy: true };
    exports.toBundle = (value) => value.isOfTheCopy && { "text/plain": "as the copy shows it" };
    exports.presets = {};
    exports.readConfig = async (_, { overrides }) => overrides;
    exports.train = async (config) => ({ live: () => config });`;
  return [
    `mkdir -p ${folder}`,
    `echo '${manifest}' > ${folder}/package.json`,
    `echo '${code}' > ${folder}/index.js`,
    `echo 'export declare const mine: string, shown: object; export type Run = object;' > ${folder}/index.d.ts`,
    `exec "${process.execPath}" "${KERNEL}" "$1"`,
  ].join(' && ');
}

it('the heart beats while a cell blocks the thread', async () => {
  kernel = await RawKernel.start(untyped);
  const id = await kernel.running('while (true);');
  await kernel.heartbeat.send('ping');
  const [pong] = await kernel.heartbeat.receive();
  expect(pong!.toString()).toBe('ping');
  kernel.send('control', 'interrupt_request', {});
  await kernel.finished(id);
});

it('shutdown_request is answered and ends the kernel, and the processes its cells left', async () => {
  kernel = await RawKernel.start(untyped);
  const { outputs } = await kernel.execute(
    `import { spawn } from 'node:child_process';\nspawn('sleep', ['600']).pid`,
  );
  const sleeper = Number(outputs.at(-1)!.content.data['text/plain']);
  expect(isAlive(sleeper)).toBe(true);
  const begun = Date.now();
  expect(await kernel.request('shutdown_request', { restart: false }, 'control')).toEqual({
    status: 'ok',
    restart: false,
  });
  expect(await kernel.exit).toEqual([0, null]);
  expect(Date.now() - begun).toBeLessThan(1500);
  await until(() => !isAlive(sleeper), 2000);
});

it('a run outlives the interrupt of its cell, and the kernel that started it', async () => {
  kernel = await RawKernel.start(untyped);
  const runs = join(kernel.folder, 'runs');
  await kernel.execute(`process.env.PATCHWISE_RUNS = ${JSON.stringify(runs)}`);
  const id = kernel.begin(
    `const run = await pw.train({ preset: 'toy', data: 'phantom:32x32x32', ranks: 1, steps: 1e7, seed: 1 });\nconsole.log(run.dir);\nawait run.done;`,
  );
  const dir = await until(() => kernel.textOf(id).trim() || undefined, 60_000);
  const run = await attach(dir);
  try {
    const step = async () => (await run.status()).step;
    await until(async () => ((await step()) > 2 ? true : undefined), 60_000);
    process.kill(kernel.child.pid!, 'SIGINT');
    expect((await kernel.finished(id)).reply).toMatchObject({ status: 'error', ename: 'Interrupted' });
    const afterInterrupt = await step();
    await until(async () => ((await step()) > afterInterrupt ? true : undefined), 60_000);
    await kernel.request('shutdown_request', { restart: false }, 'control');
    await kernel.exit;
    const afterShutdown = await step();
    await until(async () => ((await step()) > afterShutdown ? true : undefined), 60_000);
  } finally {
    expect((await run.stop()).state).toBe('stopped');
  }
}, 180_000);

it('a cell may end the process itself; what it printed before arrives', async () => {
  kernel = await RawKernel.start(untyped);
  const id = kernel.begin(`console.log('goodbye'); process.exit(7)`);
  expect(await kernel.exit).toEqual([7, null]);
  await until(() => kernel.textOf(id) === 'goodbye\n');
});

it('shutdown_request ends even a kernel whose cell never yields', async () => {
  kernel = await RawKernel.start(untyped);
  await kernel.running('while (true);');
  kernel.send('control', 'shutdown_request', { restart: true });
  const [code] = await kernel.exit;
  expect(code).toBe(0);
});

it('a kernel whose parent has died ends, even in a cell that never yields', async () => {
  // The shell writes the kernel's pid and ends; the kernel was told that the shell is its parent.
  const script = `JPY_PARENT_PID=$$ "${process.execPath}" "${KERNEL}" "$1" & echo $! > pid; read line < hold`;
  kernel = await RawKernel.start(untyped, ['sh', '-c', `mkfifo hold; ${script}`, 'sh']);
  const pid = Number((await import('node:fs')).readFileSync(join(kernel.folder, 'pid'), 'utf8'));
  expect(isAlive(pid)).toBe(true);
  await kernel.running('while (true);');
  kernel.child.kill('SIGKILL');
  await until(() => !isAlive(pid), 5000);
});

it('starts in a folder with a package that lacks ours', async () => {
  kernel = await RawKernel.start();
  mkdirSync(join(kernel.folder, 'node_modules/other'), { recursive: true });
  writeFileSync(join(kernel.folder, 'node_modules/other/index.js'), 'exports.other = 1');
  writeFileSync(join(kernel.folder, 'node_modules/other/index.d.ts'), 'export declare const other: number;');
  writeFileSync(
    join(kernel.folder, 'node_modules/other/package.json'),
    JSON.stringify({ name: 'other', main: 'index.js', types: 'index.d.ts' }),
  );
  const { outputs } = await kernel.execute(
    `import { other } from 'other';\nimport { PatchwiseError } from 'patchwise';\n[other, PatchwiseError.name]`,
  );
  expect(outputs.at(-1)!.content.data['text/plain']).toBe("[ 1, 'PatchwiseError' ]");
});
