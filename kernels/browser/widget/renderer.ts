import { type StoredWidget, WIDGET_MIME } from '../../../src/controls/widget-bundle';
import {
  type JupyterSession,
  keepKeys,
  type LuminoWidget,
  type MimeModel,
  type WidgetClass,
} from '../jupyter';
import { joinWidget, type WidgetLink } from './link';
import { failure } from './module';

/** The kernel replaces what the notebook stores once a second. Where it does not, after a reload, the page does. */
const STORE_MS = 2500;

/** The class of JupyterLab outputs that show a widget of a user's own. */
export function widgetRenderer(Widget: WidgetClass) {
  return class WidgetRenderer extends Widget implements LuminoWidget {
    #link: WidgetLink | undefined;
    #id: string | undefined;
    #model: MimeModel | undefined;
    #cleanUp: (() => unknown) | undefined;
    #quiet: (() => void) | undefined;
    #storing: ReturnType<typeof setTimeout> | undefined;

    constructor(private readonly session: JupyterSession | undefined) {
      super();
      this.node.classList.add('patchwise-widget');
      keepKeys(this.node);
    }

    async renderModel(model: MimeModel): Promise<void> {
      const stored = model.data[WIDGET_MIME] as StoredWidget;
      this.#model = model;
      if (stored.id === this.#id) return; // the widget on the page has newer values
      this.#leave();
      this.#id = stored.id;
      const link = joinWidget(stored, this.session);
      this.#link = link;
      this.#quiet = link.onChange(() => {
        clearTimeout(this.#storing);
        this.#storing = setTimeout(() => this.#store(), STORE_MS);
      });
      try {
        const cleanUp = await link.module.render(this.node);
        if (this.#link === link) this.#cleanUp = cleanUp;
        else cleanUp();
      } catch (error) {
        if (this.#link === link) this.node.textContent = failure(error);
      }
    }

    override dispose(): void {
      if (this.isDisposed) return;
      this.#leave();
      super.dispose();
    }

    #leave(): void {
      clearTimeout(this.#storing);
      this.#quiet?.();
      this.#cleanUp?.();
      this.#cleanUp = undefined;
      this.#link?.leave();
      this.#link = undefined;
    }

    #store(): void {
      const stored = this.#link!.store();
      const { data } = this.#model!;
      if (JSON.stringify(data[WIDGET_MIME]) !== JSON.stringify(stored))
        this.#model!.setData({ data: { ...data, [WIDGET_MIME]: stored } });
    }
  };
}
