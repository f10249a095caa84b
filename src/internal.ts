/**
 * What the command line, the Jupyter kernel and the benches need beside the public names of `index.ts`. Any version may
 * change it.
 */
export { checkMachine, type Finding } from './compute/check-machine';
export { precisions } from './compute/contract/backend';
export { currentBackend, setPrecision } from './compute/contract/registry';
export { buildLibtorch } from './compute/libtorch/build';
export { buildTensorflow } from './compute/tensorflow/build';
export { backendNames } from './compute/use-backend';
export { duration } from './duration';
export { escapeControls, onOneLine } from './escape';
export { ErrorSums } from './fidelity/error-sums';
export { type Fit, fitMemory } from './model/forecast/fit';
export { forecastDevices, forecastReconstruction, processBytes } from './model/forecast/forecast';
export { stepWork } from './model/forecast/work';
export { Objective } from './model/objective';
export { alone } from './model/peers';
export { fewLatents } from './model/supply';
export { checkpointings } from './model/tensor-layers';
export { VqGan } from './model/vqgan';
export { compiledFile, packageRoot } from './package';
export { sinkOf } from './patch/sink';
export { evaluationTables } from './plot/comparison/evaluation';
export { runComparisonTables } from './plot/run/comparison';
export { thin } from './plot/run/decimate';
export { seriesFigure } from './plot/run/figure';
export { appendRecord, type RunOfLine, type Series } from './plot/run/series';
export { runLines, runNotices } from './plot/run/terminal';
export { FIGURE_MIME, figureBundle, PLOTLY_MIME, shownRuns, titleOf, toBundle } from './plot/show';
export { inspectionTables, inspectionText } from './plot/volume/inspection';
export { LevelMaker, levelsFor, type MadeLevel, regionWithin } from './plot/volume/level-maker';
export { chooseCheckpoint } from './reconstruct/pass';
export { buildC10d } from './train/collective/c10d/build';
export { collectiveNames } from './train/collective/connect';
export { makeOptimiser } from './train/learn/optimiser';
export { runRank } from './train/ranks/rank-process';
export { supervise } from './train/ranks/supervisor';
export { withoutClock } from './train/record/metrics-log';
export {
  type RunResult,
  type RunSummary,
  type RunsSideBySide,
  runSummaries,
  runsSideBySide,
} from './train/runs';
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
export { prepareRun } from './train/train';
export { axisNames, checkShape } from './vec3';
export { storedTypes } from './volume/base/datatypes';
export { resolveIntensity, toModel } from './volume/intensity';
export { strictError } from './volume/prepare/inspect';
export { oddityText } from './volume/prepare/oddities';
export { checkVolume } from './volume/read';
export { isDataset } from './volume/store/dataset';
export { VOLUMES_MIME } from './volumes-bundle';
