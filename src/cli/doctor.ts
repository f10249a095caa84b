import type { Command } from 'commander';
import { type CollectiveName, checkRanks, InvalidArgument } from '../index';
import { checkMachine, collectiveNames, type Finding } from '../internal';
import { answer, columns, interruptible, parseCount, parsePositive } from './terminal';

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
      const findings = [...(await checkMachine()), await jupyter(), await kernel()];
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
