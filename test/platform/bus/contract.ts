import { afterEach, describe, expect, it } from 'vitest';
import type { Bus, BusMessage, Ephemeral, Wake } from '../../../src/platform/bus/bus.ts';
import { until } from '../../support/until.ts';

/** The ends of a bus as two nodes have them; both may be the same. */
export interface Ends {
  readonly here: Bus;
  readonly there: Bus;
}

export const wake = (topic: string, seq: number): Wake => ({
  kind: 'WAKE',
  topic,
  epoch: '0123456789ab',
  seq,
});

export const ephemeral = (topic: string, seq: number): Ephemeral => ({
  kind: 'EPHEMERAL',
  topic,
  seq,
  event: {
    id: `evt_${seq}`,
    type: 'StatsChanged',
    version: 1,
    facts: { rate: 0.5, label: 'é', on: true, none: null },
    occurredAt: new Date('2026-07-01T12:00:00.123Z'),
  },
});

/** What every bus does. */
export function describeBus(name: string, open: () => Promise<Ends>): void {
  describe(name, () => {
    let ends: Ends;

    afterEach(async () => {
      await ends.here.close();
      await ends.there.close();
    });

    /** Listens; what is heard is noted. */
    async function listenTo(bus: Bus, topic: string) {
      const heard: BusMessage[] = [];
      const stop = await bus.listen(topic, (message) => heard.push(message));
      return { heard, stop };
    }

    const seqs = (messages: readonly BusMessage[]) => messages.map(({ seq }) => seq);

    it('carries each message to all who listen to its topic, in order, and to nobody else', async () => {
      ends = await open();
      const first = await listenTo(ends.there, 'a');
      const second = await listenTo(ends.there, 'a');
      const other = await listenTo(ends.there, 'b');
      expect(ends.here.connected).toBe(true);
      let changes = 0;
      ends.here.onChange(() => {
        changes += 1;
      });
      ends.here.publish(wake('nobody', 1));
      ends.here.publish(wake('a', 2));
      ends.here.publish(ephemeral('a', 3));
      ends.here.publish(wake('b', 4));
      await until('the last', () => other.heard.length === 1);
      expect(first.heard).toEqual([wake('a', 2), ephemeral('a', 3)]);
      expect(second.heard).toEqual(first.heard);
      expect(other.heard).toEqual([wake('b', 4)]);
      expect(changes).toBe(0);
    });

    it("carries what is not kept to its own node's listeners before publish returns, and once", async () => {
      ends = await open();
      const own = await listenTo(ends.here, 'a');
      ends.here.publish(ephemeral('a', 1));
      expect(own.heard).toEqual([ephemeral('a', 1)]);
      ends.there.publish(wake('a', 2));
      await until('what came after it', () => own.heard.length > 1);
      expect(seqs(own.heard)).toEqual([1, 2]);
    });

    it('lets each listener stop by itself, also twice, also while a message is carried', async () => {
      ends = await open();
      const heard: string[] = [];
      const stopFirst = await ends.there.listen('a', () => {
        heard.push('first');
        stopFirst();
        stopSecond();
      });
      const stopSecond = await ends.there.listen('a', () => heard.push('second'));
      const last = await listenTo(ends.there, 'last');
      ends.here.publish(wake('a', 1));
      ends.here.publish(wake('last', 1));
      await until('the last', () => last.heard.length === 1);
      expect(heard).toEqual(['first']);
      await ends.there.listen('a', () => heard.push('third'));
      stopFirst();
      stopSecond();
      ends.here.publish(wake('a', 2));
      ends.here.publish(wake('last', 2));
      await until('the last', () => last.heard.length === 2);
      expect(heard).toEqual(['first', 'third']);
    });

    it('carries nothing once it is closed', async () => {
      ends = await open();
      const { heard, stop } = await listenTo(ends.there, 'a');
      await ends.there.close();
      ends.here.publish(wake('a', 1));
      ends.there.publish(ephemeral('a', 2));
      stop();
      expect(heard).toEqual([]);
    });
  });
}
