/** The public names of Patchwise. */
export { Codes, type CodesGeometry, type CodesInit, type CodesModel } from './codes/codes';
export { type EncodedCohort, type EncodedRow, encodeFiles } from './codes/cohort';
export { type DecodeOptions, decode, decodeToFile } from './codes/decode';
export { type EncodedPatch, type EncodeOptions, encode, encodePatches } from './codes/encode';
export { readCodes, writeCodes } from './codes/file';
export { type BackendInfo, type BackendName, backendNames, useBackend } from './compute/backend';
export { movesWeights } from './compute/kernels';
export { type Build, type BuildOptions, buildLibtorch } from './compute/libtorch/build';
export { type Precision, precisions, storeActivationsIn } from './compute/precision';
export {
  buildTensorflow,
  type TensorflowBuild,
  type TensorflowBuildOptions,
} from './compute/tensorflow/build';
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
  borderDistances,
  type DistanceOptions,
  type DistanceRow,
  qualityByDistance,
} from './evaluate/border-distance';
export { type Budget, budgets, equalSteps, type StepLoad, voxelsPerStep } from './evaluate/budget';
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
export { type ConfidenceInterval, confidenceInterval } from './evaluate/confidence';
export {
  type AggregateRow,
  aggregateRows,
  type EvaluatedRow,
  type EvaluateOptions,
  type Evaluation,
  evaluateFiles,
  type MetricName,
  metricNames,
} from './evaluate/evaluate';
export {
  danfo,
  describeFrame,
  type FrameRow,
  fillMissing,
  frameOf,
  frameRows,
  frameToCsv,
  recordRows,
  runFrame,
} from './evaluate/frames';
export { ErrorSums, mae, psnr, rmse } from './evaluate/metrics';
export { type MirrorAxis, mirrorAxes } from './evaluate/mirror';
export { type MsSsimOptions, msSsim } from './evaluate/ms-ssim';
export { type PairedDifference, pairedDifference } from './evaluate/paired';
export { chooseCheckpoint } from './evaluate/pass';
export {
  type Blending,
  type ModelSource,
  type ReconstructOptions,
  reconstruct,
  reconstructBlends,
  reconstructToDataset,
  reconstructToFile,
  reconstructWindows,
} from './evaluate/reconstruct';
export { Reconstruction, type ReconstructionDetails } from './evaluate/reconstruction';
export { patchBorders, type SeamEnergyOptions, seamEnergy, seamProfile } from './evaluate/seam';
export { ssimMap } from './evaluate/ssim-map';
export { type SweepOptions, type SweepRow, sweepBlending } from './evaluate/sweep';
export { type TrainingFigures, trainingFigures } from './evaluate/training-figures';
export { type PatchRow, patchErrors } from './evaluate/worst-patches';
export { type ExportOptions, exportOnnx, exportSafetensors, onnxParts } from './interchange/export';
export { type Imported, type ImportOptions, importSafetensors } from './interchange/import';
export { VoxelMemory } from './memory/voxel-memory';
export { perplexity, usage } from './model/codebook';
export type { ModelConfig } from './model/config';
export { type Fit, type FitRequest, fitMemory, memoryRemedies } from './model/forecast/fit';
export {
  type ForecastDevice,
  type ForecastOptions,
  forecastDevices,
  forecastMemory,
  forecastReconstruction,
  type MemoryForecast,
  processBytes,
} from './model/forecast/forecast';
export { stepWork } from './model/forecast/work';
export { PRESETS as presets, type Preset, type PresetName, presetNamed } from './model/presets';
export { type Estimator, estimatorNames } from './model/quantisers/estimators';
export { fitQuantiser, type QuantiserConfig } from './model/quantisers/options';
export { type Quantiser, type QuantiserName, quantiserNames } from './model/quantisers/quantiser';
export { type Checkpointing, checkpointings } from './model/resblock';
export { fewLatents } from './model/supply';
export { VqGan } from './model/vqgan';
export { compiledFile, packageRoot, version } from './package';
export {
  type BlendOptions,
  blendPatches,
  blendSlabs,
  type Patch,
  type Patches,
  type PatchSource,
  type Slab,
} from './patch/blend';
export { type BlendToDatasetOptions, blendToDataset } from './patch/blend-dataset';
export { type BlendToFileOptions, blendToFile } from './patch/blend-file';
export {
  type ExtractOptions,
  extractPatch,
  extractPatches,
  type PadMode,
  type VoxelSource,
} from './patch/extract';
export {
  type Grid,
  type GridLayout,
  type GridOptions,
  patchPlace,
  patchStart,
  planGrid,
  scaleGrid,
} from './patch/grid';
export type { RangeOption, WindowOption } from './patch/pair';
export { type PatchSelection, selectForeground } from './patch/select';
export { type SsimOptions, SsimSums, ssim } from './patch/ssim';
export { axisWindows, patchWindow, type WindowName, type WindowOptions, windowNames } from './patch/windows';
export { codesFigure } from './plot/codes';
export { type ComparisonFigureOptions, comparisonFigure } from './plot/comparison/comparison';
export { distanceFigure } from './plot/comparison/distance';
export { comparisonTable, seamFigure } from './plot/comparison/panels';
export { sweepFigure } from './plot/comparison/sweep';
export { type WorstPatchesOptions, worstPatchesFigure } from './plot/comparison/worst-patches';
export { clearOutput, type DisplayOptions, display, input } from './plot/display';
export { evaluationTables } from './plot/evaluation';
export { Figure } from './plot/figure';
export { gridFigure, gridTable } from './plot/grid';
export { progress, progressBar } from './plot/progress-bar';
export { html, json, latex, markdown, png, Rich, svg } from './plot/rich';
export { runComparisonFigure, runComparisonTables } from './plot/run/comparison';
export { thin } from './plot/run/decimate';
export { rankTimesFigure, timeLost } from './plot/run/rank-times';
export { runFigure, seriesFigure } from './plot/run/run';
export { appendRecord, type RunOfLine, type Series } from './plot/run/series';
export { FIGURE_MIME, figureBundle, type MimeBundle, PLOTLY_MIME, titleOf, toBundle } from './plot/show';
export { shownRuns } from './plot/shown';
export { Table } from './plot/table';
export { duration, runLines, runNotices } from './plot/terminal';
export { baseLayout, graphAxis, palette } from './plot/theme';
export { volumeFigure } from './plot/volume';
export type { LongCall, Progress } from './progress';
export { buildC10d } from './train/collective/c10d/build';
export { type CollectiveName, collectiveNames } from './train/collective/connect';
export { type HeldOut, heldOut } from './train/data/held-out';
export { type RunSide, type SideOf, sidesOf } from './train/data/sides';
export { Adam, type AdamOptions, clipByGlobalNorm } from './train/learn/adam';
export { BackendAdam, clipping } from './train/learn/backend-adam';
export {
  checkRanks,
  type RanksCheck,
  type RanksCheckOptions,
  type RanksFinding,
} from './train/ranks/check-ranks';
export { runRank } from './train/ranks/rank';
export { supervise } from './train/ranks/supervisor';
export type { ChosenCheckpoint } from './train/record/choose-checkpoint';
export type { LatestSlices } from './train/record/latest-slices';
export { type MetricRecord, withoutClock } from './train/record/metrics-log';
export type { Pace } from './train/record/pace';
export { runsRoot, type StoredConfig } from './train/record/run-folder';
export type { RunStatus } from './train/record/status';
export { attach, LiveView, listRuns, live, Run } from './train/run';
export { type RunConfig, resolveConfig, type TrainOptions } from './train/settings/config';
export { readConfig } from './train/settings/config-file';
export {
  type RunResult,
  type RunSummary,
  type RunsSideBySide,
  runSummaries,
  runsSideBySide,
} from './train/side-by-side';
export { prepareRun, train } from './train/train';
export { type FolderContent, searchFolder } from './volume/folder';
export { convertDicom } from './volume/foreign';
export type { NiftiHeader } from './volume/header';
export { fromModel, type Intensity, type IntensitySpec, resolveIntensity, toModel } from './volume/intensity';
export { type PhantomOptions, phantom } from './volume/phantom/phantom';
export { patientByName } from './volume/prepare/patients';
export { type Prepared, type PrepareOptions, prepareDataset } from './volume/prepare/prepare';
export { type DatasetVolumeOptions, writeDatasetVolume } from './volume/prepare/write-volume';
export {
  checkVolume,
  type ReadOptions,
  readHeader,
  readVolume,
  readVoxels,
  type Voxels,
} from './volume/read';
export { type Dataset, isDataset, type OpenDatasetOptions, openDataset } from './volume/store/dataset';
export type { LeftOut, SplitName } from './volume/store/format';
export type { ReadPatchOptions, StoredImage, StoredVolume } from './volume/store/stored-image';
export type { Vec3 } from './volume/vec3';
export type { BaselineView } from './volume/view';
export { centreMask, resampleVolume, slabOf, viewVolume } from './volume/view';
export { type NdArray, Volume } from './volume/volume';
export {
  type VolumePlace,
  type VolumeSlab,
  type WriteOptions,
  writeSlabs,
  writeVolume,
} from './volume/write';
