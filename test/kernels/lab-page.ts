import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { openBrowser } from '../chromium';
import { type Lab, STAND_IN } from './lab-stand-in';

type Browser = Awaited<ReturnType<typeof openBrowser>>;

interface LabOptions extends NonNullable<Parameters<typeof openBrowser>[0]> {
  /** CSS of the page, such as the colours of a theme. */
  readonly css?: string;
}

/** A browser's page with the built extension in a stand-in of JupyterLab. */
export class LabPage {
  private constructor(
    private readonly browser: Browser,
    /** Where the page lies. Tests may put others beside it. */
    readonly folder: string,
  ) {}

  static async open({ css = '', ...options }: LabOptions = {}): Promise<LabPage> {
    const folder = await mkdtemp(join(tmpdir(), 'patchwise-lab-'));
    await cp('dist/kernels/browser', folder, { recursive: true });
    await cp(require.resolve('plotly.js-dist-min/plotly.min.js'), join(folder, 'plotly.min.js'));
    const scripts = `<script>${STAND_IN}</script><script src="remoteEntry.js"></script>`;
    const page = `<!DOCTYPE html><meta charset="utf-8"><style>${css}</style><body data-jp-theme-light="true">${scripts}</body>`;
    await writeFile(join(folder, 'lab.html'), page);
    return new LabPage(await openBrowser(options), folder);
  }

  get page(): Page {
    return this.browser.page;
  }

  /** What the page complained of since it was loaded. */
  get errors(): readonly string[] {
    return this.browser.errors;
  }

  /** The addresses that pages asked for. */
  get requests(): string[] {
    return this.browser.requests;
  }

  /** Loads the page and starts the extension. @returns what the extension has registered */
  async start(): Promise<unknown> {
    this.browser.errors.length = 0;
    await this.goTo('lab.html');
    return this.run((lab) => lab.start());
  }

  async goTo(file: string): Promise<void> {
    await this.page.goto(`file://${join(this.folder, file)}`);
  }

  /** Runs a function with the stand-in in the page. */
  run<T, A = undefined>(work: (lab: Lab, argument: A) => T | Promise<T>, argument?: A): Promise<T> {
    const call = ([source, given]: readonly [string, unknown]) => {
      const { lab } = window as unknown as { lab: Lab };
      return new Function(`return (${source})`)()(lab, given) as Promise<unknown>;
    };
    return this.page.evaluate(call, [String(work), argument] as const) as Promise<T>;
  }

  /** Shows an output. */
  render(data: unknown, trusted = true): Promise<void> {
    return this.run((lab, [given, trust]) => lab.render(given, trust), [data, trusted] as const);
  }

  async close(): Promise<void> {
    await this.browser.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
