/** The public names of Patchwise, written by hand. */
export * from './errors';
export type { LongCall, Progress } from './progress';
