import { readFile } from 'node:fs/promises';
import {
  type DocumentNode,
  type GraphQLSchema,
  Kind,
  parse,
  stripIgnoredCharacters,
  validate,
} from 'graphql';
import { z } from 'zod';
import { PublicError } from '../platform/errors.ts';

/** What a request names its document by, as it was sent: nothing is known of it. */
export interface DocumentParams {
  readonly query?: unknown;
  readonly extensions?: unknown;
  /** The id of a document, in the manner of GraphQL over HTTP. */
  readonly documentId?: unknown;
}

/** Which documents are executed. */
export interface Documents {
  /** Whether there is a manifest, and nothing else than what it has is executed. */
  readonly areTrusted: boolean;
  /**
   * The text of the document that a request names; undefined when it is the one that the request has.
   * @throws PublicError BAD_USER_INPUT when that document is not to be executed.
   */
  resolve(params: DocumentParams): string | undefined;
}

/** A manifest cannot be used; the message is a line that says why. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

const apolloManifest = z.object({
  format: z.literal('apollo-persisted-query-manifest'),
  version: z.literal(1),
  operations: z.array(z.object({ id: z.string().min(1), name: z.string(), body: z.string() })),
});
const plainManifest = z.record(z.string().min(1), z.string());

interface Entry {
  readonly id: string;
  /** What it is called where it cannot be read. */
  readonly name: string;
  readonly text: string;
}

const persisted = z.object({ persistedQuery: z.object({ sha256Hash: z.string() }) });

/** The id that a request names its document by; undefined when there is none. */
function idIn({ documentId, extensions }: DocumentParams): string | undefined {
  // What is no text names none, as an empty one does.
  if (documentId != null) return typeof documentId === 'string' ? documentId : '';
  const { success, data } = persisted.safeParse(extensions);
  return success ? data.persistedQuery.sha256Hash : undefined;
}

/** The text of a document that a request has; some protocols need one, and an empty one is none. */
function textIn({ query }: DocumentParams): string | undefined {
  return typeof query === 'string' && query !== '' ? query : undefined;
}

/** Where there is no manifest: any document that a request has. */
export const anyDocuments: Documents = {
  areTrusted: false,
  resolve(params) {
    // Clients know the message, and send the text from then on.
    if (textIn(params) === undefined && idIn(params) !== undefined)
      throw new PublicError('BAD_USER_INPUT', 'PersistedQueryNotSupported', { argument: 'query' });
    return undefined;
  },
};

const refusal = () =>
  new PublicError('BAD_USER_INPUT', 'Only trusted documents are taken, and this is none of them.', {
    argument: 'query',
  });

/**
 * The documents of a manifest: a JSON object of documents by id (the SHA-256 of each, say), or what Apollo's tools
 * write. Every one of them must fit the schema.
 * @throws ManifestError when one does not, or the file cannot be read.
 */
export async function readTrustedDocuments(path: string, schema: GraphQLSchema): Promise<Documents> {
  const entries = readManifest(await readText(path));
  for (const entry of entries) requireFit(entry, schema);
  const byId = new Map(entries.map(({ id, text }) => [withoutAlgorithm(id), text]));
  const byText = new Map(entries.map(({ text }) => [stripIgnoredCharacters(text), text]));

  function trustedText(text: string): string | undefined {
    try {
      return byText.get(stripIgnoredCharacters(text));
    } catch {
      return undefined;
    }
  }

  return {
    areTrusted: true,
    resolve(params) {
      const id = idIn(params);
      const named = id === undefined ? undefined : byId.get(withoutAlgorithm(id));
      const sent = textIn(params);
      const text = sent === undefined ? named : trustedText(sent);
      // With both, one must not stand for another.
      if (text === undefined || (named !== undefined && named !== text)) throw refusal();
      return text;
    },
  };
}

/** GraphQL over HTTP writes the name of the algorithm before a hash. */
const withoutAlgorithm = (id: string) => id.replace(/^sha256:/, '');

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ManifestError(`TRUSTED_DOCUMENTS cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function readManifest(text: string): Entry[] {
  const value = parseJson(text);
  const apollo = apolloManifest.safeParse(value);
  if (apollo.success) return apollo.data.operations.map(({ id, name, body }) => ({ id, name, text: body }));
  const plain = plainManifest.safeParse(value);
  if (plain.success)
    return Object.entries(plain.data).map(([id, document]) => ({ id, name: id, text: document }));
  throw new ManifestError(
    'TRUSTED_DOCUMENTS must be a JSON object of documents by id, or a manifest of Apollo',
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function requireFit(entry: Entry, schema: GraphQLSchema): void {
  let { name } = entry;
  try {
    const document = parse(entry.text);
    name = operationIn(document) ?? name;
    const [error] = validate(schema, document);
    if (error) throw error;
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new ManifestError(`TRUSTED_DOCUMENTS has ${name}, which does not fit the schema: ${reason}`);
  }
}

/** The name of the first operation. */
function operationIn({ definitions }: DocumentNode): string | undefined {
  return definitions.find((definition) => definition.kind === Kind.OPERATION_DEFINITION)?.name?.value;
}
