import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { policy } from '../../../kernels/report/page';
import type { VolumesBundle } from '../../../src/volumes-bundle';
import { openBrowser } from '../../chromium';
import { look, type Picture } from './pictures';

/** What a page of the stage has beside the viewer. */
interface StagePage {
  patchwiseViewer: {
    mount(node: HTMLElement, bundle: unknown, connect?: unknown): { dispose(): void };
  };
  viewers: { dispose(): void }[];
  kernels: {
    opened: Record<string, unknown>;
    sent: unknown[];
    closed: boolean;
    hear(message: unknown, buffers: ArrayBuffer[]): void;
    lose(): void;
  }[];
}

/** A page under the content policy of reports, in a browser with WebGL, to which tests add viewers. */
export class Stage {
  private constructor(
    private readonly browser: Awaited<ReturnType<typeof openBrowser>>,
    private readonly folder: string,
  ) {}

  static async open(options: Parameters<typeof openBrowser>[0] = { webGl: true }): Promise<Stage> {
    const folder = await mkdtemp(join(tmpdir(), 'patchwise-viewer-'));
    const script = await readFile('dist/kernels/browser/viewer.js', 'utf8');
    const page = `<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy(false)}">
      <body style="margin: 8px; width: 940px"><script>${script.replaceAll('</script', '<\\/script')}
      window.viewers = []; window.kernels = [];</script>`;
    await writeFile(join(folder, 'stage.html'), page);
    return new Stage(await openBrowser(options), folder);
  }

  async clear(): Promise<void> {
    this.browser.errors.length = 0;
    this.browser.requests.length = 0;
    await this.page.goto(`file://${join(this.folder, 'stage.html')}`);
  }

  async close(): Promise<void> {
    await this.browser.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  get page(): Page {
    return this.browser.page;
  }

  get errors(): readonly string[] {
    return this.browser.errors;
  }

  /** What the page asked for beside itself. */
  get requests(): readonly string[] {
    return this.browser.requests.filter((url) => !/^(data|blob):|stage\.html$/.test(url));
  }

  /** Adds a viewer below those that are there, with a kernel if `hasKernel`. */
  async show(bundle: VolumesBundle, hasKernel = false): Promise<Shown> {
    const at = await this.page.evaluate(
      ([given, isLinked]) => {
        const stage = window as unknown as StagePage;
        const node = document.body.appendChild(document.createElement('section'));
        const connect = (
          opened: Record<string, unknown>,
          hear: StagePage['kernels'][number]['hear'],
          lose: () => void,
        ) => {
          const kernel = { opened, sent: [] as unknown[], closed: false, hear, lose };
          stage.kernels.push(kernel);
          return {
            send: (message: unknown) => kernel.sent.push(message),
            close: () => {
              kernel.closed = true;
            },
          };
        };
        return (
          stage.viewers.push(stage.patchwiseViewer.mount(node, given, isLinked ? connect : undefined)) - 1
        );
      },
      [bundle, hasKernel] as const,
    );
    return new Shown(this.page, at);
  }

  /** Gives a message to the link of a viewer, as its kernel would. */
  async tell(message: object, buffer?: Buffer, kernel = 0): Promise<void> {
    await this.page.evaluate(
      ([said, base64, at]) => {
        const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        (window as unknown as StagePage).kernels[at]!.hear(said, base64 ? [bytes.buffer] : []);
      },
      [message, buffer?.toString('base64') ?? '', kernel] as const,
    );
  }

  kernel(at = 0): Promise<Pick<StagePage['kernels'][number], 'opened' | 'sent' | 'closed'>> {
    return this.page.evaluate((index) => {
      const { opened, sent, closed } = (window as unknown as StagePage).kernels[index]!;
      return { opened, sent, closed };
    }, at);
  }
}

/** One viewer of a page. */
export class Shown {
  readonly node: Locator;
  readonly picture: Locator;

  constructor(
    readonly page: Page,
    at = 0,
    selector = '.patchwise-viewer',
  ) {
    this.node = page.locator(selector).nth(at);
    this.picture = this.node.locator('.picture');
  }

  /** Waits until it is drawn. */
  async drawn(): Promise<this> {
    await this.node.scrollIntoViewIfNeeded();
    await this.picture.locator('canvas + canvas').waitFor({ timeout: 20_000 });
    await this.node.locator('.slice', { hasText: '/' }).first().waitFor();
    await this.settle();
    return this;
  }

  /** Waits until what was asked for is on the screen. */
  async settle(): Promise<void> {
    await this.page.evaluate(
      () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(undefined)))),
    );
  }

  tile(name: string): Locator {
    return this.node.locator('.tile', { has: this.page.getByText(name, { exact: true }) });
  }

  /** The page's coordinates of a place in a tile, as parts of its width and height. */
  async pointIn(tile: Locator, across: number, down: number): Promise<[number, number]> {
    const box = (await tile.boundingBox())!;
    return [Math.round(box.x + across * box.width), Math.round(box.y + down * box.height)];
  }

  /** The number at the lower right of a tile. */
  async slice(tile: Locator): Promise<number> {
    return Number((await tile.locator('.slice').textContent())!.split('/')[0]);
  }

  /** The words of the status line. */
  async words(): Promise<{
    readonly voxel: [number, number, number];
    readonly mm: [number, number, number];
    readonly text: string;
    readonly state: string;
  }> {
    const text = (await this.node.locator('.place').textContent())!;
    const state = (await this.node.locator('.state').textContent())!;
    const three = (pattern: RegExp): [number, number, number] =>
      pattern.exec(text)![1]!.replaceAll('−', '-').split(',').map(Number) as [number, number, number];
    return { voxel: three(/voxel ([^o]+) of/), mm: three(/· {2}([^m]+) mm/), text, state };
  }

  /** The window, from the words beside the presets. */
  async window(): Promise<{ width: number; level: number }> {
    await this.settle(); // the words follow with the next frame
    const text = (await this.node.locator('.numbers').textContent())!.replaceAll('−', '-');
    const [, width, level] = /W (\S+) {2}L (\S+)/.exec(text)!;
    return { width: Number(width), level: Number(level) };
  }

  /** The picture, and the colour at a point of the page in it. */
  async look(): Promise<Picture & { on(x: number, y: number): [number, number, number] }> {
    await this.settle();
    // A slow browser may still show the frame before: two pictures in a row must be the same.
    let picture = await look(this.picture);
    for (let tries = 0; tries < 10; tries++) {
      const again = await look(this.picture);
      const isSame = again.sum === picture.sum;
      picture = again;
      if (isSame) break;
    }
    const box = (await this.picture.boundingBox())!;
    return { ...picture, on: (x, y) => picture.at(x - Math.round(box.x), y - Math.round(box.y)) };
  }

  /** The picture once it stays the same for half a second: a browser with much to do shows earlier frames for a while. */
  async lookAtRest(): Promise<Picture> {
    let picture = await this.look();
    for (let same = 0, tries = 0; same < 2 && tries < 40; tries++) {
      await this.page.waitForTimeout(250);
      const again = await this.look();
      same = again.sum === picture.sum ? same + 1 : 0;
      picture = again;
    }
    return picture;
  }

  press(name: string): Promise<void> {
    return this.node.getByRole('button', { name }).click();
  }
}
