import { basename, join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Notebook, Output } from '../../kernels/headless/notebook';
import type { NotebookEvent } from '../../kernels/headless/run';
import type { EngineName } from '../../kernels/install/install';
import { InvalidArgument } from '../index';
import { eachOf, fileOrFolderToRead, fileToRead, fileToWrite, folderToWrite } from './paths';
import { answer, interruptible, parseCount, parseNumber, parsePositive, parseWhole } from './terminal';

export function addNotebook(program: Command): void {
  const notebook = program.command('notebook').description('run notebooks without a browser');
  notebook
    .command('run')
    .description('execute a notebook on our kernel, without Python')
    .argument('<file>', '.ipynb', fileToRead('a notebook'))
    .option('-p, --parameter <name=value...>', 'set a variable of the cell tagged "parameters"')
    .option('--volume <file>', 'a CT as NIfTI: short for -p volume=<file>', fileToRead('a NIfTI file'))
    .option(
      '-o, --output <file>',
      'executed notebook, - for stdout (default: reports/<name>.ipynb)',
      fileToWrite('a notebook'),
    )
    .option(
      '--html [file]',
      'also write one self-contained HTML report (default: reports/<name>.html)',
      fileToWrite('a report'),
    )
    .option('--timeout <seconds>', 'longest time for one cell', parsePositive, 3600)
    .option('--json', 'print one JSON value')
    .action(async (file: string, options: NotebookOptions) => {
      const { runNotebook } = await import('../../kernels/headless/run.js');
      const parameters = Object.fromEntries((options.parameter ?? []).map(parseParameter));
      if (options.volume) parameters.volume = resolve(options.volume);
      const name = basename(file, '.ipynb');
      const { isStdout, OutputFile, STDOUT } = await import('../../kernels/headless/output-file.js');
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
          const { writeReportOf } = await import('../../kernels/report/report.js');
          await writeReportOf(written, name, report);
        }
      }
      if (isStdout(output) || (report && isStdout(html))) return; // nothing else may stand there
      const { seconds } = await executed;
      answer(options.json, { notebook: output, ...(report && { html }), seconds }, () => [
        `executed notebook  ${output}`,
        ...(report ? [`report             ${html}`] : []),
      ]);
    });

  notebook
    .command('test')
    .description('run notebooks and say which pass: only cells tagged raises-exception may fail')
    .argument('<paths...>', '.ipynb files, or folders of them', eachOf(fileOrFolderToRead('notebooks')))
    .option(
      '-p, --parameter <name=value...>',
      'set a variable in the notebooks that have a cell tagged "parameters"',
    )
    .option('--timeout <seconds>', 'longest time for one cell', parsePositive, 3600)
    .option('--json', 'print one JSON value')
    .action(async (paths: string[], options: Pick<NotebookOptions, 'parameter' | 'timeout' | 'json'>) => {
      const { testNotebooks } = await import('../../kernels/headless/test.js');
      const tests = await testNotebooks(paths, {
        parameters: Object.fromEntries((options.parameter ?? []).map(parseParameter)),
        cellTimeout: options.timeout,
        signal: interruptible('notebook test').signal,
        onStart: (path, at, of) => process.stderr.write(`== ${path} (${at} of ${of})\n`),
        onEvent: narrator(),
      });
      const failed = tests.filter(({ ok }) => !ok);
      answer(options.json, tests, () => [
        ...tests.map(({ ok, notebook, seconds, cell, reason }) => {
          const why = ok ? '' : `  ${cell === undefined ? '' : `cell ${cell}: `}${reason}`;
          return `${ok ? 'passed' : 'FAILED'}  ${notebook}  ${seconds.toFixed(1)} s${why}`;
        }),
        `${tests.length - failed.length} passed, ${failed.length} failed`,
      ]);
      if (failed.length > 0) process.exitCode = 1;
    });

  program
    .command('lab')
    .description('start JupyterLab, if it is here, with our kernel in it')
    .argument('[args...]', 'passed on to JupyterLab, after --')
    .action(async (args: string[]) => {
      const { findLab, HOW_TO_GET_LAB, startLab } = await import('../../kernels/install/lab.js');
      const lab = await findLab();
      if (!lab) {
        process.stderr.write(`${HOW_TO_GET_LAB.join('\n')}\n`);
        process.exitCode = 1;
        return;
      }
      const server = await startLab(lab, args);
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => server.kill(signal));
      process.exitCode = await new Promise<number>((resolve) =>
        server.on('exit', (code) => resolve(code ?? 1)),
      );
    });

  const kernel = program.command('kernel').description('the Jupyter kernel and its JupyterLab extension');
  kernel
    .command('install')
    .description('make the kernel and the figures known to Jupyter')
    .option('--user', 'for this user (the default)')
    .option('--sys-prefix', 'into the Python environment on the path')
    .option('--prefix <dir>', 'into share/jupyter below a folder', folderToWrite('a folder'))
    .addOption(new Option('--engine <name>', 'what compiles and runs cells').choices(['typescript', 'tslab']))
    .option('--json', 'print one JSON value')
    .action(async (options: KernelOptions) => {
      const { installKernel } = await import('../../kernels/install/install.js');
      const installed = await installKernel(options);
      answer(options.json, installed, () => [
        ...Object.values(installed).map((path) => `installed ${path}`),
        'next: npx patchwise lab -- notebooks/quickstart.ipynb',
      ]);
    });
  kernel
    .command('uninstall')
    .description('remove them from Jupyter')
    .option('--user', 'for this user (the default)')
    .option('--sys-prefix', 'from the Python environment on the path')
    .option('--prefix <dir>', 'from share/jupyter below a folder', folderToWrite('a folder'))
    .option('--json', 'print one JSON value')
    .action(async (options: KernelOptions) => {
      const { uninstallKernel } = await import('../../kernels/install/install.js');
      const removed = await uninstallKernel(options);
      answer(options.json, removed, () =>
        removed.length ? removed.map((path) => `removed ${path}`) : 'not installed',
      );
    });
  kernel
    .command('list')
    .description('where the kernel is installed')
    .option('--json', 'print one JSON value')
    .action(async (options: { json?: boolean }) => {
      const { listKernels } = await import('../../kernels/install/install.js');
      const found = await listKernels();
      answer(options.json, found, () => (found.length ? found.map((kernel) => kernel.dir) : 'not installed'));
    });
  kernel
    .command('fuzz')
    .description('send broken messages to a kernel and check that it still answers good ones')
    .option('--messages <n>', 'how many', parseCount, 10_000)
    .option('--seed <n>', 'of the ways in which they are broken', parseWhole, 1)
    .option('--json', 'print one JSON value')
    .action(async ({ json, ...options }: { messages: number; seed: number; json?: boolean }) => {
      const { fuzzKernel } = await import('../../bench/kernel-rounds/fuzz.js');
      const report = await fuzzKernel({ ...interruptible('fuzz'), ...options });
      answer(json, report, () => [
        `${report.messages} broken messages, ${report.executed} of them executed`,
        `${report.answered} of ${report.asked} good ones answered`,
        `memory ${report.memory.map((mb) => mb.toFixed(0)).join(' -> ')} MB`,
      ]);
      if (report.executed > 0 || report.answered < report.asked) process.exitCode = 1;
    });
  kernel
    .command('soak')
    .description(
      'let a kernel follow a run for a long time and look whether its memory, files and listeners grow',
    )
    .option('--minutes <n>', 'how long', parsePositive, 60)
    .option('--pause <seconds>', 'between two rounds of cells', parseNumber, 2)
    .option('--share <part>', 'of the time that the run may compute, 0 to 1', parseNumber, 1)
    .option('--json', 'print one JSON value')
    .action(async ({ json, ...options }: SoakFlags) => {
      const { soakKernel } = await import('../../bench/kernel-rounds/soak.js');
      const report = await soakKernel({ ...interruptible('soak'), ...options });
      const change = (name: string, [from, to]: readonly [number, number]): string =>
        `${name.padEnd(10)} ${from.toFixed(1)} -> ${to.toFixed(1)}`;
      answer(json, report, () => [
        `${report.minutes} minutes, ${report.cells} cells: ${report.isFlat ? 'flat' : 'NOT FLAT'}`,
        change('heap, MB', report.heap),
        change('memory, MB', report.memory),
        change('open files', report.openFiles),
        change('listeners', report.listeners),
      ]);
      if (!report.isFlat) process.exitCode = 1;
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
  if (name === undefined || value === undefined) throw new InvalidArgument('-p', 'name=value', text);
  try {
    return [name, JSON.parse(value)];
  } catch {
    return [name, value];
  }
}

interface NotebookOptions {
  parameter?: string[];
  volume?: string;
  output?: string;
  html?: boolean | string;
  timeout: number;
  json?: boolean;
}

interface SoakFlags {
  minutes: number;
  pause: number;
  share: number;
  json?: boolean;
}

interface KernelOptions {
  user?: boolean;
  sysPrefix?: boolean;
  prefix?: string;
  engine?: EngineName;
  json?: boolean;
}
