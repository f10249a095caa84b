import type { Command } from 'commander';
import {
  type GivenView,
  InvalidArgument,
  inspectVolumes,
  type PrepareOptions,
  prepareDataset,
} from '../index';
import { inspectionTables, inspectionText, oddityText } from '../internal';
import { addCommand } from './command';
import { fileOrFolderToRead, fileToRead, folderToWrite } from './paths';
import {
  interruptible,
  parseNumber,
  parseSeries,
  parseSize,
  parseWhole,
  refuseOdd,
  tablesText,
  tell,
  tellLeftOut,
  tellText,
} from './terminal';

interface PrepareFlags extends PrepareOptions {
  readonly check?: boolean;
}

export function addPrepare(program: Command): void {
  addCommand(program, 'prepare', {
    does:
      'make a dataset (Zarr v3) of volume files and DICOM, from which training reads random patches. ' +
      'Settings that a call does not give are those of the last one',
    takes: `
      <in>                   a folder, searched through, or one file: NIfTI, MetaImage, NRRD or DICOM
      [out]                  the folder of the dataset; a second call prepares only what is new or changed
      --check                look at all headers and voxels, show what is there and what is odd, and prepare nothing
      --strict               refuse an input of which anything is left out or odd
      --spacing <mm | x,y,z>  resample to this voxel size in mm
      --no-antialias         do not smooth axes that lose voxels before resampling
      --intensity <name | low,high>  auto, ctpa, lung, mediastinum, minmax, or two values
      --baseline <n | x,y,z[:how]>  a smaller view too, by :resample (default) or :crop
      --canonical            turn every volume to RAS+
      --index <n>            which volume of each file, for 4D ones, counted from 0
      --channel <name>       which component of complex or colour voxels
      --series <number | text>  only DICOM series of this number, or with this text in their name or description
      --split <t,v,t>        parts of the patients: train, validation, test; default: 0.8,0.1,0.1
      --seed <n>             draws the split; default: 0
      --resplit              let patients of the dataset change sides by another split, seed, table or pattern
      --verify               read all stored voxels, and make damaged volumes again
      --patient <regex>      its first group, on a file's path, is the patient; default: up to its number
      --csv <file>           a table file,patient[,split]; only files in it are prepared
      --workers <n>          threads; each holds a volume or two`,
    reads: {
      in: fileOrFolderToRead('volume files'),
      out: folderToWrite('the folder of a dataset'),
      baseline: parseBaseline,
      index: parseWhole,
      series: parseSeries,
      split: parseFractions,
      seed: parseWhole,
      csv: fileToRead('a table'),
    },
    answers: async (
      input: string,
      output: string | undefined,
      { check, ...options }: PrepareFlags,
      command: Command,
    ) => {
      if (check) {
        const inspection = await inspectVolumes(input, { ...options, ...interruptible('check') });
        if (options.strict) refuseOdd(input, inspection);
        return [inspection, tablesText(inspectionTables(inspection))];
      }
      if (output === undefined)
        throw new InvalidArgument('out', 'the folder of the dataset, or --check', output);
      const told = new Set<string>();
      const onInspect: PrepareOptions['onInspect'] = (inspection) => {
        tellText(inspectionText(inspection));
        for (const oddity of inspection.oddities) told.add(oddityText(oddity));
      };
      // Commander says true where the option is not given; the dataset may say otherwise.
      const given = command.getOptionValueSource('antialias') === 'default' ? { antialias: undefined } : {};
      const call = { ...options, ...given, onInspect, ...interruptible('prepare') };
      const prepared = await prepareDataset(input, output, call);
      const { written, kept, leftOut, split } = prepared;
      tellLeftOut(leftOut);
      const odd = prepared.oddities.map(oddityText).filter((text) => !told.has(text));
      for (const note of [...odd, ...prepared.notes]) tell(`note: ${note}`);
      const sides = Object.entries(split).map(
        ([side, { volumes, patients }]) => `${side.padEnd(10)}  ${volumes} volumes of ${patients} patients`,
      );
      const counts = `${written.length} volumes written, ${kept.length} unchanged, ${leftOut.length} left out`;
      return [prepared, [`${output}: ${counts}`, ...sides]];
    },
  });
}

function parseBaseline(text: string): GivenView {
  const [shape, how = 'resample'] = text.split(':');
  if (how !== 'resample' && how !== 'crop')
    throw new InvalidArgument('baseline', 'a size, then :resample or :crop', text);
  return { shape: parseSize(shape!), how };
}

function parseFractions(text: string): number[] {
  const parts = text.split(',').map(parseNumber);
  if (parts.length !== 3) throw new InvalidArgument('split', 'three fractions, train,validation,test', text);
  return parts;
}
