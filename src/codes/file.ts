import { readFile } from 'node:fs/promises';
import { replaceFile, writeTo } from '../atomic-file';
import { UnreadableFile } from '../errors';
import { patchStart } from '../patch/grid';
import { Codes, type CodesInit, codesArray } from './codes';
import { type NpyArray, packNpz, unpackNpz } from './npz';

/** The content of `meta`, JSON in UTF-8. */
type Meta = Omit<CodesInit, 'data' | 'latents'> & { readonly format: typeof FORMAT };

const FORMAT = 'patchwise codes 1';

/**
 * Writes codes as .npz, complete or not at all. `numpy.load` gives
 * - `codes` [patches, codebooks, z, y, x], uint8, uint16 or uint32: numbers in [0, codes)
 * - `starts` [patches, 3], float64: first voxel [x, y, z] of each patch
 * - `meta`: JSON as bytes, `json.loads(bytes(f['meta']))`: geometry, intensity, patch, stride, model
 * - `latents` [patches, z, y, x, codeDim], float32, if the codes have them
 */
export async function writeCodes(path: string, codes: Codes): Promise<{ readonly bytes: number }> {
  const { patch, stride, geometry, intensity, model, grid, data, latents } = codes;
  const meta: Meta = { format: FORMAT, patch, stride, geometry, intensity, model };
  const starts = Array.from({ length: grid.patches }, (_, index) => [...patchStart(grid, index)]).flat();
  const [patches, , z, y, x] = codes.shape;
  const arrays = new Map<string, NpyArray>([
    ['codes', { shape: codes.shape, data }],
    ['starts', { shape: [patches, 3], data: Float64Array.from(starts) }],
    ['meta', bytesOf(JSON.stringify(meta))],
  ]);
  if (latents)
    arrays.set('latents', {
      shape: [patches, z, y, x, latents.length / (patches * z * y * x)],
      data: latents,
    });
  const bytes = await packNpz(arrays);
  writeTo('path', path, () => replaceFile(path, bytes));
  return { bytes: bytes.length };
}

/** Reads codes, as `writeCodes` wrote them or as a Python program saved them again. @throws UnreadableFile */
export async function readCodes(path: string): Promise<Codes> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new UnreadableFile(path, 'codes as .npz', 'nothing that can be read', { cause });
  });
  const arrays = unpackNpz(bytes, path);
  const [codes, meta] = [arrays.get('codes'), arrays.get('meta')];
  if (!codes || !meta)
    throw new UnreadableFile(path, 'arrays codes and meta', `arrays ${[...arrays.keys()].join(', ')}`);
  try {
    const { format, ...init } = JSON.parse(Buffer.from(meta.data as Uint8Array).toString('utf8')) as Meta;
    if (format !== FORMAT) throw new Error(`format ${format}`);
    const data = codesArray(codes.data.length, init.model.codes);
    if (codes.data.some((code) => code >= init.model.codes))
      throw new Error(`a code of ${init.model.codes} or more`);
    data.set(codes.data);
    const latents = arrays.get('latents')?.data as Float32Array | undefined;
    return new Codes({ ...init, data, latents });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new UnreadableFile(path, FORMAT, message, { cause });
  }
}

function bytesOf(text: string): NpyArray {
  const data = new Uint8Array(Buffer.from(text));
  return { shape: [data.length], data };
}
