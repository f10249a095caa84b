// Writes docs/settings.md from the tables of settings. npm run docs
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import internal from '../dist/src/internal.js';

const { listSettings, taken } = internal;
const names = ['guide', 'upstream', 'baseline', 'toy'];
const presets = names.map((name) => listSettings(name));
const target = process.argv[2] ?? join(import.meta.dirname, 'settings.md');

/** A value as a cell. */
const shown = (value) => (value === undefined ? '' : `\`${JSON.stringify(value).replaceAll('|', '\\|')}\``);

/** The values of a setting in each preset. */
const inPresets = (name) => presets.map((entries) => entries.find((entry) => entry.name === name).value);

function defaultOf({ name, default: byDefault }) {
  if (name === 'preset') return shown(byDefault);
  const values = inPresets(name).map((value) => JSON.stringify(value));
  if (values.every((value) => value === undefined)) return shown(byDefault);
  return values.every((value) => value === values[0]) ? shown(inPresets(name)[0]) : 'by preset';
}

function table(entries) {
  return [
    '| setting | default | meaning |',
    '| --- | --- | --- |',
    ...entries.map(
      (entry) =>
        `| \`${entry.name}\`${entry.mayChange ? ' *' : ''} | ${defaultOf(entry)} | ${entry.meaning} ${taken(entry).replaceAll('|', '\\|')} |`,
    ),
  ];
}

const all = presets[0];
const below = (group) => all.filter(({ name }) => name.startsWith(`${group}.`));
const differing = all.filter((entry) => defaultOf(entry) === 'by preset');
const lines = [
  '# Settings',
  '',
  'Made by `npm run docs`. `npx patchwise config --preset guide` prints them with the values of a preset;',
  '`npx patchwise config --yaml > run.yaml` writes a file to edit, and `npx patchwise train run.yaml --data scans/`',
  'takes it. On the command line a setting is `--set model.codes=1024 patch=64`, in a notebook',
  "`pw.train({ preset: 'toy', data, patch: 64, model: { codes: 1024 } })`. One number for a size means the same along",
  'all three axes. A run can be resumed with another value of the settings with a *; they do not change what a step',
  'computes.',
  '',
  '## Run',
  '',
  ...table(all.filter(({ name }) => !name.includes('.'))),
  '',
  '## Model',
  '',
  ...table(below('model').filter(({ quantisers }) => !quantisers)),
  '',
  '## Options of quantisers',
  '',
  ...table(below('model').filter(({ quantisers }) => quantisers)),
  '',
  '## Discriminators',
  '',
  ...table(below('gan')),
  '',
  '## Perceptual loss',
  '',
  ...table(below('perceptual')),
  '',
  '## Presets',
  '',
  `| setting | ${names.join(' | ')} |`,
  `| --- |${' --- |'.repeat(names.length)}`,
  ...differing.map(({ name }) => `| \`${name}\` | ${inPresets(name).map(shown).join(' | ')} |`),
];
writeFileSync(target, `${lines.join('\n')}\n`);
console.log(`wrote ${target}: ${all.length} settings`);
