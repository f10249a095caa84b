import { escapeXml } from '../../escape';

/** An SVG element; attributes that are undefined are left out, numbers are written to a tenth of a pixel. */
export function element(name: string, attributes: Record<string, unknown>, content = ''): string {
  let written = '';
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined && value !== null)
      written += ` ${key}="${typeof value === 'number' ? number(value) : escapeXml(String(value))}"`;
  return content ? `<${name}${written}>${content}</${name}>` : `<${name}${written}/>`;
}

export function text(content: string, x: number, y: number, look: Record<string, unknown> = {}): string {
  return element('text', { x, y, ...look }, escapeXml(content));
}

export function number(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Plotly's labels may hold a little HTML; the words of it. */
export function plainText(value: unknown): string {
  return String(value ?? '')
    .replace(/<br\s*\/?>/g, ' ')
    .replace(/<\/?(b|i|sub|sup|span)[^>]*>/g, '');
}
