/** The outputs of an answer below the controls, each drawn by JupyterLab's renderer of its type. */
import type { AnswerOutput } from '../../../src/controls/interact-bundle';
import type { LuminoPanel, MimeModel, MimeRenderer, RenderMime } from '../jupyter';

/** Who draws longer, such as a widget that waits for something, holds up no other answer. */
const DRAW_MS = 2000;

interface Drawn {
  readonly type: string;
  readonly renderer: MimeRenderer;
}

export class AnswerArea {
  readonly #drawn: Drawn[] = [];
  #next: { readonly outputs: readonly AnswerOutput[]; readonly trusted: boolean } | undefined;
  #isDrawing = false;

  constructor(
    private readonly panel: LuminoPanel,
    private readonly rendermime: RenderMime,
  ) {}

  /** Draws the outputs in place of those before. Of several that come while one is drawn, only the last is. */
  async show(outputs: readonly AnswerOutput[], trusted: boolean): Promise<void> {
    this.#next = { outputs, trusted };
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    // The place keeps its height meanwhile, so that nothing below it jumps.
    const { node } = this.panel;
    node.style.minHeight = `${node.offsetHeight}px`;
    for (let next = this.#take(); next && !this.panel.isDisposed; next = this.#take())
      await this.#draw(next.outputs.map((output) => modelOf(output, next.trusted)));
    this.#isDrawing = false;
    requestAnimationFrame(() => {
      if (!this.#isDrawing) node.style.minHeight = '';
    });
  }

  #take() {
    const next = this.#next;
    this.#next = undefined;
    return next;
  }

  async #draw(models: readonly MimeModel[]): Promise<void> {
    for (const { renderer } of this.#drawn.splice(models.length)) renderer.dispose();
    for (const [at, model] of models.entries()) {
      const safe = model.trusted ? 'any' : 'ensure';
      const type = this.rendermime.preferredMimeType(model.data, safe) ?? 'text/plain';
      const { renderer } = this.#drawn[at]?.type === type ? this.#drawn[at] : this.#replace(at, type);
      try {
        await Promise.race([renderer.renderModel(model), sleep(DRAW_MS)]);
      } catch (error) {
        renderer.node.textContent = `This cannot be drawn: ${error instanceof Error ? error.message : error}`;
      }
    }
  }

  #replace(at: number, type: string): Drawn {
    const renderer = this.rendermime.createRenderer(type);
    this.#drawn[at]?.renderer.dispose();
    this.panel.insertWidget(at, renderer);
    this.#drawn[at] = { type, renderer };
    return this.#drawn[at];
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** An output as a renderer takes it. */
function modelOf(output: AnswerOutput, trusted: boolean): MimeModel {
  const model = (data: Readonly<Record<string, unknown>>, metadata = {}): MimeModel => ({
    data,
    metadata,
    trusted,
    setData: () => {}, // the interaction keeps what the notebook saves
  });
  switch (output.output_type) {
    case 'stream':
      return model({ [`application/vnd.jupyter.${output.name}`]: output.text });
    case 'error':
      return model({ 'application/vnd.jupyter.stderr': output.traceback.join('\n') });
    default:
      return model(output.data, output.metadata);
  }
}
