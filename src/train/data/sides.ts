import { existsSync, realpathSync } from 'node:fs';
import { checksum } from '../../volume/prepare/prepare-volume';
import { stateOf } from '../../volume/prepare/sources';
import { readHeader } from '../../volume/read';
import { isDataset, openDataset } from '../../volume/store/dataset';
import type { SplitName } from '../../volume/store/format';
import type { RunConfig } from '../settings/config';
import { parsePhantom } from './loader';
import { planSplit } from './split';

/**
 * What a volume was to a run: trained on, whole or in part; validation, by which its best checkpoint was chosen; or the
 * test side of its dataset, which it never saw.
 */
export type RunSide = SplitName | 'part';

/** Says of a file, a phantom's name or a volume of the run's dataset what it was to the run; undefined for all others. */
export type SideOf = (source: string) => Promise<RunSide | undefined>;

/** A volume of a run, with what identifies it. */
interface KnownVolume {
  readonly source: string;
  readonly side: RunSide;
  /** Identifies the file once it has been moved. */
  readonly content?: { readonly bytes: number; readonly sha256: string };
}

/** What volumes were to a run. A file is known by its path, or by its content where that is the same elsewhere. */
export async function sidesOf(config: RunConfig): Promise<SideOf> {
  const volumes = config.data.some(isDataset)
    ? config.data.flatMap(storedVolumes)
    : await fileVolumes(config);
  return async (source) => {
    const place = placeOf(source);
    const named = volumes.find((volume) => placeOf(volume.source) === place);
    if (named) return named.side;
    if (!existsSync(source) || isDataset(source)) return undefined;
    for (const volume of volumes) if (await isSameFile(source, volume)) return volume.side;
    return undefined;
  };
}

function storedVolumes(dir: string): KnownVolume[] {
  if (!isDataset(dir)) return [];
  return openDataset(dir)
    .volumes.filter(({ blended }) => !blended)
    .map(({ folder, split, original }) => ({
      source: folder,
      side: split,
      content: original,
    }));
}

async function fileVolumes(config: RunConfig): Promise<KnownVolume[]> {
  if (config.data.length === 0) return [];
  const shapes = await Promise.all(
    config.data.map(async (source) => parsePhantom(source)?.shape ?? (await readHeader(source)).shape),
  ).catch(() => undefined);
  // Files that were moved away have no shapes, and one volume's split needs its depth.
  if (!shapes) return [];
  const { train, validation } = planSplit(shapes, config);
  const held = new Set(validation.map(({ volume }) => volume));
  const trained = new Set(train.map(({ volume }) => volume));
  return config.data.map((source, i) => ({
    source,
    side: !trained.has(i) ? 'validation' : held.has(i) ? 'part' : 'train',
  }));
}

/** One place for all names of a file. */
export function placeOf(source: string): string {
  try {
    return realpathSync(source);
  } catch {
    return source; // a phantom's name, or a file that is gone
  }
}

async function isSameFile(path: string, { source, content }: KnownVolume): Promise<boolean> {
  if (!content && !existsSync(source)) return false;
  const bytes = content?.bytes ?? stateOf({ path: source }).bytes;
  if (bytes !== stateOf({ path }).bytes) return false;
  return (content?.sha256 ?? (await checksum({ path: source }))) === (await checksum({ path }));
}
