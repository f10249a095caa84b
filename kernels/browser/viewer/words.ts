/** What a viewer says below its pictures. */
import type { VolumesBundle } from '../../../src/volumes-bundle';
import { apply, type Point, spacingOf } from './voxels/affine';
import { valueAt } from './voxels/copies';
import type { Levels } from './voxels/levels';

/** How fine the shown copies are, and what comes next. */
export function resolutionWords(bundle: VolumesBundle, levels: Levels): string {
  if (levels.shown.length === 0) return 'unpacking the preview';
  if (levels.isFull) return 'full resolution';
  const [{ whole, part }] = levels.shown as [Levels['shown'][number]];
  const shown = `preview of ${size(whole.affine)} mm voxels${part ? ', full resolution near the crosshair' : ''}`;
  const { progress, supply } = levels;
  if (progress) {
    const percent = Math.floor(100 * progress.share);
    return `${shown}; ${progress.isFull ? 'full resolution' : 'a finer copy'} is loading (${percent} %)`;
  }
  if (supply === 'gone') return `${shown} only: ${levels.note}`;
  if (supply === 'lost') return `${shown} only: the kernel does not answer`;
  if (supply === 'asked') return `${shown}; the kernel has not answered yet`;
  if (supply === 'coming') return `${shown}; a finer copy is loading`;
  if (supply === 'complete') return `${shown}: the largest copy that this browser takes`;
  const full = size(bundle.volumes[0]!.affine);
  return `${shown} only: the full resolution (${full} mm) is in a notebook with its kernel`;
}

function size(affine: readonly number[]): string {
  return spacingOf(affine)
    .map((mm) => Number(mm.toPrecision(2)))
    .join(' × ');
}

/** Voxel, position and values at a voxel of full resolution. */
export function placeWords({ volumes, units }: VolumesBundle, { shown }: Levels, voxel: Point): string {
  const [first] = volumes as [VolumesBundle['volumes'][number]];
  const world = apply(first.affine, voxel);
  const mm = world.map((value) => value.toFixed(1).replace('-', '−')).join(', ');
  const parts = shown.map(({ part }) => part && valueAt(part, world));
  const values = shown.map(({ whole }, at) => parts[at] ?? valueAt(whole, world));
  const unit = units && ` ${units}`;
  /** A voxel of a coarser copy has the mean of several. */
  const isMean = (at: number): boolean =>
    parts[at] === undefined && shown[at]!.whole.shape.some((count, axis) => count !== first.shape[axis]);
  const words = values.map((value, at) =>
    value === undefined ? 'no value' : `${isMean(at) ? '≈ ' : ''}${short(value)}${unit}`,
  );
  const place = `voxel ${voxel.join(', ')} of ${first.shape.join(' × ')}  ·  ${mm} mm`;
  if (volumes.length === 1) return words.length > 0 ? `${place}  ·  ${words[0]}` : place;
  const each = words.map((word, at) => {
    const [value, reference] = [values[at], values[0]];
    const isBoth = at > 0 && value !== undefined && reference !== undefined;
    return `${volumes[at]!.name} ${word}${isBoth ? ` (${difference(value, reference)})` : ''}`;
  });
  return [place, ...each].join('  ·  ');
}

function difference(value: number, reference: number): string {
  const change = value - reference;
  if (Math.abs(change) < 1e-6 * Math.abs(reference)) return '0'; // both are rounded to 7 digits or fewer
  return change > 0 ? `+${short(change)}` : short(change);
}

/** A number with three digits at least, and a minus sign that is as wide as a digit. */
export function short(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : 2 - Math.floor(Math.log10(size));
  const written = digits > 9 ? value.toExponential(2) : value.toFixed(digits);
  return written.replaceAll('-', '−');
}

/** What an error says. */
export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
