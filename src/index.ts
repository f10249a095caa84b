/**
 * Patchwise trains 3D VQ-GANs on full-resolution CT, patch by patch, in several processes, and blends what the model
 * makes of the patches into one volume. These are the names that a notebook uses:
 *
 * ```ts
 * import * as pw from 'patchwise';
 *
 * const ct = await pw.readVolume('ct.nii.gz');
 * const run = await pw.train({ preset: 'toy', data: 'ct.nii.gz', ranks: 2, steps: 20 }); // returns at once
 * run.live(); // a figure that keeps moving
 * await run.done;
 * const { linear, gaussian } = await pw.reconstruct(run, ct, { windows: ['linear', 'gaussian'] });
 * pw.compareVolumes(ct, { linear, gaussian });
 * ```
 *
 * Sizes and positions are `[x, y, z]` in voxels, spacings in mm. `patchwise/internal` has what the command line, the
 * kernel and the benches need beside these.
 */
export { Codes, type CodesGeometry, type CodesInit, type CodesModel } from './codes/codes';
export { type EncodedCohort, type EncodedRow, encodeFiles } from './codes/cohort';
export { type DecodeOptions, decode } from './codes/decode';
export { type EncodeOptions, encode } from './codes/encode';
export { readCodes, writeCodes } from './codes/file';
export type { BackendName, Precision } from './compute/contract/backend';
export { type BackendInfo, useBackend } from './compute/use-backend';
export type { DisplayOptions } from './display-protocol';
export {
  CollectiveFailed,
  InvalidArgument,
  InvalidConfig,
  isPatchwiseError,
  NoMemory,
  NotebookFailed,
  OutOfMemory,
  PatchwiseError,
  RunFailed,
  UnavailableBackend,
  UnavailablePackage,
  UnreadableFile,
} from './errors';
export {
  type CompareOptions,
  Comparison,
  type ComparisonRow,
  compareVolumes,
  type NamedSeamProfile,
} from './evaluate/compare';
export {
  type CompareRunsOptions,
  compareRuns,
  type NamedRuns,
  RunComparison,
  type RunDifference,
  type RunRow,
} from './evaluate/compare-runs';
export {
  type ConfidenceInterval,
  confidenceInterval,
  type PairedDifference,
  pairedDifference,
} from './evaluate/confidence';
export {
  type EvaluatedRow,
  type EvaluateOptions,
  type Evaluation,
  evaluateFiles,
} from './evaluate/evaluate';
export {
  danfo,
  describeFrame,
  type FrameRow,
  fillMissing,
  frameOf,
  frameRows,
  frameToCsv,
  runFrame,
} from './evaluate/frames';
export { type AggregateRow, aggregateRows, type MetricName, type MetricRow } from './evaluate/metrics';
export type { MissingInVolume, MissingMetrics } from './evaluate/missing';
export { type SweepOptions, type SweepRow, sweepBlending } from './evaluate/sweep';
export { type Budget, equalSteps, type TrainingFigures, trainingFigures } from './evaluate/training-cost';
export { mae, psnr, rmse } from './fidelity/error-sums';
export { type MsSsimOptions, msSsim } from './fidelity/ms-ssim';
export type { IntensityRange, RangeOption } from './fidelity/pair';
export {
  type DistanceOptions,
  type DistanceRow,
  type PatchRow,
  patchErrors,
  qualityByDistance,
  ssimMap,
} from './fidelity/places';
export { type SeamEnergyOptions, seamEnergy, seamProfile } from './fidelity/seam';
export { type SsimOptions, ssim } from './fidelity/ssim';
export {
  button,
  choice,
  type GivenControl,
  MadeControl,
  type SliderRange,
  slider,
  type ValueOf,
  type ValuesOf,
} from './interact/given';
export { Interaction, interact } from './interact/interact';
export { Widget, type WidgetOptions, widget } from './interact/widget';
export { type ExportOptions, exportOnnx, exportSafetensors } from './interchange/export';
export { type Imported, type ImportOptions, importSafetensors } from './interchange/import';
export { VoxelMemory } from './memory/voxel-memory';
export { perplexity, usage } from './model/codebook';
export type { ModelConfig } from './model/config';
export {
  type ForecastDevice,
  type ForecastOptions,
  forecastMemory,
  type MemoryForecast,
} from './model/forecast/forecast';
export { PRESETS as presets, type Preset, type PresetName, presetNamed } from './model/presets';
export type { Quantiser } from './model/quantisers/quantiser';
export type { QuantiserConfig, QuantiserName } from './model/quantisers/registry';
export type { Checkpointing } from './model/tensor-layers';
export { version } from './package';
export {
  type BlendOptions,
  blend,
  blendSlabs,
  type Patch,
  type Patches,
  type PatchSource,
  type SlabOptions,
} from './patch/blend';
export {
  type ExtractOptions,
  extractPatch,
  extractPatches,
  type PadMode,
  type VoxelSource,
} from './patch/extract';
export { type Grid, type GridLayout, type GridOptions, planGrid } from './patch/grid';
export { type PatchSelection, selectForeground } from './patch/select';
export type { DatasetSink, FileSink, Sink, Written } from './patch/sink';
export { patchWindow, type WindowName, type WindowOptions, windowNames } from './patch/windows';
export { Table } from './plot/base/table';
export { baseLayout, graphAxis, palette } from './plot/base/theme';
export { distanceFigure } from './plot/comparison/distance';
export { type ComparisonFigureOptions, comparisonFigure } from './plot/comparison/figure';
export { comparisonTable, seamFigure } from './plot/comparison/seams';
export { sweepFigure } from './plot/comparison/sweep';
export { type WorstPatchesOptions, worstPatchesFigure } from './plot/comparison/worst-patches';
export { clearOutput, display, html, input, json, latex, markdown, png, Rich, svg } from './plot/display';
export { Figure } from './plot/figure/figure';
export type { SaveOptions } from './plot/paper/save';
export { progress, progressBar } from './plot/progress-bar';
export { codesFigure } from './plot/run/codes';
export { runComparisonFigure } from './plot/run/comparison';
export { runFigure } from './plot/run/figure';
export { rankTimesFigure } from './plot/run/rank-times';
export type { ViewWindow } from './plot/volume/bundle';
export { volumeFigure } from './plot/volume/figure';
export { gridFigure } from './plot/volume/grid';
export { type ViewOptions, VolumeView, view } from './plot/volume/view';
export type { LongCall, Progress } from './progress';
export type { ModelSource, PassOptions } from './reconstruct/pass';
export {
  type Blending,
  Reconstruction,
  type ReconstructionDetails,
  type ReconstructOptions,
  reconstruct,
  type Windows,
} from './reconstruct/reconstruct';
export type { CollectiveName } from './train/collective/connect';
export { type HeldOut, heldOut } from './train/data/sides';
export type { TrainCall } from './train/find-data';
export {
  checkRanks,
  type RanksCheck,
  type RanksCheckOptions,
  type RanksFinding,
} from './train/ranks/check-ranks';
export type { ChosenCheckpoint } from './train/record/choose-checkpoint';
export type { Pace } from './train/record/course';
export type { LatestSlices } from './train/record/latest-slices';
export type { MetricRecord } from './train/record/metrics-log';
export { runsRoot, type StoredConfig } from './train/record/run-folder';
export type { RunStatus } from './train/record/status';
export { Run } from './train/run';
export { attach, listRuns, live } from './train/runs';
export type { RunConfig, TrainOptions } from './train/settings/config';
export { train } from './train/train';
export type { Size, Vec3 } from './vec3';
export type { VoxelArray } from './volume/base/datatypes';
export { type Conversion, convertDicom, type SeriesRow } from './volume/convert-dicom';
export type { DicomContent, Series } from './volume/dicom/scan';
export type { VolumeHeader } from './volume/formats/header';
export type { NiftiExtension, NiftiExtras } from './volume/formats/nifti-extras';
export type { Intensity, IntensitySpec } from './volume/intensity';
export { patientByName } from './volume/patient-name';
export { type PhantomOptions, phantom } from './volume/phantom/phantom';
export {
  type InspectedVolume,
  type Inspection,
  type InspectOptions,
  inspectVolumes,
} from './volume/prepare/inspect';
export type { Oddity } from './volume/prepare/oddities';
export { type Prepared, type PrepareOptions, prepareDataset } from './volume/prepare/prepare';
export { type ReadOptions, readHeader, readVolume, readVoxels, type Voxels } from './volume/read';
export { listSeries, type SeriesChoice, type SeriesOptions } from './volume/series';
export { type Dataset, type OpenDatasetOptions, openDataset } from './volume/store/dataset';
export type { LeftOut, SplitName } from './volume/store/format';
export type { ReadPatchOptions, StoredImage, StoredVolume } from './volume/store/stored-image';
export type { BaselineView, GivenView } from './volume/view';
export { centreMask, cropVolume, resampleVolume, slabOf } from './volume/view';
export { type NdArray, Volume, type VolumePlace } from './volume/volume';
export { type Slab, type VoxelStorage, type WriteOptions, writeSlabs, writeVolume } from './volume/write';
