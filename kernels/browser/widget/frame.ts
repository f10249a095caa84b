/** The script of the frame in which a report draws a widget. Its page gives it the height that it says it needs. */
import type { StoredWidget } from '../../../src/controls/widget-bundle';
import { failure, WidgetModule } from './module';

const stored = JSON.parse(document.getElementById('stored')!.textContent!) as StoredWidget;
const place = document.getElementById('widget')!;
const tellHeight = (): void => parent.postMessage({ patchwiseWidget: place.scrollHeight }, '*');

new ResizeObserver(tellHeight).observe(place);
new WidgetModule(stored, { update: () => {}, custom: () => {} }).render(place).then(tellHeight, (error) => {
  place.textContent = failure(error);
});
