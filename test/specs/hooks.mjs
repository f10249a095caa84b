// Lets Node load tfjs-core's ES modules, which name each other without ".js" and are not marked as modules.
const inside = (url) => url?.includes('/@tensorflow/tfjs-core/dist/');

export async function resolve(specifier, context, next) {
  if (inside(context.parentURL) && specifier === 'seedrandom')
    return { url: new URL('./seedrandom.mjs', import.meta.url).href, shortCircuit: true };
  if (!inside(context.parentURL) || !specifier.startsWith('.')) return next(specifier, context);
  for (const name of [`${specifier}.js`, `${specifier}/index.js`]) {
    const found = await next(name, context).catch(() => undefined);
    if (found) return found;
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  return next(
    url,
    inside(url) && url.endsWith('.js') && !url.endsWith('.node.js')
      ? { ...context, format: 'module' }
      : context,
  );
}
