import { createInProcessBus } from '../../../src/platform/bus/in-process.ts';
import { describeBus } from './contract.ts';

describeBus('the bus of one process', async () => {
  const bus = createInProcessBus();
  return { here: bus, there: bus };
});
