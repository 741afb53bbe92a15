import { expect, it } from 'vitest';
import { createConnections } from '../../../src/platform/auth/connections.ts';
import { createTicketStreams } from '../../../src/platform/auth/ticket-streams.ts';
import { createInProcessBus } from '../../../src/platform/bus/in-process.ts';
import { type MovableClock, standingClock } from '../../support/clock.ts';
import { anonymous } from '../../support/viewers.ts';

/** Nodes that hear each other, and what became of the streams that have begun there. */
async function startNodes(count: number, clock: MovableClock) {
  const bus = createInProcessBus();
  const ended: string[] = [];
  const nodes = await Promise.all(
    Array.from({ length: count }, async () => {
      const connections = createConnections({ clock });
      const streams = await createTicketStreams({ bus, clock });
      return (ticket: string, name: string) =>
        streams.begin(
          ticket,
          connections.open(anonymous, { ended: (reason) => ended.push(`${name} ${reason}`) }),
        );
    }),
  );
  return { bus, ended, nodes };
}

it('ends the stream that a ticket had, on this node or another', async () => {
  const clock = standingClock();
  const { ended, nodes } = await startNodes(3, clock);
  for (const [n, node] of [0, 0, 1, 2, 0].entries()) {
    clock.advance(1_000);
    nodes[node]?.('ticket', `stream ${n}`);
    nodes[node]?.(`another ${n}`, `other ${n}`);
  }
  expect(ended).toEqual([0, 1, 2, 3].map((n) => `stream ${n} REPLACED`));
});

it('is not told of a stream that is gone, nor ends one for a message that was late', async () => {
  const clock = standingClock();
  const { bus, ended, nodes } = await startNodes(2, clock);
  const begun = new Date(clock.now());
  const heard: unknown[] = [];
  await bus.listen('ticket-streams', (message) => heard.push(message));
  const forget = nodes[0]?.('ticket', 'first');
  const [late] = heard as Array<Parameters<typeof bus.publish>[0]>;
  expect(late).toMatchObject({ kind: 'EPHEMERAL', event: { occurredAt: begun } });
  expect(JSON.stringify(late)).not.toContain('"ticket"');
  clock.advance(1);
  nodes[1]?.('ticket', 'second');
  expect(ended).toEqual(['first REPLACED']);
  // That of the first has been on its way all the time.
  if (late) bus.publish(late);
  forget?.();
  bus.publish({ kind: 'WAKE', topic: 'ticket-streams', epoch: 'x', seq: 1 });
  expect(ended).toEqual(['first REPLACED']);
});
