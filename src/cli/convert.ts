import type { Command } from 'commander';
import { convertDicom, type SeriesOptions, type SeriesRow } from '../index';
import { addCommand } from './command';
import { fileOrFolderToRead, folderToWrite } from './paths';
import { interruptible, parseSeries } from './terminal';

export function addConvert(program: Command): void {
  addCommand(program, 'convert', {
    does: 'convert DICOM series to NIfTI, with pseudonyms and without dates',
    takes: `
      <in>                      a folder with DICOM files, searched through, or one DICOM file
      <out>                     the folder of the NIfTI files: PATIENT_sNUMBER_DIGITS.nii.gz
      --series <number | text>  only series of this number, or with this text in their name or description`,
    reads: {
      in: fileOrFolderToRead('DICOM files'),
      out: folderToWrite('the folder of the NIfTI files'),
      series: parseSeries,
    },
    answers: async (input: string, output: string, options: SeriesOptions) => {
      const conversion = await convertDicom(input, output, { ...options, ...interruptible('convert') });
      const { series, skipped } = conversion;
      const written = series.filter(({ file }) => file !== undefined);
      if (written.length === 0) process.exitCode = 1;
      return [
        conversion,
        [
          ...series.map(lineOf),
          ...skipped.map(
            ({ reason, files, example }) =>
              `not used: ${files === 1 ? example : `${files} files, ${example} first`}: ${reason}`,
          ),
          `${output}: ${written.length} volumes written of ${series.length} series`,
        ],
      ];
    },
  });
}

function lineOf({ name, description, modality, shape, spacing, reason, notes }: SeriesRow): string {
  const mm = spacing ? `, ${spacing.map((step) => Number(step.toFixed(3))).join(' x ')} mm` : '';
  const what = `${name}  ${modality} "${description}"  ${shape.join(' x ')}${mm}`;
  const lines = reason === undefined ? notes : [`left out: ${reason}`, ...notes];
  return [what, ...lines.map((line) => `  ${line}`)].join('\n');
}
