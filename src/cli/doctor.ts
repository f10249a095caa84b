import type { Command } from 'commander';
import { checkRanks, type RanksCheckOptions } from '../index';
import { checkMachine, collectiveNames, type Finding } from '../internal';
import { addCommand } from './command';
import { columns, interruptible } from './terminal';

export function addDoctor(program: Command): void {
  addCommand(program, 'doctor', {
    does: 'what is on this machine: Node, backends, GPUs, Jupyter; and the command for what is missing',
    takes: `
      --ranks <n>          ports, devices, collectives, the shared folder, and sums among n processes
      --seconds <seconds>  how long the ranks sum (default: 5)
      --collective <name>  what the ranks talk through; auto as a run would choose (default: auto)`,
    reads: { collective: collectiveNames },
    answers: async ({ ranks, ...options }: Partial<RanksCheckOptions>) => {
      if (ranks !== undefined) {
        const check = { ...interruptible('doctor'), ...options, ranks };
        const { findings, measured, ok } = await checkRanks(check);
        if (!ok) process.exitCode = 1;
        return [{ ranks, ok, findings, ...(measured && { measured }) }, findingLines(findings)];
      }
      const findings = [...(await checkMachine()), await jupyter(), await kernel()];
      if (findings.some(({ required, found, wrong }) => wrong || (required && !found))) process.exitCode = 1;
      return [findings, findingLines(findings)];
    },
  });
}

function findingLines(findings: readonly Partial<Finding>[]): string[] {
  return columns(
    findings.map(({ part = '', found, required, cure, wrong }) => [
      wrong ? 'WRONG' : found ? 'ok' : required ? 'MISSING' : '-',
      part,
      wrong ?? found ?? cure ?? 'not here',
    ]),
  );
}

async function jupyter(): Promise<Finding> {
  const { findLab } = await import('../../kernels/install.js'); // as `npx patchwise lab` finds it
  const lab = await findLab();
  return {
    part: 'JupyterLab',
    found: lab && `JupyterLab ${lab.version}`,
    required: false,
    cure: 'python3 -m venv .venv && .venv/bin/pip install jupyterlab (only to open notebooks in a browser)',
  };
}

async function kernel(): Promise<Finding> {
  const { listKernels } = await import('../../kernels/install.js');
  const found = (await listKernels()).map(({ dir }) => dir).join(', ') || undefined;
  return { part: 'Jupyter kernel', found, required: false, cure: 'npx patchwise kernel install' };
}
