import { CONTROLS_STYLE } from '../../../src/controls/controls';
import {
  INTERACT_MIME,
  interactionBundle,
  type StoredInteraction,
} from '../../../src/controls/interact-bundle';
import type { JupyterSession, Lumino, MimeModel, RenderMime } from '../jupyter';
import { KernelLink } from '../kernel-link';
import { AnswerArea } from './answer-area';
import { ControlPanel } from './control-panel';
import type { InteractMove, InteractNews } from './messages';

/** The kernel replaces what the notebook stores once a second. Where it does not, after a reload, the page does. */
const STORE_MS = 2500;
/** After so long without a kernel the reader is told why nothing can be moved. */
const PATIENCE_MS = 5000;

const STYLE = `
.patchwise-interact { --controls-ink: var(--jp-content-font-color1); --controls-quiet: var(--jp-content-font-color2); --controls-field: var(--jp-layout-color1);
  --controls-rule: #767f8c; --controls-mark: var(--jp-brand-color1); padding: 4px 0; }
[data-jp-theme-light="false"] .patchwise-interact { color-scheme: dark; }
.patchwise-interact-note { margin: 0 0 8px; color: var(--jp-content-font-color2); font-size: 12px; }
.patchwise-interact-note:empty { display: none; }
.patchwise-answer { border-top: 2px solid transparent; }
.patchwise-answer[aria-busy=true] { animation: patchwise-busy 1.2s 0.25s infinite alternate ease-in-out; }
@keyframes patchwise-busy { to { border-top-color: var(--jp-brand-color1); } }
${CONTROLS_STYLE}`;

/** The class of JupyterLab outputs that show an interaction. */
export function interactRenderer({ Widget, Panel }: Lumino) {
  return class InteractRenderer extends Panel {
    readonly #controls = new Widget();
    readonly #note = new Widget();
    readonly #answers = new Panel();
    readonly #area: AnswerArea;
    #panel: ControlPanel | undefined;
    #link: KernelLink | undefined;
    #model: MimeModel | undefined;
    #shown: StoredInteraction | undefined;
    /** Moves that the kernel was told of on this comm. */
    #moves = 0;
    #storing: ReturnType<typeof setTimeout> | undefined;
    #lonely: ReturnType<typeof setTimeout> | undefined;

    constructor(
      private readonly session: JupyterSession | undefined,
      rendermime: RenderMime,
    ) {
      super();
      addStyle();
      this.node.classList.add('patchwise-interact');
      this.#note.node.classList.add('patchwise-interact-note');
      this.#note.node.setAttribute('role', 'status');
      this.#answers.node.classList.add('patchwise-answer');
      for (const part of [this.#controls, this.#note, this.#answers]) this.addWidget(part);
      this.#area = new AnswerArea(this.#answers, rendermime);
    }

    async renderModel(model: MimeModel): Promise<void> {
      const stored = model.data[INTERACT_MIME] as StoredInteraction;
      this.#model = model;
      if (stored.id === this.#shown?.id && (this.#link?.connected || stored.answer <= this.#shown.answer))
        return;
      if (stored.id !== this.#shown?.id) this.#begin(stored);
      await this.#showAnswer(stored);
    }

    override dispose(): void {
      if (this.isDisposed) return;
      this.#link?.close();
      clearTimeout(this.#storing);
      clearTimeout(this.#lonely);
      super.dispose();
    }

    #begin(stored: StoredInteraction): void {
      this.#link?.close();
      const move = (one: InteractMove): void => this.#send(one);
      this.#panel = new ControlPanel(this.#controls.node, stored.controls, stored.values, move);
      const receive = (news: unknown, _buffers: unknown, isFirst: boolean): void =>
        this.#receive(news as InteractNews, isFirst);
      this.#link =
        this.session &&
        new KernelLink(this.session, 'patchwise.interact', { id: stored.id }, receive, () => this.#lose());
      this.#lose();
    }

    #send(move: InteractMove): void {
      if (this.#link?.send(move)) this.#moves++;
    }

    #receive(news: InteractNews, isFirst: boolean): void {
      if (news.type !== 'state') {
        this.#link?.close();
        this.#lose();
        this.#explain();
        return;
      }
      clearTimeout(this.#lonely);
      this.#note.node.textContent = '';
      this.#panel!.enable(true);
      this.#answers.node.setAttribute('aria-busy', String(news.running));
      if (isFirst) this.#moves = 0; // a new comm
      const before = this.#shown!;
      const { values, answer, outputs = before.outputs } = news;
      this.#shown = { ...before, values, answer, outputs };
      if (news.seen >= this.#moves) this.#panel!.show(values); // else the page is ahead of what the kernel says
      if (news.outputs) void this.#showAnswer(this.#shown);
      clearTimeout(this.#storing);
      this.#storing = setTimeout(() => this.#store(), STORE_MS);
    }

    #showAnswer(stored: StoredInteraction): Promise<void> {
      this.#shown = stored;
      return this.#area.show(stored.outputs, this.#model?.trusted !== false);
    }

    /** The controls cannot be used for now. */
    #lose(): void {
      this.#panel?.enable(false);
      this.#answers.node.removeAttribute('aria-busy');
      clearTimeout(this.#lonely);
      if (this.session) this.#lonely = setTimeout(() => this.#explain(), PATIENCE_MS);
      else this.#explain();
    }

    #explain(): void {
      clearTimeout(this.#lonely);
      this.#note.node.textContent = 'As it was saved. To move the controls, run the cell again.';
    }

    #store(): void {
      const shown = this.#shown!;
      const stored = this.#model!.data[INTERACT_MIME] as StoredInteraction;
      if (stored.answer !== shown.answer) this.#model!.setData({ data: interactionBundle(shown) });
    }
  };
}

function addStyle(): void {
  if (document.getElementById('patchwise-interact')) return;
  const style = document.createElement('style');
  style.id = 'patchwise-interact';
  style.textContent = STYLE;
  document.head.append(style);
}
