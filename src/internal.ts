/**
 * What the command line, the Jupyter kernel and the benches need beside the public names of `index.ts`. Any version may
 * change it.
 */
export { type EncodedPatch, encodePatches } from './codes/encode';
export { checkMachine, type Finding } from './compute/check-machine';
export { type Backend, precisions } from './compute/contract/backend';
export { currentBackend, storeActivationsIn } from './compute/contract/registry';
export { type Build, type BuildOptions, buildLibtorch } from './compute/libtorch/build';
export {
  buildTensorflow,
  type TensorflowBuild,
  type TensorflowBuildOptions,
} from './compute/tensorflow/build';
export { backendNames } from './compute/use-backend';
export type { MimeBundle } from './display-protocol';
export { duration } from './duration';
export { budgets, type StepLoad, voxelsPerStep } from './evaluate/budget';
export { metricNames } from './evaluate/evaluate';
export { recordRows } from './evaluate/frames';
export { borderDistances } from './fidelity/border-distance';
export { ErrorSums } from './fidelity/error-sums';
export { patchBorders } from './fidelity/seam';
export { SsimSums } from './fidelity/ssim';
export { onnxParts } from './interchange/export';
export { type Fit, type FitRequest, fitMemory, memoryRemedies } from './model/forecast/fit';
export { forecastDevices, forecastReconstruction, processBytes } from './model/forecast/forecast';
export { stepWork } from './model/forecast/work';
export { Objective } from './model/objective';
export { alone } from './model/peers';
export { type Estimator, estimatorNames } from './model/quantisers/estimators';
export { fitQuantiser, quantiserNames } from './model/quantisers/registry';
export { fewLatents } from './model/supply';
export { checkpointings } from './model/tensor-layers';
export { VqGan } from './model/vqgan';
export { compiledFile, packageRoot } from './package';
export { patchPlace, patchStart, scaleGrid } from './patch/grid';
export { sinkOf } from './patch/sink';
export { axisWindows } from './patch/windows';
export { evaluationTables } from './plot/comparison/evaluation';
export { runComparisonTables } from './plot/run/comparison';
export { thin } from './plot/run/decimate';
export { seriesFigure } from './plot/run/figure';
export { timeLost } from './plot/run/rank-times';
export { appendRecord, type RunOfLine, type Series } from './plot/run/series';
export { runLines, runNotices } from './plot/run/terminal';
export { FIGURE_MIME, figureBundle, PLOTLY_MIME, shownRuns, titleOf, toBundle } from './plot/show';
export { gridTable } from './plot/volume/grid';
export { type MirrorAxis, mirrorAxes } from './reconstruct/mirror';
export { chooseCheckpoint } from './reconstruct/pass';
export { buildC10d } from './train/collective/c10d/build';
export { collectiveNames } from './train/collective/connect';
export { type RunSide, type SideOf, sidesOf } from './train/data/sides';
export { makeOptimiser } from './train/learn/optimiser';
export { runRank } from './train/ranks/rank-process';
export { supervise } from './train/ranks/supervisor';
export { withoutClock } from './train/record/metrics-log';
export { LiveView } from './train/run';
export { resolveConfig } from './train/settings/config';
export { readConfig } from './train/settings/config-file';
export {
  type MeasureName,
  measures,
  measureText,
  measureTitle,
  numberText,
  summaryMeasures,
} from './train/settings/measures';
export { listSettings, type SettingEntry, settingsYaml, taken } from './train/settings/reference';
export {
  type RunResult,
  type RunSummary,
  type RunsSideBySide,
  runSummaries,
  runsSideBySide,
} from './train/side-by-side';
export { prepareRun } from './train/train';
export { checkShape } from './vec3';
export { type FolderContent, searchFolder } from './volume/folder';
export { convertDicom } from './volume/foreign';
export { fromModel, resolveIntensity, toModel } from './volume/intensity';
export { type DatasetVolumeOptions, writeDatasetVolume } from './volume/prepare/write-volume';
export { checkVolume } from './volume/read';
export { isDataset } from './volume/store/dataset';
