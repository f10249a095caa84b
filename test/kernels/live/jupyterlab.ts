/** A JupyterLab with our kernel and our extension, and what tests do in its page. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { installKernel } from '../../../kernels/install';
import { pythonWith } from '../../python';
import { skip } from '../../required';

export const python = pythonWith('jupyterlab');
if (!python)
  skip('jupyterlab', 'a live figure in JupyterLab', 'set PATCHWISE_PYTHON to a Python that has it');

export class JupyterLab {
  private constructor(
    private readonly server: ChildProcess,
    readonly url: string,
  ) {}

  /** @param folder gets all that JupyterLab and runs write @param notebooks their cells by file name */
  static async start(folder: string, notebooks: Record<string, readonly string[]>): Promise<JupyterLab> {
    const root = join(folder, 'notebooks');
    await mkdir(root);
    await installKernel({ prefix: folder });
    for (const [name, cells] of Object.entries(notebooks))
      await writeFile(join(root, name), JSON.stringify(notebookOf(cells)));
    const flags = [
      '--no-browser',
      '--ip=127.0.0.1',
      '--port=0',
      '--LabApp.expose_app_in_browser=True',
      '--allow-root',
      '--IdentityProvider.token=',
      '--ServerApp.password=',
    ];
    const server = spawn(python!, ['-m', 'jupyterlab', ...flags], {
      cwd: root,
      env: {
        ...process.env,
        HOME: folder,
        JUPYTER_PATH: join(folder, 'share', 'jupyter'),
        JUPYTER_DATA_DIR: join(folder, 'data'),
        JUPYTER_CONFIG_DIR: join(folder, 'config'),
        JUPYTER_RUNTIME_DIR: join(folder, 'runtime'),
        PATCHWISE_RUNS: join(folder, 'runs'),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return new JupyterLab(server, await addressOf(server));
  }

  async stop(): Promise<void> {
    if (this.server.exitCode !== null) return;
    this.server.kill('SIGTERM');
    await once(this.server, 'exit');
  }
}

/** The parts of JupyterLab's application object that the tests ask; the server exposes it to the page. */
interface Lab {
  readonly shell: {
    readonly currentWidget?: {
      readonly sessionContext?: {
        readonly isReady: boolean;
        readonly session?: {
          readonly kernel?: { readonly status: string; readonly connectionStatus: string } | null;
        } | null;
      };
    };
  };
}

/**
 * Opens a notebook and waits for its kernel. On a slow machine the notebook is there long before the list of kernels
 * is: JupyterLab then calls it idle, and asks which kernel to take if something is run.
 */
export async function open(page: Page, address: string): Promise<void> {
  await page.goto(address);
  await page.waitForSelector('.jp-Notebook .jp-Cell', { timeout: 120_000 });
  await page.addStyleTag({ content: '.Toastify { display: none }' }); // its questions lie over the figures
  await expect.poll(() => kernelStatus(page), { timeout: 120_000 }).toBe('idle');
}

/** The status of the connected kernel, or what there is instead of one. */
export function kernelStatus(page: Page): Promise<string> {
  return page.evaluate(() => {
    const { jupyterapp } = window as unknown as { jupyterapp?: Lab };
    const context = jupyterapp?.shell.currentWidget?.sessionContext;
    const kernel = context?.session?.kernel;
    if (!context?.isReady || !kernel) return 'no kernel';
    return kernel.connectionStatus === 'connected' ? kernel.status : kernel.connectionStatus;
  });
}

export async function takeTheme(page: Page, theme: string): Promise<void> {
  await page.getByRole('menuitem', { name: 'Settings', exact: true }).first().click();
  await page.getByText('Theme', { exact: true }).first().hover();
  await page.getByText(theme, { exact: true }).first().click();
}

export async function menu(page: Page, name: string, entry: string): Promise<void> {
  await page.getByRole('menuitem', { name, exact: true }).first().click();
  await page.getByText(entry, { exact: true }).first().click();
}

export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.PATCHWISE_SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `jupyterlab-${name}.png`) });
}

/** The address the server prints once it listens. */
async function addressOf(server: ChildProcess): Promise<string> {
  let log = '';
  return new Promise((resolve, reject) => {
    server.stderr!.on('data', (chunk: Buffer) => {
      log += chunk;
      const found = /is running at:[\s\S]*?(http:\/\/127\.0\.0\.1:\d+)\/lab/.exec(log);
      if (found) resolve(found[1]!);
    });
    server.once('exit', () => reject(new Error(`JupyterLab ended: ${log.slice(-2000)}`)));
  });
}

function notebookOf(cells: readonly string[]): object {
  const kernelspec = { name: 'patchwise', display_name: 'Patchwise (TypeScript)', language: 'typescript' };
  const code = (source: string, i: number) => ({
    cell_type: 'code',
    id: `cell-${i}`,
    metadata: {},
    source,
    outputs: [],
    execution_count: null,
  });
  return { nbformat: 4, nbformat_minor: 5, metadata: { kernelspec }, cells: cells.map(code) };
}
