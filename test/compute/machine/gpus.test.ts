import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { figuresIn } from '../../../src/compute/libtorch/addon';
import { bf16Problem, cudnnName, cureOf } from '../../../src/compute/libtorch/backend';
import { idleGpus, installedGpus, parseGpuList, visibleGpus } from '../../../src/compute/machine/gpus';
import { PatchwiseCommand } from '../../command';

const fourGpus = [0, 1, 2, 3].map((i) => `GPU ${i}: NVIDIA H200 (UUID: GPU-${i})`).join('\n');
let folder: string;
let kept: NodeJS.ProcessEnv;

/** A driver's program that lists four GPUs, before all others on the path. */
beforeEach(() => {
  kept = { ...process.env };
  folder = mkdtempSync(join(tmpdir(), 'patchwise-gpus-'));
  const program = join(folder, 'nvidia-smi');
  writeFileSync(program, `#!/bin/sh\ncat <<END\n${fourGpus}\nEND\n`);
  chmodSync(program, 0o755);
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
    expect(visibleGpus({ CUDA_VISIBLE_DEVICES: '2, GPU-8ab1 ,-1,0' })).toEqual(['2', 'GPU-8ab1']);
    expect(visibleGpus({ CUDA_VISIBLE_DEVICES: '' })).toEqual([]);
  });

  it('are the parts of one that is divided', () => {
    const listed =
      'GPU 0: NVIDIA H200 (UUID: GPU-0)\n' +
      '  MIG 3g.71gb     Device  0: (UUID: MIG-aa)\n  MIG 3g.71gb     Device  1: (UUID: MIG-bb)\n' +
      'GPU 1: NVIDIA H200 (UUID: GPU-1)\n';
    expect(parseGpuList(listed)).toEqual(['MIG-aa', 'MIG-bb', '1']);
  });

  it('that are not used are told, with the reason, unless the CPU is asked for', () => {
    expect(idleGpus('why')).toBe('this host has 4 GPU(s), and the CPU computes: why');
    process.env.CUDA_VISIBLE_DEVICES = '-1';
    expect(idleGpus('why')).toContain('CUDA_VISIBLE_DEVICES="-1" hides them');
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
  ])('is an error with the cause for %s, %j', async (device, environment) => {
    const { code, stderr } = await run(training, { PATCHWISE_DEVICE: device, ...environment });
    expect(code).toBe(1);
    expect(stderr).toContain(`PATCHWISE_DEVICE asks for ${device}`);
    expect(stderr).toMatch(/unset PATCHWISE_DEVICE/i);
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

  it('of versions decides whether bf16 can be trusted', () => {
    expect([91_501, 90_800, 8902].map(cudnnName)).toEqual(['9.15.1', '9.8.0', '8.9.2']);
    expect(bf16Problem('2.8.0', 91_002)).toContain('cuDNN 9.10.2 computes wrong');
    expect(bf16Problem('2.9.0', 91_501)).toContain('without cuDNN');
    expect(bf16Problem('2.11.0', 91_900)).toBeUndefined();
    expect(bf16Problem('2.7.1', 90_501)).toBeUndefined();
  });
});
