import { expect, it } from 'vitest';
import type { BusMessage } from '../../../src/platform/bus/bus.ts';
import { createInProcessBus } from '../../../src/platform/bus/in-process.ts';

const wake = (topic: string, seq: number): BusMessage => ({
  kind: 'WAKE',
  topic,
  epoch: '0123456789ab',
  seq,
});

it('carries each message to all who listen to its topic, at once and in order, and to nobody else', async () => {
  const bus = createInProcessBus();
  const heard: string[] = [];
  await bus.listen('a', ({ seq }) => heard.push(`first ${seq}`));
  await bus.listen('a', ({ seq }) => heard.push(`second ${seq}`));
  await bus.listen('b', ({ seq }) => heard.push(`other ${seq}`));
  bus.publish(wake('a', 1));
  bus.publish(wake('a', 2));
  bus.publish(wake('nobody', 3));
  expect(heard).toEqual(['first 1', 'second 1', 'first 2', 'second 2']);
  expect(bus.connected).toBe(true);
});

it('lets each listener stop by itself, also twice, also while a message is carried', async () => {
  const bus = createInProcessBus();
  const heard: string[] = [];
  const stopFirst = await bus.listen('a', () => {
    heard.push('first');
    stopFirst();
  });
  const stopSecond = await bus.listen('a', () => heard.push('second'));
  bus.publish(wake('a', 1));
  bus.publish(wake('a', 2));
  expect(heard).toEqual(['first', 'second', 'second']);
  stopSecond();
  await bus.listen('a', () => heard.push('third'));
  stopFirst();
  stopSecond();
  bus.publish(wake('a', 3));
  expect(heard).toEqual(['first', 'second', 'second', 'third']);
});

it('carries nothing once it is closed', async () => {
  const bus = createInProcessBus();
  const heard: BusMessage[] = [];
  const stop = await bus.listen('a', (message) => heard.push(message));
  await bus.close();
  bus.publish(wake('a', 1));
  stop();
  expect(heard).toEqual([]);
});
