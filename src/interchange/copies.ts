/** Which of the models in a PyTorch file is meant: they differ by what the names of their arrays start with. */
import { InvalidArgument, UnreadableFile } from '../errors';
import type { StoredTensor } from '../safetensors';

/** An array that every generator has. */
export const FIRST = 'encoder.conv_first.conv.weight';

/** One model of a file. */
interface Copy {
  /** Its arrays, by their names without the prefix. */
  readonly arrays: ReadonlyMap<string, StoredTensor>;
  /** A name of the file without the prefix; undefined for what is not of this model. */
  ownName(name: string): string | undefined;
}

/**
 * The model with that prefix, or the only one there is.
 * @throws UnreadableFile if there is none; InvalidArgument if there are several and the prefix chooses none of them
 */
export function chooseCopy(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  asked: string | undefined,
): Copy {
  const prefixes = [...tensors.keys()]
    .filter((name) => name.endsWith(FIRST))
    .map((name) => name.slice(0, -FIRST.length));
  if (prefixes.length === 0)
    throw new UnreadableFile(
      path,
      `a VQ-GAN, with an array ${FIRST}`,
      few([...tensors.keys()]) || 'no array of floats',
    );
  const wanted = asked === undefined ? prefixes : prefixes.filter((p) => p === asked || p === `${asked}.`);
  if (wanted.length !== 1)
    throw new InvalidArgument(
      'prefix',
      `what the names of one model start with, as ${path} holds ${prefixes.length}`,
      asked ?? 'nothing',
      prefixes.map((prefix) => JSON.stringify(prefix)),
    );
  const [prefix] = wanted as [string];
  // Of `model.` and `model.average.` the longer one says whose an array is.
  const nested = prefixes.filter((other) => other.length > prefix.length && other.startsWith(prefix));
  const ownName = (name: string) =>
    name.startsWith(prefix) && !nested.some((other) => name.startsWith(other))
      ? name.slice(prefix.length)
      : undefined;
  const arrays = new Map<string, StoredTensor>();
  for (const [name, array] of tensors) {
    const own = ownName(name);
    if (own !== undefined) arrays.set(own, array);
  }
  return { arrays, ownName };
}

/** The first few of many names. */
export function few(names: readonly string[]): string {
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return `${names.slice(0, 5).join(', ')}${more}`;
}
