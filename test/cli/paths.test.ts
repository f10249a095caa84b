import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program';
import { useBackend } from '../../src/compute/use-backend';
import { prepareRun } from '../../src/train/train';
import { phantom } from '../../src/volume/phantom/phantom';
import { writeVolume } from '../../src/volume/write';
import { untrained } from '../codes/untrained';
import { PatchwiseCommand } from '../command';
import { runHere } from '../command-here';
import { tiny } from '../train/tiny';

/** What stands in the place of a path's value in the calls below. */
const wrongThings = {
  'file to read': ['nothing', 'folder'],
  'file or folder to read': ['nothing'],
  'folder to read': ['nothing', 'file'],
  run: ['nothing', 'file', 'folder'],
  'file to write': ['folder', 'file/below.nii'],
  'NIfTI file to write': ['folder', 'file/below.nii', 'nothing/below.nii'],
  'picture to write': ['folder', 'file/below.pdf', 'nothing/below.pdf'],
  'folder to write': ['file', 'file/below'],
};

/** Every path that a command takes, and a call in which only the path, `@`, is wrong. */
const calls: Record<string, readonly [kind: keyof typeof wrongThings, call: string]> = {
  'plan config': ['file to read', 'plan @'],
  'plan --volume': ['file to read', 'plan --volume @'],
  'phantom file': ['NIfTI file to write', 'phantom @ --shape 8,8,8'],
  'convert in': ['file or folder to read', 'convert @ out'],
  'convert out': ['folder to write', 'convert folder @'],
  'prepare in': ['file or folder to read', 'prepare @ out'],
  'prepare out': ['folder to write', 'prepare a.nii @'],
  'prepare --csv': ['file to read', 'prepare a.nii out --csv @'],
  'train config': ['file to read', 'train @ --prepare'],
  'train --data': ['file or folder to read', 'train --preset toy --prepare --data @'],
  'runs show run': ['run', 'runs show @'],
  'runs show --figure': ['picture to write', 'runs show RUN --figure @'],
  'runs watch run': ['run', 'runs watch @ --once'],
  'runs compare runs': ['run', 'runs compare RUN @'],
  'runs save run': ['run', 'runs save @'],
  'runs remove runs': ['run', 'runs remove RUN @'],
  'runs stop run': ['run', 'runs stop @'],
  'runs resume run': ['run', 'runs resume @'],
  'runs logs run': ['run', 'runs logs @'],
  'rank dir': ['run', 'rank @'],
  'rank --run': ['run', 'rank --run @'],
  'supervise --run': ['run', 'supervise --run @'],
  'reconstruct run': ['run', 'reconstruct @ a.nii out.nii'],
  'reconstruct volume': ['file to read', 'reconstruct RUN @ out.nii'],
  'reconstruct output': ['NIfTI file to write', 'reconstruct RUN a.nii @'],
  'evaluate run': ['run', 'evaluate @ a.nii'],
  'evaluate volumes': ['file to read', 'evaluate RUN @'],
  'compare runs': ['run', 'compare RUN @ --volumes a.nii'],
  'compare --volumes': ['file to read', 'compare RUN OTHER --volumes @'],
  'encode run': ['run', 'encode @ a.nii -o out'],
  'encode volumes': ['file or folder to read', 'encode RUN @ -o out'],
  'encode --out': ['folder to write', 'encode RUN a.nii -o @'],
  'decode codes': ['file to read', 'decode @ out.nii'],
  'decode output': ['NIfTI file to write', 'decode a.npz @'],
  'decode --model': ['run', 'decode a.npz out.nii --model @'],
  'export run': ['run', 'export @ out.safetensors --format safetensors'],
  'export output': ['file to write', 'export RUN @ --format safetensors'],
  'import file': ['file to read', 'import @ out'],
  'import folder': ['folder to write', 'import model.safetensors @'],
  'notebook run file': ['file to read', 'notebook run @ -o out.ipynb'],
  'notebook run --volume': ['file or folder to read', 'notebook run n.ipynb --volume @ -o out.ipynb'],
  'notebook run --output': ['file to write', 'notebook run n.ipynb -o @'],
  'notebook run --html': ['file to write', 'notebook run n.ipynb -o out.ipynb --html @'],
  'notebook test paths': ['file or folder to read', 'notebook test n.ipynb @'],
  'kernel install --prefix': ['folder to write', 'kernel install --prefix @'],
  'kernel uninstall --prefix': ['folder to write', 'kernel uninstall --prefix @'],
  'backend build --libtorch': ['folder to read', 'backend build libtorch --libtorch @'],
  'backend build --tensorflow': ['folder to read', 'backend build tensorflow --tensorflow @'],
  'bench --data': ['file to read', 'bench gan --data @'],
};

/** What stands between `<` and `>` where a value is no path. */
const noPaths =
  /^(args|axes|GiB|mm|n|names?|number|part|prefix|preset|regex|seconds|t,v,t|text|type|value|weights|what|which|key=value|name=value|low,high|x,y,z)(\[:how\])?$/;

const folder = mkdtempSync(join(tmpdir(), 'patchwise-cli-paths-'));
const command = new PatchwiseCommand(() => folder);
const runs: Record<string, string> = {};

beforeAll(async () => {
  await useBackend('cpu');
  process.env.PATCHWISE_RUNS = join(folder, 'runs');
  delete process.env.npm_command; // or `rank` warns of npx
  await writeVolume(join(folder, 'a.nii'), phantom({ shape: [16, 16, 16] }));
  writeFileSync(join(folder, 'file'), 'text');
  mkdirSync(join(folder, 'folder'));
  writeFileSync(join(folder, 'folder', 'notes.txt'), 'of somebody');
  const cell = { cell_type: 'code', source: 'let volume = 1', metadata: { tags: ['parameters'] } };
  writeFileSync(join(folder, 'n.ipynb'), JSON.stringify({ nbformat: 4, metadata: {}, cells: [cell] }));
  for (const name of ['RUN', 'OTHER']) {
    const run = await prepareRun({ ...tiny, data: ['phantom:16x16x16'] });
    await untrained(run.dir, {});
    runs[name] = run.id;
  }
  await command.json('encode', runs.RUN!, 'a.nii', '-o', '.');
  await command.json('export', runs.RUN!, 'model.safetensors', '--format', 'safetensors');
}, 120_000);
afterAll(() => {
  delete process.env.PATCHWISE_RUNS;
  rmSync(folder, { recursive: true, force: true });
});

describe('paths on the command line', { timeout: 60_000 }, () => {
  it('of all commands are in this test', () => {
    expect(pathsOf(createProgram())).toEqual(Object.keys(calls));
  });

  const cases = Object.entries(calls).flatMap(([path, [kind, call]]) =>
    wrongThings[kind].map((wrong) => [path, wrong, call] as const),
  );

  it.each(cases)('%s refuses %s in one plain line, before anything is written', async (path, wrong, call) => {
    const before = entries();
    const args = call.split(' ').map((word) => (word === '@' ? wrong : (runs[word] ?? word)));
    const { code, stdout, stderr } = await runHere(folder, args);
    const lines = stderr.trimEnd().split('\n');
    const told = lines.filter((line) => /^(patchwise|error): /.test(line));
    expect([stdout, code === 1 || code === 2, told.length], stderr).toEqual(['', true, 1]);
    expect(stderr).not.toMatch(/^\s+at |a fault of Patchwise|illegal operation|no such file or directory, /m);
    expect(told[0]).toContain(wrong.split('/')[0]);
    if (process.env.SHOW) console.log(`${path} | ${code} | ${told[0]}`);
    expect(lines.length, stderr).toBeLessThanOrEqual(2);
    expect(entries()).toEqual(before);
  });
});

describe('a path whose reader explains the fault better', { timeout: 60_000 }, () => {
  it('is left to that reader: a link to a missing file', async () => {
    symlinkSync('gone.nii', join(folder, 'link.nii'));
    for (const call of ['prepare link.nii out', 'encode RUN link.nii -o out']) {
      const { code, stderr } = await runHere(
        folder,
        call.split(' ').map((word) => runs[word] ?? word),
      );
      expect([code, stderr]).toEqual([1, expect.stringContaining('a link to')]);
    }
    rmSync(join(folder, 'link.nii'));
  });

  it('hidden files alone do not make a folder something else', async () => {
    mkdirSync(join(folder, 'hidden'));
    writeFileSync(join(folder, 'hidden', '.gitkeep'), '');
    const made = await command.json('reconstruct', runs.RUN!, 'a.nii', 'hidden');
    expect(made.output).toContain('hidden');
  });
});

describe('a cohort with volumes that cannot be read', { timeout: 60_000 }, () => {
  it.each([
    ['evaluate RUN nothing a.nii folder file --json', ['folder', 'nothing', 'file']],
    ['compare RUN OTHER --volumes nothing a.nii folder file --json', ['folder', 'nothing', 'file']],
  ])('goes on, names them with their reasons and ends with 1: %s', async (call, bad) => {
    const { code, stdout, stderr } = await runHere(
      folder,
      call.split(' ').map((word) => runs[word] ?? word),
    );
    expect(code, stderr).toBe(1);
    const { rows, leftOut } = JSON.parse(stdout);
    const files = rows.map(({ file, volume }: { file?: string; volume?: string }) => file ?? volume);
    expect(new Set(files)).toEqual(new Set(['a.nii']));
    expect(leftOut.map(({ file }: { file: string }) => file)).toEqual(bad);
    expect(stderr.match(/^left out (\w+): expected /gm)).toEqual(
      bad.map((file) => `left out ${file}: expected `),
    );
  });
});

function entries(): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

/** Every value of a command and those below it that may be a path, as `reconstruct output` or `prepare --csv`. */
function pathsOf(command: Command, parents: readonly string[] = []): string[] {
  const values = [
    ...command.registeredArguments.map((argument) => [argument.name(), argument.name()] as const),
    ...command.options.map(({ long, flags }) => [long, /[<[](.*)[>\]]/.exec(flags)?.[1] ?? 'n'] as const),
  ];
  const own = values
    .filter(([, value]) =>
      value
        .replace('...', '')
        .split(' | ')
        .some((each) => !noPaths.test(each)),
    )
    .map(([name]) => [...parents, name].join(' '));
  return [...own, ...command.commands.flatMap((child) => pathsOf(child, [...parents, child.name()]))];
}
