import { expect, it } from 'vitest';
import { createHintGate } from '../../../src/money/lightning/lnbits-hints.ts';
import { until } from '../../support/until.ts';

it('lets nothing through once it is closed, not even what it has put off', async () => {
  const heard: string[] = [];
  const closing = createHintGate((paymentHash) => heard.push(paymentHash));
  const open = createHintGate((paymentHash) => heard.push(paymentHash));
  for (const gate of [closing, open]) {
    const paymentHash = gate === closing ? 'aa' : 'bb';
    gate.enter(paymentHash);
    gate.enter(paymentHash);
  }
  closing.close();
  // Both would have been heard again after the same time, `aa` first.
  await until(
    'the open one lets through what it has put off',
    () => heard.filter((each) => each === 'bb').length > 1,
  );
  open.close();
  expect(heard).toEqual(['aa', 'bb', 'bb']);
});
