import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClientOrder, ClientPlan, ClientReport, Owner } from './client-plan.ts';
import { planClient } from './client-plan.ts';
import { type FaultProcess, faultProcess } from './processes.ts';

/** A client process, and what it has said last. */
export interface FaultClient {
  readonly plan: ClientPlan;
  readonly process: FaultProcess;
  /** The token of each connection. */
  readonly tokens: ReadonlyMap<string, string>;
  /** The last cursor of each feed, as it was reported last. */
  readonly positions: Readonly<Record<string, string | null>>;
  order(order: ClientOrder): void;
  /** Starts it again where it was; it watches all jobs that it has not seen the end of. */
  restart(): Promise<void>;
}

const script = fileURLToPath(new URL('./client.ts', import.meta.url));

/** Starts client processes, each with the same subscriptions and a history of its own. */
export async function startClients(
  count: number,
  base: { readonly seed: number; readonly folder: string; readonly urls: readonly string[] },
  owners: readonly Owner[],
  jobs: () => ReadonlyArray<{ readonly id: string; readonly owner: string }>,
): Promise<FaultClient[]> {
  const clients = Array.from({ length: count }, (_, n) => {
    const name = `client-${n}`;
    const history = join(base.folder, `${name}.history`);
    const plan = planClient({ name, seed: base.seed + n, history, urls: base.urls }, owners);
    return createFaultClient(plan, jobs);
  });
  await Promise.all(clients.map(({ process }) => process.start()));
  return clients;
}

function createFaultClient(
  plan: ClientPlan,
  jobs: () => ReadonlyArray<{ readonly id: string; readonly owner: string }>,
): FaultClient {
  const tokens = new Map<string, string>();
  let positions: Readonly<Record<string, string | null>> = {};
  const process = faultProcess({
    script,
    env: () => ({ FAULT_CLIENT: JSON.stringify(plan) }),
    hear(message) {
      const report = message as ClientReport;
      if (report.kind === 'token') tokens.set(report.connection, report.token);
      else positions = report.feeds;
    },
  });
  const order = (each: ClientOrder) => process.send(each);
  return {
    plan,
    process,
    tokens,
    get positions() {
      return positions;
    },
    order,
    async restart() {
      tokens.clear();
      positions = {};
      await process.start();
      for (const { id, owner } of jobs()) order({ kind: 'job', id, owner });
    },
  };
}
