import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { withPath } from '../../atomic-file';
import { InvalidConfig, UnreadableFile } from '../../errors';
import { isMapping } from '../../setting';
import type { TrainOptions } from './config';

/**
 * The options of a run from a YAML file (or none), with overrides such as `model.codes=1024`. The start of the run checks
 * their values.
 * @throws UnreadableFile if the file is not a YAML mapping; InvalidConfig for an override that is not `key=value`; the
 * system's error, with the path, if the file cannot be read
 */
export async function readConfig(
  file: string | undefined,
  options: { overrides?: readonly string[]; data?: string | readonly string[] } = {},
): Promise<TrainOptions> {
  const config = file === undefined ? {} : await readYaml(file);
  for (const override of options.overrides ?? []) applyOverride(config, override);
  if (options.data !== undefined) config.data = options.data;
  return config as TrainOptions;
}

type Mapping = Record<string, unknown>;

async function readYaml(file: string): Promise<Mapping> {
  const expected = 'a YAML file of settings; volumes are given as data';
  let parsed: unknown;
  const bytes = await readFile(file).catch((error) => {
    throw withPath(error, file);
  });
  try {
    if (!isUtf8(bytes)) throw new Error('a file that is no text');
    parsed = parse(bytes.toString());
  } catch (cause) {
    // The first line says what is wrong and where; after it comes the text itself.
    throw new UnreadableFile(file, expected, (cause as Error).message.split('\n')[0]!, { cause });
  }
  if (parsed === null) return {};
  if (!isMapping(parsed)) throw new UnreadableFile(file, 'a mapping of settings', typeof parsed);
  return parsed;
}

function applyOverride(config: Mapping, override: string): void {
  const equals = override.indexOf('=');
  const path = override.slice(0, Math.max(0, equals)).trim().split('.');
  const expected = 'key=value, such as model.codes=1024';
  if (equals < 0 || path.some((part) => part === '' || part === '__proto__'))
    throw new InvalidConfig([{ key: override, expected, received: override }]);
  let at = config;
  for (const part of path.slice(0, -1)) {
    if (!isMapping(at[part])) at[part] = {};
    at = at[part] as Mapping;
  }
  at[path.at(-1)!] = parseValue(override.slice(equals + 1));
}

/** YAML's scalars and lists; `64,64,32` and `64x64x32` are lists of numbers too. */
function parseValue(text: string): unknown {
  if (/^\s*-?[\d.]+(e-?\d+)?(\s*[,x]\s*-?[\d.]+)+\s*$/.test(text)) return text.split(/[,x]/).map(Number);
  try {
    return parse(text);
  } catch {
    return text;
  }
}
