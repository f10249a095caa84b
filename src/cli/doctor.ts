import { execFile } from 'node:child_process';
import { availableParallelism, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { type BackendInfo, type CollectiveName, checkRanks, InvalidArgument, useBackend } from '../index';
import { backendNames, collectiveNames } from '../internal';
import { answer, columns, formatBytes, interruptible, parseCount, parsePositive } from './terminal';

const run = promisify(execFile);

/** What is on this machine, and the command for what is missing. `required` parts decide the exit code. */
interface Finding {
  readonly part: string;
  readonly found: string | undefined;
  readonly required: boolean;
  readonly cure?: string;
  /** What is there and does not work as it should, with the cure. */
  readonly wrong?: string | undefined;
}

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description(
      'what is on this machine: Node, backends, GPUs, Jupyter; and the command for what is missing',
    )
    .option(
      '--ranks <n>',
      'ports, devices, collectives, the shared folder, and sums among n processes',
      parseCount,
    )
    .option('--seconds <n>', 'how long the ranks sum', parsePositive, 5)
    .option('--collective <name>', 'local, c10d, or auto as a run would choose', 'auto')
    .option('--json', 'print one JSON value')
    .action(async (options: DoctorOptions) => {
      if (options.ranks) return ranks(options.ranks, options);
      const findings = [
        node(),
        machine(),
        ...(await backends()),
        ...(await Promise.all([gpus(), jupyter(), kernel()])),
      ];
      answer(options.json, findings, () =>
        columns(
          findings.map(({ part, found, required, cure, wrong }) => [
            wrong ? 'WRONG' : found ? 'ok' : required ? 'MISSING' : '-',
            part,
            wrong ?? found ?? cure ?? 'not here',
          ]),
        ),
      );
      if (findings.some(({ required, found, wrong }) => wrong || (required && !found))) process.exitCode = 1;
    });
}

interface DoctorOptions {
  ranks?: number;
  seconds: number;
  collective: string;
  json?: boolean;
}

async function ranks(count: number, { seconds, collective, json }: DoctorOptions): Promise<void> {
  const { findings, measured, ok } = await checkRanks({
    ...interruptible('doctor'),
    ...{ ranks: count, seconds, collective: collectiveNamed(collective) },
  });
  answer(json, { ranks: count, ok, findings, ...(measured && { measured }) }, () =>
    columns(findings.map(({ part, found, wrong }) => [wrong ? 'WRONG' : 'ok', part, wrong ?? found ?? ''])),
  );
  if (!ok) process.exitCode = 1;
}

function collectiveNamed(name: string): CollectiveName {
  const known = collectiveNames.find((one) => one === name);
  if (known) return known;
  throw new InvalidArgument('collective', 'the name of a collective', name, collectiveNames);
}

function node(): Finding {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  const newEnough = major > 20 || (major === 20 && minor >= 19);
  return {
    part: 'Node',
    found: newEnough ? process.version : undefined,
    required: true,
    cure: `this is ${process.version}; Patchwise needs Node 20.19 or newer: https://nodejs.org`,
  };
}

function machine(): Finding {
  return {
    part: 'machine',
    found: `${availableParallelism()} cores, ${formatBytes(totalmem())} of memory, ${process.platform} ${process.arch}`,
    required: false,
  };
}

/** Tries each backend for real, one after the other, since only one is current at a time. */
async function backends(): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const name of new Set(['libtorch', 'tensorflow', ...backendNames])) {
    const required = name === 'wasm';
    try {
      const info = await useBackend(name);
      findings.push({
        part: `backend ${name}`,
        found: `${info.version}, ${info.device}, ${info.threads} thread(s)${lacking(info)}`,
        required,
      });
    } catch (error) {
      findings.push({ part: `backend ${name}`, found: undefined, required, cure: (error as Error).message });
    }
  }
  const taken = await useBackend().catch((error: Error) => error);
  if (taken instanceof Error)
    findings.push({ part: 'backend of runs', found: undefined, required: true, cure: taken.message });
  else {
    const found = `${taken.name}: ${taken.reason}`;
    findings.push({ part: 'backend of runs', found, required: true, wrong: taken.warning });
  }
  return findings;
}

/** Which of tfjs's kernels a notebook's own tensors do without. */
function lacking({ missing, unsupported, onHost }: BackendInfo): string {
  if (missing.length) return `; lacks ${missing.join(', ')}, which models need`;
  const slow = onHost.length ? `, ${onHost.length} run on the host` : '';
  return `; ${unsupported.length} of tfjs's kernels missing${slow}, none that models use`;
}

async function gpus(): Promise<Finding> {
  const query = ['--query-gpu=name,memory.total,driver_version', '--format=csv,noheader'];
  const found = await output('nvidia-smi', query);
  return {
    part: 'GPUs',
    found,
    required: false,
    cure: 'no NVIDIA driver answers nvidia-smi; training runs on the CPU',
  };
}

async function jupyter(): Promise<Finding> {
  const { findLab } = await import('../../kernels/install/lab.js'); // as `npx patchwise lab` finds it
  const lab = await findLab();
  return {
    part: 'JupyterLab',
    found: lab && `JupyterLab ${lab.version}`,
    required: false,
    cure: 'python3 -m venv .venv && .venv/bin/pip install jupyterlab (only to open notebooks in a browser)',
  };
}

async function kernel(): Promise<Finding> {
  const { listKernels } = await import('../../kernels/install/install.js');
  const kernels = await listKernels();
  return {
    part: 'Jupyter kernel',
    found: kernels.map(({ dir }) => dir).join(', ') || undefined,
    required: false,
    cure: 'npx patchwise kernel install',
  };
}

/** First lines a program prints, or undefined where it is absent, fails or hangs. */
async function output(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout } = await run(program, args, { timeout: 10_000 });
    return stdout.trim().split('\n').join('; ') || undefined;
  } catch {
    return undefined;
  }
}
