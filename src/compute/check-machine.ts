/** What is on this machine to compute with, and the command for what is missing. */
import { availableParallelism, totalmem } from 'node:os';
import { queryGpus } from './machine/gpus';
import { type BackendInfo, backendNames, useBackend } from './use-backend';

/** One part of this machine. */
export interface Finding {
  readonly part: string;
  /** Undefined where it is missing. */
  readonly found: string | undefined;
  /** Whether Patchwise cannot work without it. */
  readonly required: boolean;
  readonly cure?: string;
  /** What is here and does not work as it should, with the cure. */
  readonly wrong?: string | undefined;
}

/** Node, the machine's size, its GPUs, and each backend, tried out. The one that a run would take is then current. */
export async function checkMachine(): Promise<Finding[]> {
  return [node(), machine(), ...(await backends()), await gpus()];
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
    found: `${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(1)} GiB of memory, ${process.platform} ${process.arch}`,
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

/** Which of tfjs's kernels are missing for a notebook's own tensors. */
function lacking({ missing, unsupported, onHost }: BackendInfo): string {
  if (missing.length) return `; lacks ${missing.join(', ')}, which models need`;
  const slow = onHost.length ? `, ${onHost.length} run on the host` : '';
  return `; ${unsupported.length} of tfjs's kernels missing${slow}, none that models use`;
}

async function gpus(): Promise<Finding> {
  const found = await queryGpus(['name', 'memory.total', 'driver_version']);
  return {
    part: 'GPUs',
    found: found?.map((gpu) => gpu.join(', ')).join('; ') || undefined,
    required: false,
    cure: 'no NVIDIA driver answers nvidia-smi; training runs on the CPU',
  };
}
