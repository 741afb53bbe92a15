import type { TestApp } from './app.ts';
import type { As, Json } from './clients.ts';
import { key } from './operations.ts';

/** How a mutation with one `input` went: the code and reason of its error, or what it answered. */
export interface Outcome {
  readonly code?: string;
  readonly reason?: unknown;
  readonly argument?: unknown;
  readonly answer?: Json;
}

/** Sends a mutation with an `input`, and an idempotency key of its own unless one is given. */
export async function attempt(
  app: Pick<TestApp, 'send'>,
  mutation: string,
  input: Record<string, unknown>,
  selection: string,
  as: As,
): Promise<Outcome> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input!`;
  const { data, errors } = await app.send(
    `mutation ($input: ${type}) { ${mutation}(input: $input) { ${selection} } }`,
    { input: { idempotencyKey: key(), ...input } },
    as,
  );
  const { code, reason, argument }: Json = errors?.[0]?.extensions ?? {};
  if (code !== undefined)
    return { code, ...(reason !== undefined && { reason }), ...(argument !== undefined && { argument }) };
  return { answer: data?.[mutation] };
}

/** As `attempt`, of a mutation that must succeed. */
export async function change(...args: Parameters<typeof attempt>): Promise<Json> {
  const { answer, ...refusal } = await attempt(...args);
  if (!answer) throw new Error(`${args[1]}: ${JSON.stringify(refusal)}`);
  return answer;
}
