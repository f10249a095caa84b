import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useBackend } from '../../src/compute/use-backend';
import { exportSafetensors } from '../../src/interchange/export';
import { importSafetensors } from '../../src/interchange/import';
import { fromTorch, toTorch } from '../../src/interchange/torch';
import type { ModelConfig } from '../../src/model/config';
import { presetNamed } from '../../src/model/presets';
import { VqGan } from '../../src/model/vqgan';
import { reconstruct } from '../../src/reconstruct/reconstruct';
import { readForeignSafetensors, writeSafetensors } from '../../src/safetensors';
import { readCheckpoint } from '../../src/train/record/checkpoint';
import { phantom } from '../../src/volume/phantom/phantom';
import { untrained } from '../codes/untrained';
import { normal } from '../conformance/tensors';
import { reconstruct as reconstructPatch } from '../model/plain';
import { relativeError } from '../model/reference';
import { pythonWith } from '../python';

const folder = mkdtempSync(join(tmpdir(), 'patchwise-interchange-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeAll(() => useBackend('cpu'));

const fixtures = join(__dirname, '../fixtures/torch');
const file = join(fixtures, 'vqgan.safetensors');
/** What the arrays cannot tell of the fixture's model. */
const model = { downsample: [4, 2, 4], groups: 2 } as const;
const patch = [12, 4, 8] as const;

function load(checkpoint: string): VqGan {
  const { state, model: arrays } = readCheckpoint(checkpoint);
  const vqgan = new VqGan(state.config.model, 0);
  vqgan.load(arrays);
  return vqgan;
}

it('a PyTorch model computes here what it computes there', async () => {
  const expected = JSON.parse(readFileSync(join(fixtures, 'torch.json'), 'utf8')) as Record<string, number[]>;
  const imported = await importSafetensors(file, join(folder, 'imported'), { model, patch });
  expect(imported.model).toMatchObject({
    hidden: 2,
    codeDim: 3,
    codes: 12,
    encoderBlocks: 1,
    decoderBlocks: 2,
  });
  expect(imported.ignored).toEqual([
    'vqgan.image_discriminator.model0.0.weight',
    'vqgan.image_discriminator.model1.1.num_batches_tracked',
  ]);
  const vqgan = load(imported.checkpoint);
  const x = tf.tensor5d(Float32Array.from(expected.x!), [1, 8, 4, 12, 1]);
  const { codes } = vqgan.quantise(vqgan.encode(x));
  expect([...codes.dataSync()]).toEqual(expected.codes);
  expect(relativeError(reconstructPatch(vqgan, x).dataSync(), expected.y!)).toBeLessThan(1e-4);
});

it('comes back unchanged from a round trip, and other calls accept the folder as a model', async () => {
  const back = join(folder, 'back.safetensors');
  const { checkpoint } = await importSafetensors(file, join(folder, 'there'), { model, patch });
  await exportSafetensors(checkpoint, back);
  const [before, after] = [readForeignSafetensors(file), readForeignSafetensors(back)];
  const expected = [...before.tensors].filter(([name]) => !name.includes('discriminator'));
  expect(after.tensors).toEqual(
    new Map(expected.map(([name, tensor]) => [name.replace('vqgan.', ''), tensor])),
  );
  // Its metadata say everything: no options now.
  const again = await importSafetensors(back, join(folder, 'again'));
  expect(readCheckpoint(again.checkpoint).model).toEqual(readCheckpoint(checkpoint).model);
  const volume = phantom({ shape: [12, 8, 8], seed: 1 });
  const options = { backend: 'cpu', workers: 1 } as const;
  const [one, other] = [
    await reconstruct(checkpoint, volume, options),
    await reconstruct(join(folder, 'again'), volume, options),
  ];
  expect(other.data).toEqual(one.data);
  expect(one.intensity.name).toContain('min');
});

it('every quantiser survives the round trip', async () => {
  for (const [name, model] of Object.entries({
    simvq: { quantiser: 'simvq', codes: 16 },
    residual: { quantiser: 'residual', codes: 16, codebooks: 3 },
    fsq: { quantiser: 'fsq', codes: 64 },
  } as const)) {
    const from = await untrained(join(folder, name), model);
    await exportSafetensors(from, join(folder, `${name}.safetensors`));
    const { checkpoint } = await importSafetensors(
      join(folder, `${name}.safetensors`),
      join(folder, `${name}-again`),
    );
    expect(readCheckpoint(checkpoint).model, name).toEqual(readCheckpoint(from).model);
  }
});

it('half precision becomes single, and is read right', () => {
  const values = {
    F16: [0x3c00, 0xc100, 0x0001, 0x7bff, 0xfc00],
    BF16: [0x3f80, 0xc020, 0x0001, 0x7f7f, 0xff80],
  };
  const bytes = Buffer.from(Uint16Array.from(Object.values(values).flat()).buffer);
  const header = JSON.stringify({
    half: { dtype: 'F16', shape: [5], data_offsets: [0, 10] },
    brain: { dtype: 'BF16', shape: [5], data_offsets: [10, 20] },
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const path = join(folder, 'half.safetensors');
  writeFileSync(path, Buffer.concat([length, Buffer.from(header), bytes]));
  const { tensors } = readForeignSafetensors(path);
  const infinity = Number.POSITIVE_INFINITY;
  expect([...tensors.get('half')!.data]).toEqual([1, -2.5, Math.fround(2 ** -24), 65504, -infinity]);
  expect([...tensors.get('brain')!.data]).toEqual([
    1,
    -2.5,
    2 ** -133,
    Math.fround(3.3895313892515355e38),
    -infinity,
  ]);
});

it('refuses a file that is not such a model, and says which array is wrong', async () => {
  const { tensors } = readForeignSafetensors(join(folder, 'back.safetensors'));
  const attempt = (change: (all: Map<string, { shape: readonly number[]; data: Float32Array }>) => void) => {
    const arrays = new Map(tensors);
    change(arrays);
    const path = join(folder, 'wrong.safetensors');
    writeSafetensors(path, arrays);
    return importSafetensors(path, join(folder, 'wrong'), { model, patch });
  };
  await expect(attempt((all) => all.delete('decoder.conv_last.conv.bias'))).rejects.toThrow(
    /decoder\.conv_last/,
  );
  await expect(attempt((all) => all.clear())).rejects.toThrow(/encoder\.conv_first/);
  await expect(
    attempt((all) => all.set('pre_vq_conv.conv.bias', { shape: [2], data: new Float32Array(2) })),
  ).rejects.toThrow(/pre_vq_conv\.conv\.bias/);
  // One number fills no array of three.
  await expect(
    attempt((all) => all.set('pre_vq_conv.conv.bias', { shape: [1], data: new Float32Array(1) })),
  ).rejects.toThrow(/pre_vq_conv\.conv\.bias/);
  for (const value of [Number.NaN, Number.NEGATIVE_INFINITY])
    await expect(
      attempt((all) => all.set('pre_vq_conv.conv.bias', { shape: [3], data: Float32Array.of(1, value, 1) })),
    ).rejects.toThrow(/finite numbers, found NaN or infinity in pre_vq_conv\.conv\.bias/);
});

it('asks for the groups of a model that cannot have the default ones', async () => {
  const options = { model: { downsample: model.downsample }, patch };
  await expect(importSafetensors(file, join(folder, 'groups'), options)).rejects.toThrow(
    /^groups: .*channels, which 32 groups do not divide/,
  );
});

describe('a damaged file', () => {
  const path = join(folder, 'damaged.safetensors');
  const attempt = (header: unknown) => {
    const json = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    writeFileSync(path, Buffer.concat([length, json, Buffer.alloc(16)]));
    return importSafetensors(path, join(folder, 'damaged'));
  };

  it.each([[null], ['text'], [[]]])('is refused where its header is %j', async (header) => {
    await expect(attempt(header)).rejects.toThrow(/damaged\.safetensors: .*no JSON object/);
  });

  it.each([
    [null],
    [{ dtype: 'F32', shape: [2] }],
    [{ dtype: 'F32', data_offsets: [0, 8] }],
    [{ dtype: 'F32', shape: [2], data_offsets: [-8, 0] }],
    [{ dtype: 'F32', shape: [-1, -2], data_offsets: [0, 8] }],
    [{ dtype: 'F32', shape: [2], data_offsets: [8, 0] }],
    [{ shape: [2], data_offsets: [0, 8] }],
  ])('is refused where it has a tensor that is %j', async (entry) => {
    await expect(attempt({ weight: entry })).rejects.toThrow(/damaged\.safetensors: .*weight without a type/);
  });

  it.each([['{'], ['null'], [5]])('is refused where our metadata are %j', async (patchwise) => {
    const weight = { dtype: 'F32', shape: [2, 1, 1, 1, 1], data_offsets: [0, 8] };
    const header = { __metadata__: { patchwise }, 'encoder.conv_first.conv.weight': weight };
    await expect(attempt(header)).rejects.toThrow(/metadata `patchwise` as export writes it/);
  });
});

describe('a file with several models', () => {
  type Arrays = ReturnType<typeof readForeignSafetensors>['tensors'];
  const { tensors } = readForeignSafetensors(file);
  const own = new Map(
    [...tensors]
      .filter(([name]) => !name.includes('discriminator'))
      .map(([name, array]) => [name.replace('vqgan.', ''), array]),
  );
  const prefixed = (prefix: string, arrays: Arrays = own) =>
    [...arrays].map(([name, array]) => [prefix + name, array] as const);
  const doubled: Arrays = new Map(
    [...own].map(([name, { shape, data }]) => [name, { shape, data: data.map((v) => 2 * v) }]),
  );
  const attempt = (
    arrays: Iterable<readonly [string, Arrays extends Map<string, infer A> ? A : never]>,
    prefix?: string,
  ) => {
    const path = join(folder, 'several.safetensors');
    writeSafetensors(path, new Map(arrays));
    return importSafetensors(path, join(folder, 'several'), { model, patch, prefix });
  };
  const lastBias = (checkpoint: string) =>
    readCheckpoint(checkpoint).model.get('decoder.conv_last.conv.bias')!.data[0];
  const bias = own.get('decoder.conv_last.conv.bias')!.data[0]!;

  it('is refused with the prefixes it has, unless one is chosen', async () => {
    const both = [...prefixed('model.'), ...prefixed('ema_model.', doubled)];
    await expect(attempt(both)).rejects.toThrow(/prefix: .*holds 2.*allowed: "model\.", "ema_model\."/);
    await expect(attempt(both, 'swa')).rejects.toThrow(/received "swa"; allowed: "model\."/);
    for (const [prefix, factor] of [
      ['model', 1],
      ['ema_model.', 2],
    ] as const) {
      const { checkpoint, ignored } = await attempt(both, prefix);
      expect(lastBias(checkpoint)).toBe(Math.fround(factor * bias));
      expect(ignored).toHaveLength(own.size);
      expect(ignored.every((name) => name.startsWith(factor === 1 ? 'ema_model.' : 'model.'))).toBe(true);
    }
  });

  it('may have one without a prefix, or one prefix inside another', async () => {
    const bare = [...own, ...prefixed('average.', doubled)];
    await expect(attempt(bare)).rejects.toThrow(/allowed: "", "average\."/);
    expect(lastBias((await attempt(bare, '')).checkpoint)).toBe(bias);
    const nested = [...prefixed('model.average.', doubled), ...prefixed('model.')];
    expect(lastBias((await attempt(nested, 'model')).checkpoint)).toBe(bias);
  });

  it('does not lend its arrays to another model', async () => {
    const half = new Map([...own].filter(([name]) => !name.startsWith('decoder.')));
    const lent = [...prefixed('model.', half), ...[...own].filter(([name]) => name.startsWith('decoder.'))];
    await expect(attempt(lent)).rejects.toThrow(/an array decoder\./);
  });

  it('is refused if its generator has more arrays than ours', async () => {
    const extra = { shape: [1], data: Float32Array.of(1) };
    for (const name of ['encoder.extra.weight', 'decoder.conv_blocks.0.attn.q.weight', 'codebook.scale'])
      await expect(attempt([...prefixed('vqgan.'), [`vqgan.${name}`, extra]])).rejects.toThrow(
        `vqgan.${name}, which it has no place for`,
      );
  });
});

it.each([
  ['zip', Buffer.from('PK\x03\x04 rest of the archive', 'latin1')],
  ['pickle', Buffer.from('80028a0a6cfc9c46f920', 'hex')],
])('a PyTorch checkpoint (%s) is named, with what makes safetensors of it', async (kind, bytes) => {
  const path = join(folder, 'last.ckpt');
  writeFileSync(path, bytes);
  const told = await importSafetensors(path, join(folder, 'never')).catch((error: Error) => error.message);
  expect(told).toContain(`a PyTorch checkpoint (${kind})`);
  expect(told).toContain(`torch.load("${path}"`);
  expect(told).toContain(`save_file(tensors, "${join(folder, 'last.safetensors')}")`);
});

it('the axes of a transposed convolution are not those of a convolution', () => {
  const shape = [1, 2, 3, 4, 5];
  const array = { shape, data: Float32Array.from({ length: 120 }, (_, i) => i) };
  expect(toTorch('a.conv.weight', array).shape).toEqual([5, 4, 1, 2, 3]);
  expect(toTorch('a.convt.weight', array).shape).toEqual([4, 5, 1, 2, 3]);
  // [kd 0, kh 1, kw 2, in 3, out 4]
  const at = (0 + 1) * 60 + 2 * 20 + 3 * 5 + 4;
  expect(toTorch('a.conv.weight', array).data[((4 * 4 + 3) * 2 + 1) * 3 + 2]).toBe(at);
  expect(toTorch('a.convt.weight', array).data[((3 * 5 + 4) * 2 + 1) * 3 + 2]).toBe(at);
  for (const name of ['a.conv.weight', 'a.convt.weight'])
    expect(fromTorch(name, toTorch(name, array))).toEqual(array);
});

const python = pythonWith('torch', 'numpy');
it.skipIf(!python).each([
  [
    'of a few weights',
    { hidden: 4, groups: 2, codes: 24, downsample: [4, 2, 2], encoderBlocks: 1, decoderBlocks: 2 },
  ],
  ['of the guide, with its 22 million weights', presetNamed('guide').model],
] as [string, Partial<ModelConfig>][])(
  'a model %s computes in PyTorch what it computes here',
  async (name, config) => {
    await useBackend('wasm');
    const checkpoint = await untrained(join(folder, name), config);
    const path = join(folder, `${name}.safetensors`);
    await exportSafetensors(checkpoint, path);
    const vqgan = load(checkpoint);
    const x = normal(3, [1, 8, 8, 12, 1]);
    const y = reconstructPatch(vqgan, tf.tensor5d(x, [1, 8, 8, 12, 1])).dataSync<'float32'>();
    vqgan.dispose();
    writeFileSync(join(folder, 'x.f32'), new Uint8Array(x.buffer));
    writeFileSync(join(folder, 'y.f32'), new Uint8Array(y.slice().buffer));
    const args = ['check', path, join(folder, 'x.f32'), join(folder, 'y.f32')];
    const out = execFileSync(python!, ['-B', join(fixtures, 'generate.py'), ...args], { encoding: 'utf8' });
    const { error, buffers } = JSON.parse(out) as { error: number; buffers: string[] };
    expect(error).toBeLessThan(1e-4);
    expect(buffers).toEqual(['N', 'embeddings', 'z_avg']);
    await useBackend('cpu');
  },
  120_000,
);
