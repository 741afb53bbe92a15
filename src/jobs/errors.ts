import { conflict } from '../platform/errors.ts';
import type { AgentJobState } from './machine.ts';

/** Everything that a job command refuses, and what the caller is told. */
export const jobErrors = {
  wrongState: (state: AgentJobState) => conflict('INVALID_STATE', `The job is ${state}.`),
  leaseHeld: () => conflict('LEASE_HELD', 'Another worker has the job, or your lease on it has ended.'),
};
