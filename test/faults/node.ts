import { pathToFileURL } from 'node:url';

/** What the run tells a node: by how much its clock is ahead of the machine's; ms. */
export interface NodeOrder {
  readonly aheadMs: number;
}

// A node of a fault run: the built server, with a clock that the run moves. It says `ready` once it listens.
const load = (name: string) => import(pathToFileURL(`${process.env.FAULT_BUILD}/src/${name}.js`).href);
const { startApp } = (await load('app')) as typeof import('../../src/app.ts');
const { readConfig } = (await load('config')) as typeof import('../../src/config.ts');
const { createLogger } = (await load(
  'platform/telemetry/logger',
)) as typeof import('../../src/platform/telemetry/logger.ts');

let aheadMs = Number(process.env.FAULT_CLOCK_AHEAD_MS);
process.on('message', (order: NodeOrder) => {
  aheadMs = order.aheadMs;
});
process.on('disconnect', () => process.exit(1));

const config = readConfig(process.env);
const clock = { now: () => Date.now() + aheadMs };
const app = await startApp(config, createLogger(config.logLevel), { clock });
process.on('SIGTERM', () => {
  app.stop().then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
process.send?.('ready');
