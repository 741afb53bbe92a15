import { createLnbits } from '../../../src/money/lightning/lnbits.ts';
import { systemClock } from '../../../src/platform/clock.ts';

/** A process that listens to LNbits, asks it and closes when the test says so; it ends when nothing keeps it. */
const { LNBITS_URL = '', LNBITS_KEY = '' } = process.env;
const lnbits = createLnbits({
  url: new URL(LNBITS_URL),
  invoiceKey: LNBITS_KEY,
  clock: systemClock,
  onError: () => {},
  timeoutMs: 600_000,
});
lnbits.onHint(() => {});

process.on('message', async (order: 'ask' | 'close') => {
  if (order === 'ask') {
    await lnbits.lookUp('00'.repeat(32)).catch(() => {});
    return;
  }
  await lnbits.close();
  process.stdout.write('closed\n');
  process.disconnect();
});
