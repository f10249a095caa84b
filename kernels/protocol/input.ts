/** Questions to the person at the front end, over the stdin channel. */
import type { Message, Outgoing } from './wire';

interface Question {
  readonly resolve: (answer: string) => void;
  readonly reject: (error: Error) => void;
}

export class InputPrompts {
  /** One at a time: an answer does not say which question it is for. */
  #asked: Question | undefined;

  constructor(private readonly send: (message: Outgoing) => void) {}

  /**
   * Rejects if the front end takes no input, another question is open, or the cell is interrupted.
   * @param cell the cell that runs and asks; undefined if code asks whose cell has ended
   */
  ask(prompt: string, password: boolean, cell: Message | undefined): Promise<string> {
    if (!cell) return Promise.reject(new Error('input: only a cell that runs can ask; use a text control'));
    if (cell.content.allow_stdin === false) {
      return Promise.reject(new Error('input: this front end does not take input'));
    }
    if (this.#asked) return Promise.reject(new Error('input: another question is still open'));
    const { header, identities } = cell;
    this.send({ type: 'input_request', content: { prompt, password }, parent: header, identities });
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject };
    });
  }

  answer(reply: Message): void {
    if (reply.header.msg_type !== 'input_reply') return;
    this.#asked?.resolve(String(reply.content.value ?? ''));
    this.#asked = undefined;
  }

  cancel(): void {
    this.#asked?.reject(new Error('input: interrupted'));
    this.#asked = undefined;
  }
}
