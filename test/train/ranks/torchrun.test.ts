import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compiledFile } from '../../../src/package';
import { builtC10d } from '../../../src/train/collective/c10d/addon';
import { prepareRun, train } from '../../../src/train/train';
import { curve, lastState, logOf, processesOf, tiny, until, useTemporaryRuns } from '../tiny';

const torchrun = process.env.PATCHWISE_PYTHON && join(dirname(process.env.PATCHWISE_PYTHON), 'torchrun');
const namespaces = [`pw-a-${process.pid}`, `pw-b-${process.pid}`] as const;
const addresses = ['10.77.13.1', '10.77.13.2'] as const;

function missing(): string | undefined {
  if (!torchrun || !existsSync(torchrun)) return 'no torchrun beside PATCHWISE_PYTHON';
  if (!builtC10d()) return 'c10d is not built (npx patchwise backend build libtorch)';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  if (!ip('netns', 'list')) return 'ip netns (iproute2) does not work here';
  return undefined;
}

function ip(...args: string[]): boolean {
  return spawnSync('ip', args).status === 0;
}

const reason = missing();
if (reason) console.error(`skipped: ${reason}`);

let removeRuns: () => void;
beforeAll(() => {
  removeRuns = useTemporaryRuns();
  if (reason) return;
  const [a, b] = namespaces;
  for (const command of [
    `netns add ${a}`,
    `netns add ${b}`,
    `link add pw0 netns ${a} type veth peer name pw0 netns ${b}`,
    ...[0, 1].flatMap((i) => [
      `-n ${namespaces[i]} addr add ${addresses[i]}/24 dev pw0`,
      `-n ${namespaces[i]} link set pw0 up`,
      `-n ${namespaces[i]} link set lo up`,
    ]),
  ])
    if (!ip(...command.split(' '))) throw new Error(`ip ${command} failed`);
});
afterAll(() => {
  if (!reason) for (const name of namespaces) ip('netns', 'del', name);
  removeRuns();
});

it.skipIf(reason)(
  'torchrun launches 2 x 2 ranks on two nodes, over Gloo, and the result is that of one host',
  { timeout: 240_000 },
  async () => {
    const options = { ...tiny, ranks: 4, steps: 8, backend: 'wasm' };
    const oneHost = await train(options);
    await oneHost.done;

    const run = await prepareRun(options);
    const nodes = namespaces.map((namespace, node) => {
      const launch = `--no-python --nnodes=2 --node-rank=${node} --nproc-per-node=2 --master-addr=${addresses[0]} --master-port=29417`;
      const rank = [process.execPath, compiledFile('src', 'cli.js'), 'rank', run.dir];
      const args = ['netns', 'exec', namespace, torchrun!, ...launch.split(' '), ...rank];
      const child = spawn('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data));
      return new Promise<string>((resolve, reject) => {
        child.on('exit', (code) => (code === 0 ? resolve(said) : reject(new Error(`node ${node}: ${said}`))));
      });
    });
    const said = await Promise.all(nodes);
    expect(said[0]).toContain('collective c10d: ranks are on several hosts');
    expect(await run.status()).toMatchObject({ state: 'done', step: 8 });
    const [wanted, got] = [curve(await oneHost.records()), curve(await run.records())];
    expect(got).toHaveLength(10);
    for (const [i, record] of wanted.entries())
      for (const [key, value] of Object.entries(record))
        if (typeof value === 'number') expect((got[i] as Record<string, number>)[key]).toBeCloseTo(value, 5);
    const state = await lastState(run);
    for (const [name, data] of await lastState(oneHost))
      for (const [i, value] of data.entries())
        expect(Math.abs(value - state.get(name)![i]!)).toBeLessThan(1e-5);
    expect(logOf(oneHost, 'rank-0')).toContain('collective local: all ranks are on one host');
    await until(() => processesOf(run).length === 0);
  },
);
