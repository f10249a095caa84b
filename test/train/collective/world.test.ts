import { describe, expect, it } from 'vitest';
import { visibleGpus } from '../../../src/compute/machine/gpus';
import { InvalidArgument } from '../../../src/errors';
import {
  firstHost,
  pinGpu,
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
  it('a rank sees one GPU: its own of those that its parent may see', () => {
    const gpus = visibleGpus({ CUDA_VISIBLE_DEVICES: '2,GPU-8ab1,5' });
    expect([0, 1, 2, 3].map((rank) => pinGpu(rank, gpus, 4).CUDA_VISIBLE_DEVICES)).toEqual([
      '2',
      'GPU-8ab1',
      '5',
      '2',
    ]);
    expect(pinGpu(1, gpus, 4).PATCHWISE_GPU).toBe('0');
    expect(pinGpu(0, visibleGpus({ CUDA_VISIBLE_DEVICES: '' }), 2)).toEqual({});
    expect(pinGpu(0, visibleGpus({ CUDA_VISIBLE_DEVICES: '-1' }), 2)).toEqual({});
  });

  it('ranks that outnumber the GPUs share them, and are told so, however they were started', () => {
    const gpus = ['0', '1'];
    expect([2, 3].map((ranks) => sharesGpu(ranks, pinGpu(0, gpus, ranks)))).toEqual([false, true]);
    const torchrun = { CUDA_VISIBLE_DEVICES: '0,1' };
    expect([2, 3].map((ranks) => sharesGpu(ranks, torchrun))).toEqual([false, true]);
  });

  it('ranks that are all told one GPU share it', () => {
    const named = { CUDA_VISIBLE_DEVICES: '0,1,2,3', PATCHWISE_DEVICE: 'cuda:1' };
    expect([1, 2].map((ranks) => sharesGpu(ranks, named))).toEqual([false, true]);
    expect(sharesGpu(4, { ...named, PATCHWISE_DEVICE: 'cuda' })).toBe(false);
  });

  it('counts GPUs as nvidia-smi does, unless their names were given', () => {
    const { CUDA_VISIBLE_DEVICES: given } = process.env;
    delete process.env.CUDA_VISIBLE_DEVICES;
    expect(pinGpu(1, ['0', '1'], 2).CUDA_DEVICE_ORDER).toBe('PCI_BUS_ID');
    process.env.CUDA_VISIBLE_DEVICES = '0,1';
    expect(pinGpu(1, ['0', '1'], 2).CUDA_DEVICE_ORDER).toBeUndefined();
    if (given === undefined) delete process.env.CUDA_VISIBLE_DEVICES;
    else process.env.CUDA_VISIBLE_DEVICES = given;
  });
});
