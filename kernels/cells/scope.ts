/**
 * The names that cells share. A cell is compiled to a function whose own variables are plain local ones (fast); it
 * hands accessors of them to the scope, through which later cells read and assign them.
 */

export type Accessors = Record<string, unknown>;
/** Tell a cell that its functions have to ask the scope for a name from now on, or need not. */
export type Movers = Readonly<Record<string, (isMoved: boolean) => void>>;

interface Pending {
  readonly name: string;
  readonly fresh: PropertyDescriptor;
  readonly before: PropertyDescriptor | undefined;
  readonly moverBefore: Movers[string] | undefined;
}

export class CellScope {
  /** What the code of cells sees: `names.x` is the variable `x` of the newest cell that has declared it. */
  readonly names: Record<string, unknown> = Object.create(null) as Record<string, unknown>;

  /** By name, how to tell the cell that has declared it last. */
  readonly #movers = new Map<string, Movers[string]>();

  /** For a cell that is about to run. */
  open(): CellNames {
    return new CellNames(this.names, this.#movers);
  }

  /** Gives cells a name that no cell has declared, with a value that is made when it is first asked for. */
  provide(name: string, value: () => unknown): void {
    Object.defineProperty(this.names, name, { get: value, enumerable: true, configurable: true });
  }
}

/** What one cell gives to later ones. */
export class CellNames {
  #pending: Pending[] = [];
  #declared: string[] = [];

  constructor(
    private readonly names: Record<string, unknown>,
    private readonly movers: Map<string, Movers[string]>,
  ) {}

  /**
   * Called by the cell before its first statement with accessors of what it declares. `lexical` names (let, const,
   * class) have no value yet: until they do, the scope still answers with what an earlier cell has given that name.
   * Functions of an earlier cell that has declared the name go on with the one of this cell.
   */
  readonly declare = (accessors: Accessors, lexical: readonly string[], movers: Movers): void => {
    for (const [name, fresh] of Object.entries(Object.getOwnPropertyDescriptors(accessors))) {
      const before = Object.getOwnPropertyDescriptor(this.names, name);
      this.#declared.push(name);
      const moverBefore = this.movers.get(name);
      this.#appoint(name, movers[name]);
      moverBefore?.(true);
      if (lexical.includes(name)) {
        this.#pending.push({ name, fresh, before, moverBefore });
        Object.defineProperty(this.names, name, before ? withFallback(fresh, before) : fresh);
      } else Object.defineProperty(this.names, name, fresh);
    }
  };

  /**
   * Called when the cell has ended, well or not, or is waited for no longer. A variable whose declaration was not reached
   * is taken out again. Returns the names that the cell has given to later ones.
   */
  settle(): string[] {
    const given = new Set(this.#declared);
    for (const { name, fresh, before, moverBefore } of this.#pending) {
      if (isInitialised(fresh)) Object.defineProperty(this.names, name, fresh);
      else {
        given.delete(name);
        this.#appoint(name, moverBefore);
        moverBefore?.(false);
        if (before) Object.defineProperty(this.names, name, before);
        else delete this.names[name];
      }
    }
    this.#pending = [];
    this.#declared = [];
    return [...given];
  }

  #appoint(name: string, mover: Movers[string] | undefined): void {
    if (mover) this.movers.set(name, mover);
    else this.movers.delete(name);
  }
}

/** Background work of an earlier cell must not fail while a cell that runs again has not reached its declarations. */
function withFallback(fresh: PropertyDescriptor, before: PropertyDescriptor): PropertyDescriptor {
  return {
    get: () => (isInitialised(fresh) ? fresh.get!() : before.get!()),
    set: (value: unknown) => (isInitialised(fresh) ? fresh.set! : before.set!)(value),
    enumerable: true,
    configurable: true,
  };
}

function isInitialised({ get }: PropertyDescriptor): boolean {
  try {
    get!();
    return true;
  } catch (error) {
    return !(error instanceof ReferenceError);
  }
}
