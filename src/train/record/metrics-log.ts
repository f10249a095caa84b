import { attempt } from '../../errors';
import { type Measured, type MeasureName, measureOf } from '../settings/measures';

/** One line of `metrics.jsonl`. */
export interface MetricRecord extends Measured {
  /** Optimiser steps done when this was measured. */
  readonly step: number;
  readonly epoch: number;
  /** ISO time of writing. */
  readonly time: string;
  readonly split: 'train' | 'validation';
}

/** What a record says of the training alone: the same in two runs of one seed, whatever the machine was doing. */
export function withoutClock({ time: _, ...record }: MetricRecord): Omit<MetricRecord, 'time'> {
  const rest = Object.entries(record).filter(([name]) => !measureOf(name as MeasureName).machine);
  return Object.fromEntries(rest) as unknown as Omit<MetricRecord, 'time'>;
}

/** The record of a line; undefined where the line is damaged. */
export function parseRecord(line: string): MetricRecord | undefined {
  const value: unknown = attempt(() => JSON.parse(line));
  const { step, split } = (value ?? {}) as Partial<MetricRecord>;
  const isRecord = Number.isInteger(step) && (split === 'train' || split === 'validation');
  return isRecord ? (value as MetricRecord) : undefined;
}
