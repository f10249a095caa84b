import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, InvalidArgument, UnreadableFile } from '../errors';
import { checkModelConfig, type ModelConfig, stages } from '../model/config';
import { PRESETS } from '../model/presets';
import { asItWas, fitQuantiser } from '../model/quantisers/registry';
import { sizeOf } from '../model/weights';
import { version } from '../package';
import { readForeignSafetensors, type StoredTensor } from '../safetensors';
import type { Given } from '../setting';
import { saveCheckpoint } from '../train/record/checkpoint';
import { resolveConfig } from '../train/settings/config';
import type { Size, Vec3 } from '../vec3';
import type { IntensitySpec } from '../volume/intensity';
import { chooseCopy, FIRST, few } from './copies';
import { fromTorch } from './torch';
import { INITIALISED, stateShapes } from './trained';

export interface ImportOptions {
  /**
   * What the names of the model's arrays start with. Needed where a file holds several models, such as `model` and
   * `ema_model`; one alone is found.
   */
  readonly prefix?: string;
  /**
   * What a PyTorch file does not tell: `downsample` (default the same on each axis; [x, y, z], where the original's
   * config has [z, y, x]), `groups` (32), and the quantiser, where it is another than `ema`. Everything is in the metadata of files that Patchwise wrote.
   */
  readonly model?: Partial<Given<ModelConfig>>;
  /** Patches that volumes are cut into; default those of the file's metadata, else 256 x 256 x 128 or what fits. */
  readonly patch?: Size;
  readonly stride?: Size;
  /** How a volume's values become [-1, 1]; default that of the metadata, else `minmax`, as the original trains. */
  readonly intensity?: IntensitySpec;
}

/** What was made of a file. */
export interface Imported {
  /** The checkpoint's folder: `reconstruct`, `encode` and the rest take it as a model. */
  readonly checkpoint: string;
  readonly model: ModelConfig;
  /** Arrays of the file that are no part of this generator, such as discriminators or another copy. */
  readonly ignored: readonly string[];
}

/**
 * Makes a checkpoint of a PyTorch VQ-GAN of the specification (medicaldiffusion's `VQGAN`), saved as safetensors:
 * `safetensors.torch.save_file(model.state_dict(), path)`. Of a Lightning checkpoint it is `'state_dict'` that is saved;
 * the error for a `.ckpt` file has the command. Names may have a prefix; half precision becomes single.
 *
 * @throws UnreadableFile where the file is no such model, or its generator has arrays that ours has no place for;
 * InvalidArgument where the options do not fit it, it holds several models and `prefix` does not choose one, or the
 * folder holds something else
 */
export async function importSafetensors(
  path: string,
  folder: string,
  options: ImportOptions = {},
): Promise<Imported> {
  requireOwnFolder(folder);
  const { tensors, others, metadata } = readForeignSafetensors(path);
  const copy = chooseCopy(path, tensors, options.prefix);
  const found = copy.arrays;
  const known = knownOf(path, metadata.patchwise);
  const read: ModelConfig = known.model ?? { ...PRESETS.guide.model, ...modelOf(path, found) };
  const model = checkModelConfig(fitQuantiser(asItWas({ ...read, ...options.model }), options.model));
  if (!known.model && options.model?.groups === undefined) requireDefaultGroups(path, model);
  const arrays = stateOf(path, found, model);
  const names = [...tensors.keys(), ...others.keys()];
  const ignored = names.filter((name) => !arrays.has(copy.ownName(name) ?? ''));
  requireNoLayers(
    path,
    ignored.filter((name) => GENERATOR.test(copy.ownName(name) ?? '')),
  );
  const patch = options.patch ?? known.patch ?? PRESETS.guide.patch;
  const config = resolveConfig({
    preset: 'toy', // it has no discriminators, whose depth would have to suit the patch
    data: [path],
    model,
    patch,
    stride: options.stride ?? (options.patch ? undefined : known.stride),
    intensity: options.intensity ?? known.intensity ?? 'minmax',
  });
  const state = {
    step: 0,
    epoch: 0,
    position: 0,
    adamSteps: 0,
    config,
    intensities: {},
    patchwise: version(),
  };
  const checkpoint = saveCheckpoint(
    folder,
    { state, model: arrays, optimiser: new Map() },
    { best: false, keep: 1 },
  );
  return { checkpoint, model, ignored };
}

/** A run's `last` checkpoint would become the imported one, and its own be removed. */
function requireOwnFolder(folder: string): void {
  const there = statSync(folder, { throwIfNoEntry: false });
  const found = there ? (there.isDirectory() ? readdirSync(folder) : [folder]) : [];
  const steps = found.includes('checkpoints') ? readdirSync(join(folder, 'checkpoints')) : [];
  if (found.some((name) => name !== 'checkpoints') || steps.some((name) => /^step-0*[1-9]/.test(name)))
    throw new InvalidArgument('folder', 'a folder that is new, empty or of an earlier import', folder);
}

interface Known {
  readonly model: ModelConfig;
  readonly patch: Vec3;
  readonly stride: Vec3;
  readonly intensity: IntensitySpec;
}

/** What Patchwise wrote beside the arrays; nothing in a file of another program. */
function knownOf(path: string, metadata: unknown): Partial<Known> {
  if (metadata === undefined) return {};
  const known: unknown = attempt(() => JSON.parse(String(metadata)));
  if (typeof known === 'object' && known !== null) return known;
  throw new UnreadableFile(path, 'metadata `patchwise` as export writes it', String(metadata).slice(0, 60));
}

/** What the arrays tell of the model. */
function modelOf(path: string, found: ReadonlyMap<string, StoredTensor>): Partial<ModelConfig> {
  const shapeOf = (name: string): readonly number[] => {
    const array = found.get(name);
    if (!array) throw new UnreadableFile(path, `a VQ-GAN, with an array ${name}`, 'none of that name');
    return array.shape;
  };
  const count = (pattern: RegExp) =>
    new Set([...found.keys()].flatMap((name) => pattern.exec(name)?.[1] ?? [])).size;
  const [hidden, channels] = shapeOf(FIRST) as [number, number];
  if (channels !== 1) throw new UnreadableFile(path, 'a model of one channel', `one of ${channels}`);
  const factor = 2 ** count(/^encoder\.conv_blocks\.(\d+)\.down\./);
  const [codes, codeDim] = found.has('codebook.embeddings')
    ? (shapeOf('codebook.embeddings') as [number, number])
    : [undefined, shapeOf('pre_vq_conv.conv.weight')[0]!];
  return {
    hidden,
    codeDim,
    ...(codes && { codes }),
    downsample: [factor, factor, factor],
    encoderBlocks: count(/^encoder\.conv_blocks\.0\.(res\d*)\./),
    decoderBlocks: count(/^decoder\.conv_blocks\.0\.(res\d*)\./),
  };
}

/** PyTorch refuses to norm channels that its groups do not divide, so a narrow model cannot have the default's. */
function requireDefaultGroups(path: string, model: ModelConfig): void {
  const narrow = stages(model).find(({ below }) => below % model.groups !== 0);
  if (narrow)
    throw new InvalidArgument(
      'groups',
      `the groups of the model's norms, as ${path} has layers of ${narrow.below} channels, which ${model.groups} ` +
        'groups do not divide',
      'nothing',
    );
}

/** The modules of a generator. */
const GENERATOR = /^(encoder|decoder|pre_vq_conv|post_vq_conv|codebook)\./;

/** What a generator has beside our layers computes something, and must not be left out in silence. */
function requireNoLayers(path: string, names: readonly string[]): void {
  if (names.length === 0) return;
  throw new UnreadableFile(
    path,
    'a VQ-GAN of the specification and nothing else in its generator',
    `${few(names)}, which it has no place for`,
  );
}

/** The model's state in our layout, of the arrays that it consists of. */
function stateOf(
  path: string,
  found: ReadonlyMap<string, StoredTensor>,
  model: ModelConfig,
): Map<string, StoredTensor> {
  const state = new Map<string, StoredTensor>();
  for (const { name, shape } of stateShapes(model)) {
    const array = found.get(name);
    const ours = array ? fromTorch(name, array) : filledIn(name, shape, found);
    if (!ours) throw new UnreadableFile(path, `a VQ-GAN, with an array ${name}`, 'none of that name');
    // A scalar may have an axis or none.
    const fits = ours.shape.join() === shape.join() || (sizeOf(ours.shape) === 1 && sizeOf(shape) === 1);
    if (!fits)
      throw new InvalidArgument(
        `model, whose ${name}`,
        `would be [${shape}] as [kd, kh, kw, in, out] where it has five axes`,
        ours.shape,
      );
    if (!ours.data.every(Number.isFinite))
      throw new UnreadableFile(path, 'a model of finite numbers', `NaN or infinity in ${name}`);
    state.set(name, { shape, data: ours.data });
  }
  return state;
}

/** What a file may leave out: flags, and averages, which then are as if each code had been chosen once. */
function filledIn(
  name: string,
  shape: readonly number[],
  found: ReadonlyMap<string, StoredTensor>,
): StoredTensor | undefined {
  if (name.endsWith(INITIALISED) || name.endsWith('.N'))
    return { shape, data: new Float32Array(sizeOf(shape)).fill(1) };
  return name.endsWith('.z_avg') ? found.get(name.replace(/z_avg$/, 'embeddings')) : undefined;
}
