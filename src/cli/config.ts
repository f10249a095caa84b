import { type Command, Option } from 'commander';
import { type PresetName, presets } from '../index';
import { listSettings, type SettingEntry, settingsYaml, taken } from '../internal';
import { answer } from './terminal';

export function addConfig(program: Command): void {
  program
    .command('config')
    .description('all settings of a run with their values in a preset, what they mean and what they take')
    .addOption(new Option('--preset <name>', 'whose values').choices(Object.keys(presets)).default('toy'))
    .option('--yaml', 'print a file that `train` takes')
    .option('--json', 'print one JSON value')
    .action(({ preset, yaml, json }: { preset: PresetName; yaml?: boolean; json?: boolean }) =>
      answer(json, listSettings(preset), () =>
        yaml ? settingsYaml(preset).trimEnd() : settingLines(listSettings(preset)),
      ),
    );
}

/** Two lines for each setting: its value, and what it means. */
export function settingLines(entries: readonly SettingEntry[]): string[] {
  return entries.flatMap((entry) => {
    const value = entry.value ?? entry.default;
    return [
      `${entry.name}${value === undefined ? '' : ` = ${typeof value === 'string' ? value : JSON.stringify(value)}`}`,
      `    ${entry.meaning} ${taken(entry)}`,
    ];
  });
}
