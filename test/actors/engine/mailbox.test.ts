import fc from 'fast-check';
import t from 'tap';
import { Mailbox } from '../../../src/actors/engine/mailbox.ts';

t.test('a mailbox behaves like an array with a maximum, whatever is pushed and shifted', async () => {
  const steps = fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant('push') }, fc.constant('shift')), {
    maxLength: 400,
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 150 }), steps, (max, commands) => {
      const mailbox = new Mailbox<string>(max);
      const model: [number, string | undefined][] = [];
      commands.forEach((command, number) => {
        const tag = number % 3 === 0 ? `tag ${number}` : undefined;
        if (command === 'push') {
          const taken = mailbox.push(number, tag);
          if (taken !== model.length < max) throw new Error('took one too many or refused one too early');
          if (taken) model.push([number, tag]);
        } else if (model.length > 0) {
          const [message, companion] = model.shift()!;
          if (mailbox.shift() !== message || mailbox.tag !== companion) throw new Error('out of order');
        }
        if (mailbox.size !== model.length) throw new Error('wrong size');
      });
    }),
  );
});
