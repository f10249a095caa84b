/** Whether records that were read from JSON have all their parts: JSON has no checksum, and a bit may have flipped. */
import { storedTypes } from '../header-encode';
import { type ImageRecord, type IndexEntry, splitNames, type VolumeRecord } from './format';

export function isSoundEntry(value: unknown): value is IndexEntry {
  const { name, patient, split } = partsOf(value);
  const named = typeof name === 'string' && /^[^./\\][^/\\]*$/.test(name) && typeof patient === 'string';
  return named && splitNames.some((side) => side === split) && isSoundRecord(value);
}

export function isSoundRecord(value: unknown): value is VolumeRecord {
  const { source, settings, range, intensity, image, baseline } = partsOf(value);
  const { file, bytes, modified, sha256 } = partsOf(source);
  const { name, low, high } = partsOf(intensity);
  return (
    [file, sha256, name].every((text) => typeof text === 'string') &&
    [bytes, modified, low, high].every(Number.isFinite) &&
    typeof settings === 'object' &&
    areNumbers(range, 2) &&
    isSoundImage(image) &&
    (!baseline || isSoundImage(baseline))
  );
}

function isSoundImage(value: unknown): value is ImageRecord {
  const { shape, chunk, type, slope, intercept, spacing, affine } = partsOf(value);
  const whole = [shape, chunk].every(
    (sizes) => areNumbers(sizes, 3) && sizes.every((n) => Number.isSafeInteger(n) && n > 0),
  );
  return (
    whole &&
    storedTypes.some((stored) => stored === type) &&
    [slope, intercept].every(Number.isFinite) &&
    areNumbers(spacing, 3) &&
    areNumbers(affine, 16)
  );
}

function areNumbers(value: unknown, count: number): value is number[] {
  return Array.isArray(value) && value.length === count && value.every(Number.isFinite);
}

function partsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
