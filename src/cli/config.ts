import type { Command } from 'commander';
import { type PresetName, presets } from '../index';
import { listSettings, settingsYaml, taken } from '../internal';
import { addCommand } from './command';

export function addConfig(program: Command): void {
  addCommand(program, 'config', {
    does: 'all settings of a run with their values in a preset, what they mean and what they take',
    takes: `
      --preset <name>  whose values (default: toy)
      --yaml           print a file that \`train\` takes`,
    reads: { preset: Object.keys(presets) },
    answers: ({ preset, yaml }: { preset: PresetName; yaml?: boolean }) => [
      listSettings(preset),
      yaml ? settingsYaml(preset).trimEnd() : settingLines(preset),
    ],
  });
}

/** Two lines for each setting: its value, and what it means. */
export function settingLines(preset?: PresetName): string[] {
  return listSettings(preset).flatMap((entry) => {
    const value = entry.value ?? entry.default;
    const shown = typeof value === 'string' ? value : JSON.stringify(value);
    const line = shown === undefined ? entry.name : `${entry.name} = ${shown}`;
    return [line, `    ${entry.meaning} ${taken(entry)}`];
  });
}
