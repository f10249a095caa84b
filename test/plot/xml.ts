/** Throws where a text is not well-formed XML: tags that do not nest, raw `<` or `&`, attributes without quotes. */
export function checkXml(text: string): void {
  const open: string[] = [];
  const rest = text.replace(
    /<(\/?)([\w:-]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g,
    (_, closing: string, name: string, attributes: string, empty: string) => {
      if (/&(?!#\d+;|amp;|lt;|gt;|quot;)/.test(attributes))
        throw new Error(`raw & in <${name}${attributes}>`);
      if (closing) {
        const expected = open.pop();
        if (expected !== name) throw new Error(`</${name}> closes <${expected}>`);
      } else if (!empty) open.push(name);
      return '';
    },
  );
  if (open.length > 0) throw new Error(`not closed: ${open.join(', ')}`);
  const raw = /<|&(?!#\d+;)/.exec(rest);
  if (raw) throw new Error(`raw markup: ${rest.slice(raw.index, raw.index + 60)}`);
}
