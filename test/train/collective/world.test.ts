import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { visibleGpus } from '../../../src/compute/machine/gpus';
import { InvalidArgument } from '../../../src/errors';
import {
  firstHost,
  pinGpu,
  refuseOneGpu,
  sharesGpu,
  worldEnvironment,
  worldFromEnvironment,
} from '../../../src/train/collective/world';

describe('the place of a rank', () => {
  const torchrun = {
    ...{ RANK: '5', WORLD_SIZE: '8', LOCAL_RANK: '1', LOCAL_WORLD_SIZE: '4' },
    ...{ MASTER_ADDR: 'node0', MASTER_PORT: '29400' },
  };
  const place = { rank: 5, worldSize: 8, localRank: 1, localWorldSize: 4, address: 'node0', port: 29400 };

  it("is torchrun's variables, with its agent's store and the number of its restarts", () => {
    expect(worldFromEnvironment(torchrun)).toEqual({ ...place, storeIsServed: false, life: '0' });
    const agent = { ...torchrun, TORCHELASTIC_USE_AGENT_STORE: 'True', TORCHELASTIC_RESTART_COUNT: '2' };
    expect(worldFromEnvironment(agent)).toEqual({ ...place, storeIsServed: true, life: '2' });
    expect(worldEnvironment(place)).toEqual(torchrun);
    // A Slurm job may itself start torchrun.
    expect(worldFromEnvironment({ ...torchrun, SLURM_PROCID: '0', SLURM_NTASKS: '2' })).toMatchObject(place);
  });

  it("is srun's, with rank 0 on the first host of the step", () => {
    const slurm = {
      ...{ SLURM_PROCID: '5', SLURM_NTASKS: '8', SLURM_LOCALID: '1', SLURM_TASKS_PER_NODE: '4(x2)' },
      ...{ SLURM_NODELIST: 'gpu[07-08],login', SLURM_JOB_ID: '123456' },
    };
    expect(worldFromEnvironment(slurm)).toMatchObject({ ...place, address: 'gpu07', port: 18_456 });
    expect(worldFromEnvironment({ ...slurm, MASTER_PORT: '1234' }).port).toBe(1234);
    expect(() => worldFromEnvironment({ ...slurm, SLURM_NTASKS: undefined })).toThrow('WORLD_SIZE');
  });

  it.each([
    ['gpu[03-05,9],other', 'gpu03'],
    ['tux[3,5-6]', 'tux3'],
    ['rack[1-2]-node[08-10]', 'rack1-node08'],
    ['alone', 'alone'],
    ['a,b', 'a'],
  ])('the first host of %s is %s', (nodes, host) => {
    expect(firstHost(nodes)).toBe(host);
  });

  it('comes from an indexed job of Kubernetes, or from its PyTorchJob', () => {
    const pod = { JOB_COMPLETION_INDEX: '2', WORLD_SIZE: '3', MASTER_ADDR: 'job-0.svc' };
    const expected = { rank: 2, worldSize: 3, localRank: 0, localWorldSize: 1, address: 'job-0.svc' };
    expect(worldFromEnvironment(pod)).toMatchObject({ ...expected, port: 29_500 });
    const operator = { RANK: '2', WORLD_SIZE: '3', MASTER_ADDR: 'job-0.svc', MASTER_PORT: '23456' };
    expect(worldFromEnvironment({ ...operator, KUBERNETES_SERVICE_HOST: '10.0.0.1' })).toMatchObject(
      expected,
    );
  });

  it('is refused where a variable is missing or wrong, by its name', () => {
    expect(() => worldFromEnvironment({})).toThrow(InvalidArgument);
    expect(() => worldFromEnvironment({ ...torchrun, RANK: '8' })).toThrow(
      'RANK: expected a whole number from 0 to 7',
    );
    expect(() => worldFromEnvironment({ ...torchrun, MASTER_ADDR: '' })).toThrow('MASTER_ADDR');
  });
});

describe('devices', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('a rank sees one GPU: its own of those that its parent may see', () => {
    const gpus = ['2', 'GPU-8ab1', '5'];
    const shown = [0, 1, 2, 3].map((rank) => pinGpu(rank, gpus, 4).CUDA_VISIBLE_DEVICES);
    expect(shown).toEqual(['2', 'GPU-8ab1', '5', '2']);
    expect(pinGpu(1, gpus, 4).PATCHWISE_GPU).toBe('0');
    expect(pinGpu(0, [], 2)).toEqual({});
    vi.stubEnv('PATCHWISE_DEVICE', 'cuda:1');
    expect(pinGpu(0, gpus, 1)).toEqual({});
  });

  it('ranks that outnumber the GPUs share them, and are told so, however they were started', () => {
    driverLists(2);
    const gpus = visibleGpus();
    expect(gpus).toEqual(['0', '1']);
    expect([2, 3].map((ranks) => sharesGpu(ranks, pinGpu(0, gpus, ranks)))).toEqual([false, true]);
    for (const torchrun of [{}, { CUDA_VISIBLE_DEVICES: '0,1' }])
      expect([2, 3].map((ranks) => sharesGpu(ranks, torchrun))).toEqual([false, true]);
    expect([1, 2].map((ranks) => sharesGpu(ranks, { CUDA_VISIBLE_DEVICES: '1' }))).toEqual([false, true]);
  });

  it('to NCCL, parts of a card are one GPU', () => {
    const parts = ['MIG-aa', 'MIG-bb'];
    expect([1, 2].map((ranks) => sharesGpu(ranks, pinGpu(0, parts, ranks)))).toEqual([false, true]);
    expect(pinGpu(1, parts, 2).CUDA_VISIBLE_DEVICES).toBe('MIG-bb');
  });

  it('one GPU by its number is refused for several ranks', () => {
    vi.stubEnv('PATCHWISE_DEVICE', 'cuda:1');
    expect(() => refuseOneGpu(1)).not.toThrow();
    expect(() => refuseOneGpu(2)).toThrow(InvalidArgument);
    vi.stubEnv('PATCHWISE_DEVICE', 'cuda');
    expect(() => refuseOneGpu(2)).not.toThrow();
  });

  it('are numbered as nvidia-smi numbers them, unless the user numbers them otherwise', () => {
    const order = () => pinGpu(1, ['0', '1'], 2).CUDA_DEVICE_ORDER;
    vi.stubEnv('CUDA_VISIBLE_DEVICES', undefined);
    vi.stubEnv('CUDA_DEVICE_ORDER', 'FASTEST_FIRST');
    expect(order()).toBe('PCI_BUS_ID'); // these numbers are nvidia-smi's
    vi.stubEnv('CUDA_VISIBLE_DEVICES', '0,1');
    expect(order()).toBe('FASTEST_FIRST');
    vi.stubEnv('CUDA_DEVICE_ORDER', undefined);
    expect(order()).toBe('PCI_BUS_ID');
  });

  /** A driver's program on the path that lists so many GPUs. */
  function driverLists(count: number): void {
    const folder = mkdtempSync(join(tmpdir(), 'patchwise-smi-'));
    const lines = Array.from({ length: count }, (_, i) => `echo "GPU ${i}: NVIDIA H200 (UUID: GPU-${i})"\n`);
    writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\n${lines.join('')}`, { mode: 0o755 });
    vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
    vi.stubEnv('CUDA_VISIBLE_DEVICES', undefined);
    onTestFinished(() => rmSync(folder, { recursive: true }));
  }
});
