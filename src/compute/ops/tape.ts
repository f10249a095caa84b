/**
 * Gradients that free memory as they go. tfjs keeps what the forward pass saved and every gradient until the last one
 * is computed, which is twice what a training step needs; this walk lets go of both after their last use.
 *
 * It replaces `gradients` of tfjs's engine, so `tf.grads`, `tf.variableGrads` and the rest use it. Gradients of
 * gradients are left to tfjs.
 */
import * as tf from '@tensorflow/tfjs-core';
import { timed } from './pass-times';

/** A recorded operation, as tfjs keeps it. */
interface TapeNode {
  readonly kernelName: string;
  readonly inputs: Record<string, tf.Tensor>;
  readonly outputs: readonly tf.Tensor[];
  readonly saved: readonly tf.Tensor[];
  readonly gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
}

/** What this file touches of the engine; tfjs declares parts of it private. */
interface Engine {
  readonly state: { activeTape: TapeNode[] | null; readonly gradientDepth: number };
  startTape(): void;
  endTape(): void;
  scopedRun<T>(start: () => void, end: () => void, run: () => T): T;
  gradients(
    f: () => tf.Tensor,
    xs: readonly tf.Tensor[],
    dy?: tf.Tensor | null,
    allowNone?: boolean,
  ): { value: tf.Tensor; grads: tf.Tensor[] };
}

/** Makes the engine of this process compute its gradients by the walk of this file. */
export function freeGradientsEarly(): void {
  const engine = tf.engine() as unknown as Engine;
  const stock = engine.gradients.bind(engine);
  engine.gradients = (f, xs, dy, allowNone = false) => {
    if (engine.state.gradientDepth > 0 || (dy && dy.dtype !== 'float32')) return stock(f, xs, dy, allowNone);
    const { path, ys } = timed('forward', () => run(engine, () => [f()], xs));
    const y = ys[0]!;
    if (path.length === 0 && !allowNone)
      throw new Error('Cannot compute gradient of y=f(x) with respect to x: no operation leads from x to y');
    return timed('backward', () =>
      tf.tidy('backward', () => ({
        value: y,
        grads: walk(path, xs, ys, [dy ?? tf.ones(y.shape)]) as tf.Tensor[],
      })),
    );
  };
}

/** Told of a finished gradient: which x, by its place among the xs. */
type Ready = (at: number, dx: tf.Tensor) => void;

/** A forward pass whose gradients are computed later, when those of its outputs are known. */
interface Recording {
  /** What the recorded function returned; the caller's to dispose. */
  readonly outputs: readonly tf.Tensor[];
  /**
   * The gradients of sum(dys * outputs) with respect to each x; `null` for an output stands for zeros. Once: it frees
   * what the forward pass saved. The given gradients stay the caller's.
   * @param ready told of the gradient of each x as soon as nothing more is added to it: the last layer's first. It is
   * as `backward` returns it, and must not be disposed of.
   */
  backward(dys: readonly (tf.Tensor | null)[], ready?: Ready): tf.Tensor[];
  /** Frees what the forward pass saved, where `backward` is not wanted after all. */
  dispose(): void;
}

/**
 * Runs `f` and keeps what its gradients need. What happens between this and `backward` is not recorded, so a loss may
 * be computed elsewhere: by hand, or with other ranks.
 */
export function record(f: () => tf.Tensor[], xs: readonly tf.Tensor[]): Recording {
  const { path, ys } = timed('forward', () => run(tf.engine() as unknown as Engine, f, xs));
  return {
    outputs: ys,
    backward: (dys, ready) =>
      timed('backward', () =>
        tf.tidy('backward', () =>
          walk(path, xs, ys, dys, ready).map((dx, i) => {
            if (dx) return dx;
            const nothing = tf.zerosLike(xs[i]!);
            ready?.(i, nothing);
            return nothing;
          }),
        ),
      ),
    dispose: () => free(path.map(({ node }) => node)),
  };
}

/** The recorded path of `f` from xs to what it returns. */
function run(
  engine: Engine,
  f: () => tf.Tensor[],
  xs: readonly tf.Tensor[],
): { path: Step[]; ys: tf.Tensor[] } {
  let ys: tf.Tensor[];
  try {
    ys = engine.scopedRun(
      () => engine.startTape(),
      () => engine.endTape(),
      () => tf.tidy('forward', f),
    );
  } catch (error) {
    // What was saved belongs to no scope; whoever catches, say, a lack of memory wants it back.
    free(engine.state.activeTape ?? []);
    engine.state.activeTape = null;
    throw error;
  }
  const path = pathBetween(engine.state.activeTape!, xs, ys);
  engine.state.activeTape = null;
  return { path, ys };
}

interface Step {
  readonly node: TapeNode;
  /** Names of the inputs that depend on an x. */
  readonly wanted: readonly string[];
}

/** The operations from xs to ys, the last first; what the others saved is let go. */
function pathBetween(tape: readonly TapeNode[], xs: readonly tf.Tensor[], ys: readonly tf.Tensor[]): Step[] {
  const fromX = new Set(xs.map((x) => x.id));
  const steps = tape.map((node): Step => {
    const wanted = Object.keys(node.inputs).filter((name) => fromX.has(node.inputs[name]!.id));
    if (wanted.length > 0) for (const output of node.outputs) fromX.add(output.id);
    return { node, wanted };
  });
  const toY = new Set(ys.map((y) => y.id));
  const path: Step[] = [];
  for (const step of steps.reverse()) {
    const { node, wanted } = step;
    if (wanted.length > 0 && node.outputs.some((output) => toY.has(output.id))) {
      for (const name of wanted) toY.add(node.inputs[name]!.id);
      path.push(step);
    } else {
      tf.dispose([...node.saved]);
    }
  }
  return path;
}

function walk(
  path: readonly Step[],
  xs: readonly tf.Tensor[],
  ys: readonly tf.Tensor[],
  dys: readonly (tf.Tensor | null)[],
  ready?: Ready,
): (tf.Tensor | undefined)[] {
  const last = ready && lastSteps(path, xs);
  const results = new Set(xs.map((x) => x.id));
  const given = new Set(dys);
  const gradients = new Map<number, tf.Tensor>();
  ys.forEach((y, i) => {
    if (dys[i]) gradients.set(y.id, dys[i]);
  });
  for (const { node, wanted } of path) {
    if (!node.outputs.some((output) => gradients.has(output.id))) {
      tf.dispose([...node.saved]);
      continue;
    }
    let made: tf.Tensor[];
    try {
      made = inputGradients(node, wanted, gradients);
    } catch (error) {
      free(path.map((step) => step.node));
      throw error;
    }
    tf.dispose([...node.saved]);
    for (const output of node.outputs) {
      const spent = gradients.get(output.id);
      if (!spent || results.has(output.id)) continue;
      gradients.delete(output.id);
      if (!given.has(spent)) spent.dispose();
    }
    wanted.forEach((name, i) => {
      const { id } = node.inputs[name]!;
      const before = gradients.get(id);
      gradients.set(id, before ? tf.add(before, made[i]!) : made[i]!);
      if (before) tf.dispose([made[i]!, ...(given.has(before) ? [] : [before])]);
    });
    for (const at of last?.get(node) ?? []) ready!(at, gradients.get(xs[at]!.id)!);
  }
  return xs.map((x) => gradients.get(x.id));
}

/** Frees what operations saved. */
function free(nodes: readonly TapeNode[]): void {
  tf.dispose(nodes.flatMap(({ saved }) => [...saved]));
}

/** By node: the xs, by place, whose gradient no later node of the walk adds to. */
function lastSteps(path: readonly Step[], xs: readonly tf.Tensor[]): Map<TapeNode, number[]> {
  const places = new Map(xs.map((x, at) => [x.id, at]));
  const lasts = new Map<number, TapeNode>();
  for (const { node, wanted } of path)
    for (const name of wanted) {
      const at = places.get(node.inputs[name]!.id);
      if (at !== undefined) lasts.set(at, node);
    }
  const byNode = new Map<TapeNode, number[]>();
  for (const [at, node] of lasts) byNode.set(node, [...(byNode.get(node) ?? []), at]);
  return byNode;
}

/** The gradients of the wanted inputs, each a tensor of its own. */
function inputGradients(
  node: TapeNode,
  wanted: readonly string[],
  gradients: ReadonlyMap<number, tf.Tensor>,
): tf.Tensor[] {
  const dys = node.outputs.map((output) => gradients.get(output.id) ?? null);
  if (!node.gradient)
    throw new Error(`Cannot compute gradient: gradient function not found for ${node.kernelName}.`);
  const { gradient } = node;
  return tf.tidy(() => {
    const rules = gradient(dys);
    const taken = new Set<tf.Tensor | null>([...dys, ...node.saved]);
    return wanted.map((name) => {
      const rule = rules[name];
      if (!rule) throw new Error(`Cannot compute gradient: no gradient of ${node.kernelName} for ${name}.`);
      let dx = tf.tidy(rule);
      // A rule may hand on what is freed next, or the same tensor twice.
      if (taken.has(dx)) dx = tf.clone(dx);
      taken.add(dx);
      const { shape } = node.inputs[name]!;
      if (!tf.util.arraysEqual(dx.shape, shape))
        throw new Error(`The gradient of ${node.kernelName} for ${name} is [${dx.shape}], not [${shape}].`);
      return dx;
    });
  });
}
