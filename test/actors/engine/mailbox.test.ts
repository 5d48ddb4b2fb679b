import fc from 'fast-check';
import t from 'tap';
import { Mailbox } from '../../../src/actors/engine/mailbox.ts';

/** A mailbox that is compared with a plain list at each step. */
class Modelled {
  readonly #mailbox: Mailbox<string>;
  readonly #model: [number, string | undefined][] = [];

  constructor(max: number) {
    this.#mailbox = new Mailbox(max);
  }

  get size(): number {
    return this.#model.length;
  }

  push(number: number): void {
    const tag = number % 3 === 0 ? `tag ${number}` : undefined;
    const taken = this.#mailbox.push(number, tag);
    if (taken !== this.size < this.#mailbox.max)
      throw new Error('took one too many or refused one too early');
    if (taken) this.#model.push([number, tag]);
    this.#compareSize();
  }

  shift(): void {
    if (this.size === 0) return;
    const [message, companion] = this.#model.shift()!;
    if (this.#mailbox.shift() !== message || this.#mailbox.tag !== companion) throw new Error('out of order');
    this.#compareSize();
  }

  #compareSize(): void {
    if (this.#mailbox.size !== this.size) throw new Error('wrong size');
  }
}

t.test('a mailbox behaves like an array with a maximum, whatever is pushed and shifted', async () => {
  const steps = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant('push') }, fc.constant('shift')), {
    maxLength: 800,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 400 }), steps, (max, commands) => {
      const mailbox = new Modelled(max);
      for (const [number, command] of commands.entries()) mailbox[command](number);
    }),
  );
});

t.test('mailboxes that pass chunks to one another do not see one another’s messages', async () => {
  const burst = fc.record({ at: fc.nat(3), pushed: fc.nat(300), shifted: fc.nat(300) });
  fc.assert(
    fc.property(fc.array(burst, { maxLength: 40 }), (bursts) => {
      const mailboxes = Array.from({ length: 4 }, () => new Modelled(Infinity));
      for (const { at, pushed, shifted } of bursts) {
        for (let number = 0; number < pushed; number += 1) mailboxes[at]!.push(at * 1000 + number);
        for (let count = 0; count < shifted; count += 1) mailboxes[at]!.shift();
      }
      for (const mailbox of mailboxes) while (mailbox.size > 0) mailbox.shift();
    }),
  );
});
