import { once } from 'node:events';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { FuzzOptions } from '../../bench/kernel-rounds/fuzz';
import type { SoakOptions } from '../../bench/kernel-rounds/soak';
import type { Notebook, Output } from '../../kernels/headless/notebook';
import type { NotebookEvent } from '../../kernels/headless/run';
import type { InstallOptions } from '../../kernels/install';
import { InvalidArgument } from '../index';
import { addCommand } from './command';
import { fileOrFolderToRead, fileToRead, fileToWrite, folderToWrite } from './paths';
import { interruptible, parseNumber, parsePositive, parseWhole } from './terminal';

interface NotebookOptions {
  readonly parameter?: readonly (readonly [name: string, value: unknown])[];
  readonly volume?: string;
  readonly output?: string;
  readonly html?: boolean | string;
  readonly timeout: number;
}

export function addNotebook(program: Command): void {
  addRunning(program.command('notebook').description('run notebooks without a browser'));
  addCommand(program, 'lab', {
    does: 'start JupyterLab, if it is here, with our kernel in it',
    takes: '[args...]  passed on to JupyterLab, after --',
    run: lab,
  });
  addKernel(program.command('kernel').description('the Jupyter kernel and its JupyterLab extension'));
}

function addRunning(notebook: Command): void {
  addCommand(notebook, 'run', {
    does: 'execute a notebook on our kernel, without Python',
    takes: `
      <file>                .ipynb
      -p, --parameter <name=value...>  set a variable of the cell tagged "parameters"
      --volume <file>       a CT (NIfTI, MetaImage, NRRD) or a DICOM folder: short for -p volume=<file>
      -o, --output <file>   executed notebook, - for stdout; default: reports/<name>.ipynb
      --html [file]         also write one self-contained HTML report; default: reports/<name>.html
      --timeout <seconds>   longest time for one cell (default: 3600)`,
    reads: {
      file: fileToRead('a notebook'),
      parameter: parseParameter,
      volume: fileOrFolderToRead('a volume file or a folder of DICOM'),
      output: fileToWrite('a notebook'),
      html: fileToWrite('a report'),
    },
    answers: async (file: string, options: NotebookOptions) => {
      const { runNotebook } = await import('../../kernels/headless/run.js');
      const { isStdout, OutputFile, STDOUT } = await import('../../kernels/headless/output-file.js');
      const parameters = Object.fromEntries(options.parameter ?? []);
      if (options.volume) parameters.volume = resolve(options.volume);
      const name = basename(file, '.ipynb');
      const place = (path: string): string => (path === '-' ? STDOUT : resolve(path));
      const output = place(options.output ?? join('reports', `${name}.ipynb`));
      const beside = isStdout(output)
        ? join('reports', `${name}.html`)
        : output.replace(/(\.ipynb)?$/, '.html');
      const html = place(typeof options.html === 'string' ? options.html : beside);
      const report = options.html ? await OutputFile.open(html) : undefined;
      if (report && html === output)
        throw new InvalidArgument('--html', 'another file than that of the notebook', html);
      const narrate = narrator();
      let written: Notebook | undefined;
      const executed = runNotebook({
        path: file,
        output,
        parameters,
        cellTimeout: options.timeout,
        signal: interruptible(name).signal,
        onEvent: (event) => {
          if (event.type === 'written') written = event.notebook;
          narrate(event);
        },
      });
      try {
        await executed;
      } finally {
        // A report of a failed notebook shows where it failed.
        if (report && written) {
          const { writeReport } = await import('../../kernels/report/report.js');
          await writeReport(written, name, report);
        }
      }
      if (isStdout(output) || (report && isStdout(html))) return undefined; // nothing else may stand there
      const { seconds } = await executed;
      const lines = [`executed notebook  ${output}`, ...(report ? [`report             ${html}`] : [])];
      return [{ notebook: output, ...(report && { html }), seconds }, lines];
    },
  });

  addCommand(notebook, 'test', {
    does: 'run notebooks and say which pass: only cells tagged raises-exception may fail',
    takes: `
      <paths...>           .ipynb files, or folders of them
      -p, --parameter <name=value...>  set a variable in the notebooks that have a cell tagged "parameters"
      --timeout <seconds>  longest time for one cell (default: 3600)`,
    reads: { paths: fileOrFolderToRead('notebooks'), parameter: parseParameter },
    answers: async (paths: string[], { parameter = [], timeout }: NotebookOptions) => {
      const { testNotebooks } = await import('../../kernels/headless/test.js');
      const tests = await testNotebooks(paths, {
        parameters: Object.fromEntries(parameter),
        cellTimeout: timeout,
        signal: interruptible('notebook test').signal,
        onStart: (path, at, of) => process.stderr.write(`== ${path} (${at} of ${of})\n`),
        onEvent: narrator(),
      });
      const failed = tests.filter(({ ok }) => !ok).length;
      if (failed > 0) process.exitCode = 1;
      const lines = tests.map(({ ok, notebook, seconds, cell, reason }) => {
        const why = ok ? '' : `  ${cell === undefined ? '' : `cell ${cell}: `}${reason}`;
        return `${ok ? 'passed' : 'FAILED'}  ${notebook}  ${seconds.toFixed(1)} s${why}`;
      });
      return [tests, [...lines, `${tests.length - failed} passed, ${failed} failed`]];
    },
  });
}

async function lab(args: string[]): Promise<void> {
  const { findLab, HOW_TO_GET_LAB, startLab } = await import('../../kernels/install.js');
  const found = await findLab();
  if (!found) {
    process.stderr.write(`${HOW_TO_GET_LAB.join('\n')}\n`);
    process.exitCode = 1;
    return;
  }
  const server = await startLab(found, args);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => server.kill(signal));
  const [code] = (await once(server, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
}

function addKernel(kernel: Command): void {
  const places = (from: string, below: string) => `
      --user          for this user (the default)
      --sys-prefix    ${from} the Python environment on the path
      --prefix <dir>  ${below} share/jupyter below a folder`;
  const prefix = folderToWrite('a folder');
  const installer = () => import('../../kernels/install.js');
  addCommand(kernel, 'install', {
    does: 'make the kernel and the figures known to Jupyter',
    takes: `${places('into', 'into')}
      --engine <name>  what compiles and runs cells`,
    reads: { prefix, engine: ['typescript', 'tslab'] },
    answers: async (options: InstallOptions) => {
      const installed = await (await installer()).installKernel(options);
      const lines = Object.values(installed).map((path) => `installed ${path}`);
      return [installed, [...lines, 'next: npx patchwise lab -- notebooks/quickstart.ipynb']];
    },
  });
  addCommand(kernel, 'uninstall', {
    does: 'remove them from Jupyter',
    takes: places('from', 'from'),
    reads: { prefix },
    answers: async (options: InstallOptions) => {
      const removed = await (await installer()).uninstallKernel(options);
      return [removed, removed.length ? removed.map((path) => `removed ${path}`) : 'not installed'];
    },
  });
  addCommand(kernel, 'list', {
    does: 'where the kernel is installed',
    answers: async () => {
      const found = await (await installer()).listKernels();
      return [found, found.length ? found.map((each) => each.dir) : 'not installed'];
    },
  });
  addCommand(kernel, 'fuzz', {
    does: 'send broken messages to a kernel and check that it still answers good ones',
    takes: `
      --messages <n>  how many (default: 10000)
      --seed <n>      of the ways in which they are broken (default: 1)`,
    reads: { seed: parseWhole },
    answers: async (options: FuzzOptions) => {
      const { fuzzKernel } = await import('../../bench/kernel-rounds/fuzz.js');
      const report = await fuzzKernel({ ...interruptible('fuzz'), ...options });
      const { messages, executed, answered, asked, memory } = report;
      if (executed > 0 || answered < asked) process.exitCode = 1;
      return [
        report,
        [
          `${messages} broken messages, ${executed} of them executed`,
          `${answered} of ${asked} good ones answered`,
          `memory ${memory.map((mb) => mb.toFixed(0)).join(' -> ')} MB`,
        ],
      ];
    },
  });
  addCommand(kernel, 'soak', {
    does: 'let a kernel follow a run for a long time and look whether its memory, files and listeners grow',
    takes: `
      --minutes <n>      how long (default: 60)
      --pause <seconds>  between two rounds of cells (default: 2)
      --share <part>     of the time that the run may compute, 0 to 1 (default: 1)`,
    reads: { minutes: parsePositive, pause: parseNumber, share: parseNumber },
    answers: async (options: SoakOptions) => {
      const { soakKernel } = await import('../../bench/kernel-rounds/soak.js');
      const report = await soakKernel({ ...interruptible('soak'), ...options });
      const { minutes, cells, isFlat, heap, memory, openFiles, listeners } = report;
      if (!isFlat) process.exitCode = 1;
      const grown = { 'heap, MB': heap, 'memory, MB': memory, 'open files': openFiles, listeners };
      const lines = Object.entries(grown).map(
        ([name, [from, to]]) => `${name.padEnd(10)} ${from.toFixed(1)} -> ${to.toFixed(1)}`,
      );
      return [report, [`${minutes} minutes, ${cells} cells: ${isFlat ? 'flat' : 'NOT FLAT'}`, ...lines]];
    },
  });
}

/** Prints the notebook's progress, and that of a live figure, to stderr; stdout holds the command's answer. */
function narrator(): (event: NotebookEvent) => void {
  const say = (text: string) => process.stderr.write(`${text}\n`);
  let spoken = performance.now();
  return (event) => {
    if (event.type === 'kernel-ready') say(`kernel ready, ${event.cells} cells`);
    if (event.type === 'cell-started')
      say(`[${event.cell}/${event.cells}] ${event.source.trim().split('\n')[0]!.slice(0, 100)}`);
    if (event.type === 'text' || event.type === 'kernel-stderr')
      process.stderr.write(event.text.replace(/^(?=.)/gm, '    '));
    if (event.type === 'cell-ended')
      say(`    ${event.ok ? 'done' : 'FAILED'} in ${event.seconds.toFixed(1)} s`);
    if (event.type === 'not-saved') say(`    not saved, it is tried again: ${event.error.message}`);
    const progress = event.type === 'outputs' && summaryOf(event.outputs);
    if (progress && performance.now() - spoken > 5000) say(`    ${progress}`);
    else if (event.type === 'outputs') return;
    spoken = performance.now();
  };
}

/** The first line of the newest output as plain text: for a live figure, the progress of its run. */
function summaryOf(outputs: readonly Output[]): string | undefined {
  const last = outputs.at(-1);
  if (last?.output_type !== 'display_data') return undefined;
  return [last.data['text/plain']].flat().join('').split('\n')[0] || undefined;
}

/** `name=value`: JSON where the value is JSON, else a string. */
function parseParameter(text: string): [string, unknown] {
  const [, name, value] = /^([A-Za-z_$][\w$]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgument('parameter', 'name=value', text);
  try {
    return [name, JSON.parse(value)];
  } catch {
    return [name, value];
  }
}
