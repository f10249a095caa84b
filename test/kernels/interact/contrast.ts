import type { Page } from 'playwright-core';

/**
 * The texts below a selector that a reader cannot read: under 11 px, or with a contrast to what is behind them of less than
 * 4.5 : 1. Each with its size and contrast. Words of a figure count as well.
 */
export function contrasts(page: Page, selector: string): Promise<string[]> {
  return page.evaluate((within) => {
    const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!;
    /** The colours laid over one another, the last on top. */
    const mixed = (colours: readonly string[]): readonly number[] => {
      context.fillStyle = '#fff';
      context.fillRect(0, 0, 1, 1);
      for (const colour of colours) {
        context.fillStyle = colour;
        context.fillRect(0, 0, 1, 1);
      }
      return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb: readonly number[]): number => {
      const [r, g, b] = rgb.map((one) => {
        const part = one / 255;
        return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
    };
    const bad: string[] = [];
    for (const node of document.querySelectorAll<HTMLElement>(within)) {
      for (const element of [node, ...node.querySelectorAll<HTMLElement>('*')]) {
        const hasText = [...element.childNodes].some(
          (child) => child.nodeType === 3 && child.textContent!.trim() !== '',
        );
        const isField = element.matches('select, input[type=text]');
        if ((!hasText && !isField) || element.matches('style, option') || !element.checkVisibility())
          continue;
        const isDrawn = element.matches('svg *');
        const behind: string[] = [];
        for (let one: HTMLElement | null = element; one; one = one.parentElement)
          behind.unshift(getComputedStyle(one).backgroundColor);
        const look = getComputedStyle(element);
        const { fontSize } = look;
        const color = isDrawn
          ? look.fill.replace(/^rgb\((.*)\)$/, `rgba($1, ${look.fillOpacity})`)
          : look.color;
        const [paper, ink] = [mixed(behind), mixed([...behind, color])].map(luminance) as [number, number];
        const contrast = (Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05);
        if (contrast < 4.5 || Number.parseFloat(fontSize) < 11)
          bad.push(`${element.tagName} "${element.textContent}": ${fontSize}, ${contrast.toFixed(2)} : 1`);
      }
    }
    return bad;
  }, selector);
}
