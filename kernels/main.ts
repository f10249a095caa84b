/** The kernel process: `node dist/kernels/main.js <connection file>`. Started by Jupyter or by our own client. */
import '../src/early-signals';
import { AsyncResource } from 'node:async_hooks';
import { writeSync } from 'node:fs';
import { cellHook, type MimeBundle } from '../src/display-protocol';
import { attempt } from '../src/errors';
import type { Run } from '../src/index';
import { type CellEngine, TYPE_MODES } from './cells/engine';
import type { DisplayOptions } from './display/displays';
import { loadedInternals } from './engine/library';
import { withMagics } from './engine/magics';
import { createTypescriptEngine } from './engine/typescript';
import { Interaction } from './interact/interaction';
import { KernelWidget } from './interact/kernel-widget';
import { Registry } from './interact/registry';
import { HeldVolumes } from './live/held-volumes';
import type { LiveFigures } from './live/live';
import { openVolumes } from './live/volumes';
import { pipeStdout } from './process/child-output';
import { leadsGroup, signalGroup } from './process/group';
import { Interrupts } from './process/interrupts';
import { ADDRESS_IN_USE, readConnection } from './protocol/connection';
import { KernelServer } from './server';
import { createTslabEngine } from './tslab/tslab';

async function main(): Promise<void> {
  const connectionPath = process.argv[2];
  if (!connectionPath) {
    process.stderr.write('usage: node main.js <connection file>\n');
    process.exit(2);
  }
  const connection = readConnection(connectionPath);
  const stdout = pipeStdout(); // before any thread opens a file
  const interrupts = new Interrupts();
  const engine = withMagics(createEngine(interrupts), (value) => cellHook('display')!(value));
  const outside = new AsyncResource('patchwise.live');
  let figures: Promise<LiveFigures> | undefined;
  // Live figures load the library: not before the first one, which after a restart a front end asks for by itself.
  const live = (): Promise<LiveFigures> => {
    figures ??= import('./live/live.js').then(({ LiveFigures }) => new LiveFigures(kernel, outside));
    return figures;
  };
  const showLive = (value: unknown, options: DisplayOptions): Promise<void> | undefined => {
    const runs = attempt(() => loadedInternals()?.shownRuns?.(value)); // a proxy may throw when it is looked at
    return runs && live().then((figures) => figures.show(runs as readonly Run[], options));
  };
  // The library's own way of showing values.
  const present = (value: unknown): MimeBundle | undefined => loadedInternals()?.toBundle?.(value);
  const kernel: KernelServer = new KernelServer({
    connection,
    engine,
    interrupts,
    stdout,
    present,
    showLive,
    onCell: (cellId) => {
      opened.endOf(cellId);
      volumes.forget(cellId);
    },
    hooks: {
      interact: (given) => opened.add(new Interaction(given, kernel, outside), kernel.cellId),
      widget: (given) => opened.add(new KernelWidget(given, kernel, outside), kernel.cellId),
      holdVolumes: (given) => {
        const id = volumes.hold(given, kernel.cellId);
        kernel.onRelease(() => volumes.release(id));
        return id;
      },
    },
    onShutdown: leave,
  });
  const opened = new Registry();
  const volumes = new HeldVolumes();
  for (const target of ['patchwise.interact', 'patchwise.widget'])
    kernel.comms.register(target, (comm, { data }) => opened.open(comm, data));
  kernel.comms.register('patchwise.volumes', (comm, { data }) => openVolumes(comm, data, volumes));
  kernel.comms.register('patchwise.live', (comm, { data }) => {
    void live().then((figures) => figures.open(comm, data));
  });
  await kernel.start();
}

/** The engine that PATCHWISE_ENGINE names, with types as PATCHWISE_TYPES says; `kernel install --engine` sets the former. */
function createEngine(interrupts: Interrupts): CellEngine {
  const { PATCHWISE_ENGINE: name = 'typescript', PATCHWISE_TYPES: types = 'error' } = process.env;
  if (name === 'tslab') return createTslabEngine(process.cwd(), interrupts);
  const mode = TYPE_MODES.find((known) => known === types);
  return createTypescriptEngine(process.cwd(), interrupts, mode);
}

/** Ends the process together with what cells left running in its process group; detached runs are in their own. */
function leave(): void {
  if (leadsGroup(process.pid)) {
    process.on('SIGTERM', () => {});
    signalGroup('SIGTERM');
  }
  process.exit(0);
}

main().catch((error: Error) => {
  writeSync(2, `the kernel could not start: ${error.stack}\n`); // process.stderr may already belong to cells
  process.exit((error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? ADDRESS_IN_USE : 1);
});
