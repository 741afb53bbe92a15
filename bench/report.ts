import { writeSummary } from './lib/summary.ts';

/** Writes the tables anew, from the raw data on disk. */
process.stdout.write(`${writeSummary()}\n`);
