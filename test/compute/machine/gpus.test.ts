import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { figuresIn } from '../../../src/compute/libtorch/addon';
import { cudnnName, cureOf, precisionProblem } from '../../../src/compute/libtorch/backend';
import {
  deviceFiles,
  idleGpus,
  installedGpus,
  parseGpuList,
  visibleGpus,
} from '../../../src/compute/machine/gpus';
import { useBackend } from '../../../src/compute/use-backend';
import { PatchwiseCommand } from '../../command';

const fourGpus = [0, 1, 2, 3].map((i) => `GPU ${i}: NVIDIA H200 (UUID: GPU-${i})`);
let folder: string;
let kept: NodeJS.ProcessEnv;

/** What the driver's program prints, which comes before all others on the path. */
function driverLists(lines: readonly string[]): void {
  const program = join(folder, 'nvidia-smi');
  writeFileSync(program, `#!/bin/sh\ncat <<END\n${lines.join('\n')}\nEND\n`);
  chmodSync(program, 0o755);
}

beforeEach(() => {
  kept = { ...process.env };
  folder = mkdtempSync(join(tmpdir(), 'patchwise-gpus-'));
  driverLists(fourGpus);
  process.env.PATH = `${folder}${delimiter}${process.env.PATH}`;
  for (const name of ['CUDA_VISIBLE_DEVICES', 'PATCHWISE_DEVICE', 'PATCHWISE_BACKEND'])
    delete process.env[name];
});
afterEach(() => {
  process.env = kept;
  rmSync(folder, { recursive: true, force: true });
});

describe('the GPUs of a host', () => {
  it('are those that nvidia-smi lists, without the hidden ones', () => {
    expect(installedGpus()).toEqual(['0', '1', '2', '3']);
    expect(visibleGpus()).toEqual(['0', '1', '2', '3']);
    expect(visibleGpus({ CUDA_VISIBLE_DEVICES: '' })).toEqual([]);
  });

  it.each([
    ['2, GPU-3 ,-1,0', ['2', 'GPU-3']],
    ['1,7,0', ['1']], // 7 is no GPU, and CUDA reads no further
    ['GPU-ffff,0', []],
    ['GPU-', ['GPU-']],
    ['1,1', []], // CUDA refuses what is named twice
    ['MIG-aa', []],
    ['gpu0', []],
  ])('of CUDA_VISIBLE_DEVICES="%s" are %j', (names, expected) => {
    expect(visibleGpus({ CUDA_VISIBLE_DEVICES: names })).toEqual(expected);
  });

  it('are the parts of one that is divided', () => {
    const uuids = ['MIG-5f7e0f5f-a9b3-5e7e-8a4c-0cbd8c1b2a11', 'MIG-8d1c0d11-62d1-5c5c-9d0b-7d0c7c8e1b22'];
    const parts = uuids.map((uuid, i) => `  MIG 3g.71gb     Device  ${i}: (UUID: ${uuid})`);
    const listed = ['GPU 0: NVIDIA H200 (UUID: GPU-0)', ...parts, 'GPU 1: NVIDIA H200 (UUID: GPU-1)'];
    driverLists(listed);
    expect(installedGpus()).toEqual([...uuids, '1']);
    expect(parseGpuList(listed.join('\n'))[0]).toEqual({ index: '0', uuid: 'GPU-0', parts: uuids });
    for (const name of ['MIG-8d1c0d11', 'MIG-GPU-0/1/0', '0', uuids[1]!])
      expect(visibleGpus({ CUDA_VISIBLE_DEVICES: name })).toEqual([name]);
    expect(visibleGpus({ CUDA_VISIBLE_DEVICES: 'MIG-9' })).toEqual([]);
  });

  it('are those that the driver gives to this process, if nvidia-smi is not here', () => {
    const dev = join(folder, 'dev');
    mkdirSync(dev);
    for (const name of ['nvidia10', 'nvidia2', 'nvidiactl', 'nvidia-uvm']) writeFileSync(join(dev, name), '');
    // No user, root included, may write there: so a container's rules refuse a device.
    symlinkSync('/proc/sys/kernel/ostype', join(dev, 'nvidia3'));
    const [first, second, third] = deviceFiles(dev);
    expect([first, third]).toEqual(['nvidia2', 'nvidia10'].map((name) => ({ file: join(dev, name) })));
    expect(second).toEqual({
      file: join(dev, 'nvidia3'),
      refusal: expect.stringMatching(/^(EACCES|EPERM|EROFS)$/),
    });
  });

  it('that are not used are told, with the reason, unless the CPU is asked for', () => {
    expect(idleGpus('why')).toBe('this host has 4 GPU(s), and the CPU computes: why');
    process.env.CUDA_VISIBLE_DEVICES = '-1';
    expect(idleGpus('why')).toContain('CUDA_VISIBLE_DEVICES="-1" hides them. Unset CUDA_VISIBLE_DEVICES, or');
    process.env.CUDA_VISIBLE_DEVICES = '4';
    expect(idleGpus('why')).toContain('CUDA_VISIBLE_DEVICES="4" names none of them');
    process.env.CUDA_VISIBLE_DEVICES = '3';
    expect(idleGpus('why')).toContain('the CPU computes: why');
    process.env.PATCHWISE_DEVICE = 'cpu';
    expect(idleGpus('why')).toBeUndefined();
  });
});

describe('a GPU that is asked for and cannot be had', { timeout: 120_000 }, () => {
  const command = new PatchwiseCommand(() => folder);
  const run = (text: string, environment: Record<string, string>) => {
    Object.assign(process.env, environment);
    return command.run(text.split(' '));
  };
  const small = 'model.hidden=4 model.groups=1 model.codes=16 patch=16,16,16';
  const training = `train --data phantom:32x32x32 --steps 1 --set ${small}`;

  it.each([
    ['cuda', {}],
    ['cuda:1', {}],
    ['cuda', { PATCHWISE_BACKEND: 'wasm' }],
    ['cuda', { PATCHWISE_BACKEND: 'cpu' }],
  ])('is an error of train with the cause for %s, %j', async (device, environment) => {
    const { code, stderr } = await run(training, { PATCHWISE_DEVICE: device, ...environment });
    expect(code).toBe(1);
    expect(stderr).toContain(`PATCHWISE_DEVICE asks for ${device}`);
    expect(stderr).toMatch(/unset PATCHWISE_DEVICE/i);
  });

  it('is an error of every command that computes, and of a notebook', async () => {
    process.env.PATCHWISE_RUNS = join(folder, 'runs');
    const trained = await run(training, {});
    expect(trained.code).toBe(0);
    const id = readdirSync(join(folder, 'runs')).find((name) => !name.startsWith('.'))!;
    const rank = {
      RANK: '0',
      WORLD_SIZE: '1',
      LOCAL_RANK: '0',
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: '29511',
    };
    const ct = join(folder, 'ct.nii');
    expect((await run(`phantom ${ct} --shape 32`, {})).code).toBe(0);
    const commands: [string, Record<string, string>?][] = [
      [`rank ${join(folder, 'runs', id)}`, rank],
      [`reconstruct ${id} ${ct} ${join(folder, 'out.nii')}`],
      [`encode ${id} ${ct} --out ${join(folder, 'codes')}`],
      [`evaluate ${id} ${ct}`],
    ];
    for (const [command, environment = {}] of commands) {
      const { code, stderr } = await run(command, { PATCHWISE_DEVICE: 'cuda', ...environment });
      for (const name of Object.keys(environment)) delete process.env[name];
      expect(stderr, command).toContain('PATCHWISE_DEVICE asks for cuda');
      expect(code, command).toBe(1);
      const odd = await run(command, { PATCHWISE_DEVICE: 'gpu', ...environment });
      for (const name of Object.keys(environment)) delete process.env[name];
      expect(odd.stderr, command).toContain('PATCHWISE_DEVICE: expected a device, received "gpu"');
      expect(odd.code, command).not.toBe(0);
    }
    await expect(useBackend()).rejects.toThrow(/PATCHWISE_DEVICE.*"gpu".*llowed: cpu, cuda, cuda:N/);
    process.env.PATCHWISE_DEVICE = 'cuda';
    for (const name of ['auto', 'wasm', 'cpu'])
      await expect(useBackend(name)).rejects.toThrow('PATCHWISE_DEVICE asks for cuda');
  });

  it('is refused if it is one GPU for several ranks', async () => {
    const { code, stderr } = await run(`${training} ranks=2`, { PATCHWISE_DEVICE: 'cuda:1' });
    expect(stderr).toContain('a device that gives each of 2 ranks a GPU, received "cuda:1"');
    expect(code).toBe(1);
  });

  it('is WRONG in doctor, even if nobody asks for it and the CPU is used', async () => {
    const { code, stdout } = await run('doctor', {});
    expect(stdout).toMatch(/WRONG +backend of runs +this host has 4 GPU\(s\), and the CPU computes: \S/);
    expect(code).toBe(1);
  });

  it('is told at the start of every run that computes on the CPU', async () => {
    const { code, stderr } = await run(training.replace('--steps 1', '--steps 60'), {});
    expect(code).toBe(0);
    expect(stderr).toContain('! this host has 4 GPU(s), and the CPU computes');
  });
});

describe('what CUDA says', () => {
  it('leads to the cure', () => {
    expect(cureOf('this libtorch was built without CUDA')).toContain('pip install torch');
    expect(cureOf('The NVIDIA driver on your system is too old (found version 11040).')).toContain('Update');
    expect(cureOf('Found no NVIDIA driver on your system.')).toContain('Install the NVIDIA driver');
    expect(cureOf('CUDA starts, and shows no GPU')).toContain('CUDA_VISIBLE_DEVICES');
  });

  it('of memory is read for its figures', () => {
    const message =
      'CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 139.80 GiB of which 1.2 GiB is free.';
    expect(figuresIn(message)).toEqual({ bytes: 2.5 * 2 ** 30, limit: Math.round(139.8 * 2 ** 30) });
    expect(figuresIn('CUDNN_STATUS_ALLOC_FAILED')).toEqual({});
  });

  it('of versions decides which precision can be trusted', () => {
    expect([91_501, 90_800, 8902].map(cudnnName)).toEqual(['9.15.1', '9.8.0', '8.9.2']);
    expect(precisionProblem('bf16', '2.8.0', 91_002)).toContain('cuDNN 9.10.2 computes wrong');
    expect(precisionProblem('bf16', '2.9.0', 91_501)).toContain('without cuDNN');
    expect(precisionProblem('tf32', '2.8.0', 91_002)).toContain('cuDNN 9.10.2 computes wrong');
    for (const [precision, torch, cudnn] of [
      ['bf16', '2.11.0', 91_900],
      ['bf16', '2.7.1', 90_501],
      ['tf32', '2.9.0', 91_501],
      ['tf32', '2.8.0', 90_901],
      ['float32', '2.8.0', 91_002],
    ] as const)
      expect(precisionProblem(precision, torch, cudnn)).toBeUndefined();
  });
});
