/** Finding JupyterLab and starting it with our kernel. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { installKernel, listKernels } from './install';

interface Lab {
  readonly command: readonly string[];
  readonly version: string;
}

/** Said where there is none. */
export const HOW_TO_GET_LAB = [
  'JupyterLab is not here. To get it, beside this project:',
  '  python3 -m venv .venv',
  '  .venv/bin/pip install jupyterlab',
  'then run `npx patchwise lab` again. (PATCHWISE_PYTHON names another Python that has it.)',
];

/** The first JupyterLab of PATCHWISE_PYTHON, .venv/bin/python, python3 and the path. */
export async function findLab(): Promise<Lab | undefined> {
  const pythons = [process.env.PATCHWISE_PYTHON, '.venv/bin/python', 'python3'].filter((python) => python);
  const commands = [...pythons.map((python) => [python!, '-m', 'jupyterlab']), ['jupyter-lab']];
  for (const command of commands) {
    const [program, ...args] = command;
    const found = await promisify(execFile)(program!, [...args, '--version']).catch(() => undefined);
    if (found) return { command, version: found.stdout.trim() };
  }
  return undefined;
}

/** Starts JupyterLab in the terminal that we have. The kernel is installed for this user if Jupyter finds none of ours. */
export async function startLab({ command }: Lab, args: readonly string[]): Promise<ChildProcess> {
  if ((await listKernels()).length === 0) await installKernel();
  const [program, ...first] = command;
  return spawn(program!, [...first, ...args], { stdio: 'inherit' });
}
