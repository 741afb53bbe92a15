import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type App, startApp } from '../../src/app.ts';
import type { Replacements } from '../../src/components.ts';
import { readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/platform/telemetry/logger.ts';
import { type Clients, createClients } from './clients.ts';
import { createTestDatabase, onPostgres, type TestDatabase } from './postgres.ts';

export interface TestApp extends App, Clients {
  readonly dataDir: string;
  /** Every line that was logged. */
  readonly logged: string[];
}

const running = new Set<App>();
const folders: string[] = [];
/** The databases of servers that are started again: each belongs to a folder. */
const databases = new Map<string, TestDatabase>();

/** A folder that is removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'satwire-test-'));
  folders.push(folder);
  return folder;
}

/** Starts the real server on free ports and a database of its own; it is stopped after the test. */
export async function startTestApp(
  env: Record<string, string> = {},
  replaced: Replacements = {},
): Promise<TestApp> {
  return launch(env.DATA_DIR ?? (await temporaryFolder()), env, replaced, running);
}

/** One such server for all tests of a file; it is there once they run. */
export function useTestApp(env: Record<string, string> = {}, replaced: Replacements = {}): () => TestApp {
  let app: TestApp | undefined;
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'satwire-test-'));
    app = await launch(folder, env, replaced, new Set());
  });
  afterAll(async () => {
    await app?.stop();
    await dropDatabase(folder);
    await rm(folder, { recursive: true, force: true });
  });
  return () => app as TestApp;
}

async function launch(
  dataDir: string,
  env: Record<string, string>,
  replaced: Replacements,
  registry: Set<App>,
): Promise<TestApp> {
  const logged: string[] = [];
  const config = readConfig({
    PORT: '0',
    AGENT_STUB_STEP_MS: '0',
    DATA_DIR: dataDir,
    ...(onPostgres && { DATABASE_URL: await databaseOf(dataDir), DATABASE_POOL_SIZE: '16' }),
    ...env,
  });
  const logger = createLogger('debug', { write: (line) => logged.push(line) });
  const app = await startApp(config, logger, { databaseImage: databaseImage(), ...replaced });
  registry.add(app);
  const clients = createClients(app.url, app.webSocketUrl);
  return {
    ...app,
    ...clients,
    dataDir,
    logged,
    async stop() {
      if (!registry.delete(app)) return;
      await clients.dispose();
      await app.stop();
    },
  };
}

async function databaseOf(folder: string): Promise<string> {
  const database = databases.get(folder) ?? (await createTestDatabase());
  databases.set(folder, database);
  return database.url;
}

async function dropDatabase(folder: string): Promise<void> {
  await databases.get(folder)?.drop();
  databases.delete(folder);
}

/** What initdb makes, made once for all tests. */
export function databaseImage(): string {
  return process.env.SATWIRE_TEST_IMAGE as string;
}

afterEach(async () => {
  for (const app of running) await app.stop();
  running.clear();
  for (const folder of folders.splice(0)) {
    await dropDatabase(folder);
    await rm(folder, { recursive: true, force: true });
  }
});
