import { InvalidConfig } from '../../errors';
import { patientByName } from '../../volume/prepare/patients';
import { readHeader, readVolume } from '../../volume/read';
import { isDataset, openDataset } from '../../volume/store/dataset';
import { slabOf } from '../../volume/view';
import type { Volume } from '../../volume/volume';
import type { RunConfig } from '../settings/config';
import { isPhantom, parsePhantom } from './loader';
import { planSplit } from './split';

/** A volume that a run did not train on. */
export interface HeldOut {
  readonly name: string;
  readonly patient: string;
  /** `validation`: the run's best checkpoint was chosen by it; `test`: nothing was. */
  readonly side: 'validation' | 'test';
  /** What `sidesOf` knows it by; absent for a slab of a volume. */
  readonly source?: string;
  read(): Promise<Volume>;
}

/**
 * What a run did not train on, whole and at full resolution, whatever view the run has: the test side of a prepared
 * dataset (its validation side where it has no test side), the volumes held out for validation, or of a single volume
 * the slab that was held out.
 */
export async function heldOut(config: RunConfig): Promise<HeldOut[]> {
  if (config.data.some(isDataset)) return config.data.flatMap(datasetSide);
  const shapes = await Promise.all(
    config.data.map(async (source) => parsePhantom(source)?.shape ?? (await readHeader(source)).shape),
  );
  const { validation } = planSplit(shapes, config);
  if (validation.length === 0)
    throw new InvalidConfig([
      { key: 'validation', expected: 'a part that is held out, to compare on', received: config.validation },
    ]);
  return validation.map(({ volume, from, to }) => {
    const source = config.data[volume]!;
    const whole = to - from === shapes[volume]![2];
    const name = whole ? source : `${source} [${from}, ${to})`;
    const patient = isPhantom(source) ? source : patientByName(source);
    const read = async () => {
      const found = parsePhantom(source) ?? (await readVolume(source));
      return whole ? found : slabOf(found, from, to);
    };
    return { name, patient, side: 'validation', ...(whole && { source }), read };
  });
}

function datasetSide(dir: string): HeldOut[] {
  const dataset = openDataset(dir);
  const [test, validation] = [dataset.side('test'), dataset.side('validation')];
  const side = test.length > 0 ? 'test' : 'validation';
  return (side === 'test' ? test : validation).map((volume) => ({
    name: volume.name,
    patient: volume.patient,
    side,
    source: volume.folder,
    read: () => volume.read(),
  }));
}
