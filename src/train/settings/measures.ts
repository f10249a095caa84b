/**
 * Everything that is measured while a run trains, one entry each. The metrics log, TensorBoard, figures, terminal,
 * `bestMetric` and the comparison of runs read this table. A new measure is an entry here and the code that computes it.
 */

/** How a panel of a run's figure is shown. */
interface PanelLook {
  readonly title: string;
  /** One of the four that are there from the start; the others come with their first values, on demand. */
  readonly first?: true;
  readonly axis?: Scale;
}

/** `log` once the values fall to an eighth, `signed` as the values are, `percent` from 0 to 100; an axis without it is from 0. */
export type Scale = 'log' | 'signed' | 'percent';

/** Panels that several measures share. */
const sharedPanels = {
  quality: { title: 'PSNR and SSIM', first: true, axis: 'signed' },
  codes: { title: 'codes', first: true },
  parts: { title: 'parts of the loss', axis: 'signed' },
  adversarial: { title: 'adversarial losses', axis: 'signed' },
  logits: { title: 'mean logits of real and reconstructed', axis: 'signed' },
  features: { title: 'feature matching, perceptual' },
} as const satisfies Record<string, PanelLook>;

interface Measure {
  /** What people read. */
  readonly label: string;
  readonly unit?: string;
  /** Digits after the point; without it a number has four that count. */
  readonly digits?: number;
  /** People read the value times this. */
  readonly times?: number;
  /** Which split has it; without it both do. */
  readonly split?: 'train' | 'validation';
  /** Validations are ranked by measures that say it. */
  readonly better?: 'higher' | 'lower';
  /** A loss is summed over all ranks. It exists always, or once its network does. */
  readonly loss?: 'always' | 'perceptual' | 'discriminators';
  /** One number for each rank. */
  readonly byRank?: true;
  /** What a rank's number is of, where it is not of its process. */
  readonly device?: 'GPU';
  /** One number for each part. */
  readonly parts?: readonly string[];
  /** It depends on the machine and the moment, not on the training alone. */
  readonly machine?: true;
  /** A panel of its own in the run's figure, or a line in a shared one. */
  readonly panel?: Omit<PanelLook, 'title'> | keyof typeof sharedPanels;
  /** The name of its line in a shared panel; label and unit where there is none. */
  readonly line?: string;
  /** Its axis is the one at the right of a shared panel. */
  readonly right?: Scale;
  /** `runs watch` and `runs compare` show its values of this split. */
  readonly summary?: 'train' | 'validation';
}

const ofValidation = { split: 'validation' } as const;
const ofDiscriminators = { split: 'train', loss: 'discriminators' } as const;
const ofMachine = { split: 'train', machine: true } as const;
const ofRanks = { ...ofMachine, byRank: true } as const;

export const measures = {
  /** What the generator minimises. Losses are means over the global batch, or over the validation voxels. */
  loss: {
    label: 'loss',
    loss: 'always',
    better: 'lower',
    summary: 'train',
    panel: { first: true, axis: 'log' },
  },
  /** Mean absolute difference of patch and reconstruction. */
  reconstruction: { label: 'reconstruction', loss: 'always', better: 'lower', panel: 'parts' },
  /** Mean squared distance of the latents to their codes. */
  commitment: { label: 'commitment', loss: 'always', better: 'lower', panel: 'parts' },
  /** Of the generator: what the discriminators say of its patches, weighted among themselves. */
  adversarial: { label: 'adversarial', ...ofDiscriminators, panel: 'adversarial', line: 'generator' },
  /** What the discriminators minimise. */
  discriminator: {
    label: 'discriminator',
    ...ofDiscriminators,
    panel: 'adversarial',
    line: 'discriminators',
  },
  /** Mean logits: as long as they differ, the discriminators tell real and reconstructed apart. */
  logitsReal: { label: 'logits of real', ...ofDiscriminators, panel: 'logits', line: 'real' },
  logitsFake: {
    label: 'logits of reconstructed',
    ...ofDiscriminators,
    panel: 'logits',
    line: 'reconstructed',
  },
  /** Distance of patch and reconstruction inside the discriminators. */
  features: { label: 'feature matching', ...ofDiscriminators, panel: 'features' },
  /** LPIPS of a random slice of every patch. */
  perceptual: { label: 'perceptual', split: 'train', loss: 'perceptual', panel: 'features' },
  /** What the adversarial loss was multiplied by: ramp and adaptive weight. */
  adversarialScale: { label: 'adversarial scale', ...ofDiscriminators },
  /** dB, data range 2 (the model's [-1, 1]). */
  psnr: {
    label: 'PSNR',
    unit: 'dB',
    digits: 2,
    ...ofValidation,
    better: 'higher',
    summary: 'validation',
    panel: 'quality',
  },
  /** Over all windows of 11 voxels within the parts of patches that count; absent where no part has room for one. */
  ssim: { label: 'SSIM', digits: 4, ...ofValidation, better: 'higher', panel: 'quality', right: 'signed' },
  /** In the model's range, which is 2 wide. */
  mae: {
    label: 'MAE',
    unit: '% of the intensity window',
    times: 50,
    digits: 2,
    ...ofValidation,
    better: 'lower',
  },
  /** exp(entropy) of the code frequencies. */
  perplexity: { label: 'perplexity', digits: 1, better: 'higher', panel: 'codes' },
  /** Distinct codes used / codebook size. */
  usage: {
    label: 'codes in use',
    unit: '%',
    times: 100,
    digits: 1,
    better: 'higher',
    panel: 'codes',
    right: 'percent',
  },
  /** Codes that hardly any latent chose and that this step restarted; where the quantiser's codes can die. */
  restartedCodes: { label: 'restarted codes', split: 'train' },
  learningRate: { label: 'learning rate', split: 'train' },
  /** Norm of the averaged gradient before clipping. */
  gradientNorm: { label: 'gradient norm', split: 'train' },
  /** Norm of the discriminators' averaged gradient before clipping. */
  discriminatorNorm: { label: 'gradient norm of the discriminators', split: 'train' },
  /** Over all ranks. */
  patchesPerSecond: { label: 'pace', unit: 'patches/s', ...ofMachine, panel: { first: true } },
  /** The same in whole training volumes. */
  volumesPerSecond: { label: 'pace in volumes', unit: 'volumes/s', ...ofMachine },
  /** Where the time of a step goes on rank 0: all of it, and its parts in the order in which they come. */
  seconds: {
    label: 'time of a step',
    unit: 's',
    ...ofMachine,
    parts: ['step', 'data', 'forward', 'backward', 'communication', 'optimiser'],
  },
  /** Time of every rank for data, forward and backward of this step. Where it differs, work is not balanced. */
  secondsByRank: { label: 'step time by rank', unit: 's', ...ofRanks, panel: {} },
  /** Cores that each rank keeps busy. */
  cpuByRank: { label: 'CPU by rank', unit: 'cores', digits: 1, ...ofRanks },
  /** Memory of each rank on its host. */
  memoryByRank: { label: 'memory by rank', unit: 'MiB', digits: 0, ...ofRanks },
  /** Percent of the time that each rank's GPU computes, by nvidia-smi. */
  gpuByRank: {
    label: 'GPU busy by rank',
    unit: '%',
    digits: 0,
    ...ofRanks,
    device: 'GPU',
    panel: { axis: 'percent' },
  },
  /** Memory in use on each rank's GPU. */
  gpuMemoryByRank: { label: 'GPU memory by rank', unit: 'MiB', digits: 0, ...ofRanks, device: 'GPU' },
  /** Patches that were measured, each counted once. */
  patches: { label: 'patches', ...ofValidation },
} as const satisfies Record<string, Measure>;

type Table = typeof measures;
export type MeasureName = keyof Table;

/** Names of the measures whose entry has a property. */
type NamesWith<Property extends object> = {
  [Name in MeasureName]: Table[Name] extends Property ? Name : never;
}[MeasureName];

type ValueOf<Entry> = Entry extends { byRank: true }
  ? readonly number[]
  : Entry extends { parts: readonly (infer Part extends string)[] }
    ? Readonly<Record<Part, number>>
    : number;

/** What is measured at one step. */
export type Measured = { readonly [Name in MeasureName]?: ValueOf<Table[Name]> };

/** What is measured in one split, which has no measure of the other. */
export type MeasuredIn<Split extends 'train' | 'validation'> = Omit<
  Measured,
  Exclude<NamesWith<{ split: string }>, NamesWith<{ split: Split }>>
>;

/** A measure of the validation that checkpoints can be ranked by. */
export type BestMetric = NamesWith<{ better: string }>;
export type LossName = NamesWith<{ loss: string }>;
/** Losses of a step: those that every run has, and those of networks that this one has by now. */
export type Losses = Readonly<Record<NamesWith<{ loss: 'always' }>, number>> &
  Readonly<Partial<Record<LossName, number>>>;
export type RankMeasure = NamesWith<{ byRank: true }>;
export type SummaryMeasure = NamesWith<{ summary: string }>;
export type StepPart = Exclude<Table['seconds']['parts'][number], 'step'>;

export const measureNames = Object.keys(measures) as MeasureName[];
export const bestMetrics = namesWith('better') as BestMetric[];
export const lossNames = namesWith('loss') as LossName[];
export const rankMeasures = namesWith('byRank') as RankMeasure[];
export const summaryMeasures = namesWith('summary') as SummaryMeasure[];

function namesWith(property: keyof Measure): MeasureName[] {
  return measureNames.filter((name) => property in measures[name]);
}

/** What the table says of a measure. The log of a newer version may hold one that is not in it. */
export function measureOf(name: MeasureName): Measure {
  return measures[name] ?? { label: name };
}

/** `PSNR, dB`. */
export function measureTitle(name: MeasureName): string {
  const { label, unit } = measureOf(name);
  return unit ? `${label}, ${unit}` : label;
}

/** A value as people read it, `31.23`, in the measure's unit. */
export function numberText(name: MeasureName, value: number): string {
  const { digits, times = 1 } = measureOf(name);
  const shown = times * value;
  return digits === undefined ? String(Number(shown.toPrecision(4))) : shown.toFixed(digits);
}

/** `31.23 dB`. */
export function valueText(name: MeasureName, value: number): string {
  const { unit } = measureOf(name);
  return unit ? `${numberText(name, value)} ${unit}` : numberText(name, value);
}

/** `PSNR 31.23 dB`. */
export function measureText(name: MeasureName, value: number): string {
  return `${measureOf(name).label} ${valueText(name, value)}`;
}

/** A panel of a run's figure. */
export interface Panel extends PanelLook {
  readonly key: string;
}

/** The panel that shows a measure, if any. */
export function panelOf(name: MeasureName): Panel | undefined {
  const { panel } = measureOf(name);
  if (typeof panel === 'string') return { key: panel, ...sharedPanels[panel] };
  return panel && { key: name, title: measureTitle(name), ...panel };
}
