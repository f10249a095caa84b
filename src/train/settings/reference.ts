import { PRESETS, type PresetName } from '../../model/presets';
import { quantisers, quantisersWith } from '../../model/quantisers/registry';
import type { Setting, Settings } from '../../setting';
import { resolveConfig } from './config';
import { groups, runSettings } from './settings';

/** A setting as the command, the help and docs/settings.md tell it. */
export interface SettingEntry extends Omit<Setting, 'read' | 'formerly'> {
  /** With the group's name, such as `model.codes`. */
  readonly name: string;
  /** Quantisers that have it, where it is an option of some. */
  readonly quantisers?: readonly string[];
  /** Its value in the preset. Absent where the user, the machine or nobody sets it. */
  readonly value?: unknown;
}

/** Every setting of a run, with its value in a preset. @throws InvalidConfig for an unknown preset */
export function listSettings(preset: PresetName = 'toy'): SettingEntry[] {
  const { data: _, ...config } = resolveConfig({ preset, data: ['phantom:64x64x76'] });
  const entries = (settings: Settings, values: object, prefix = ''): SettingEntry[] =>
    Object.entries(settings).map(([key, one]) => {
      const { read: _read, formerly: _formerly, ...told } = one;
      const users = prefix === 'model.' ? quantisersWith(key) : [];
      const value = (values as Record<string, unknown>)[key];
      return {
        name: `${prefix}${key}`,
        ...told,
        ...(users.length > 0 && { quantisers: users }),
        ...(value !== undefined && { value }),
      };
    });
  const options: Settings = Object.assign({}, ...Object.values(quantisers).map((kind) => kind.options));
  return [
    ...entries(runSettings, config),
    ...entries({ ...groups.model, ...options }, config.model, 'model.'),
    ...entries(groups.gan, config.gan, 'gan.'),
    ...entries(groups.perceptual, config.perceptual, 'perceptual.'),
  ];
}

/** The settings as YAML that `train` takes. What has no value is a comment. */
export function settingsYaml(preset: PresetName = 'toy'): string {
  const lines = [`# ${PRESETS[preset].description}`, '# npx patchwise train THIS_FILE --data SCANS'];
  let group: string | undefined;
  for (const entry of listSettings(preset)) {
    const [key, of] = entry.name.split('.').reverse() as [string, string?];
    if (of !== group) lines.push('', `${of}:`);
    group = of;
    const indent = of === undefined ? '' : '  ';
    const shown = JSON.stringify(entry.value ?? entry.default) ?? '';
    lines.push(
      '',
      `${indent}# ${entry.meaning} ${taken(entry)}`,
      `${indent}${entry.value === undefined ? '# ' : ''}${key}: ${shown}`.trimEnd(),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** What a setting takes, as a sentence. */
export function taken({ type, allowed, unit, quantisers: only }: SettingEntry): string {
  const values = allowed ? `one of ${allowed.join(', ')}` : type;
  const sentence = `${values[0]!.toUpperCase()}${values.slice(1)}${unit && !allowed ? `, in ${unit}` : ''}.`;
  return only ? `${sentence} Only ${only.join(', ')}.` : sentence;
}
