/**
 * Says that tests are skipped because something is not on this machine. Throws where PATCHWISE_REQUIRE, a list of
 * names, says that it must be: CI's tests must not go away unseen.
 */
export function skip(name: string, what: string, cure: string): void {
  const message = `${what} needs ${name} (${cure})`;
  if ((process.env.PATCHWISE_REQUIRE ?? '').split(',').includes(name))
    throw new Error(`PATCHWISE_REQUIRE: ${message}`);
  console.warn(`skipped: ${message}`);
}
