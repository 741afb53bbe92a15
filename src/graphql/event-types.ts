import { type GraphQLSchema, isObjectType } from 'graphql';
import type { LogEvent } from '../platform/log/event.ts';
import { UnknownEventError } from './errors.ts';

/** The newest shape of event rows that this version reads. */
const newestVersion = 1;

/**
 * The GraphQL type of an event: the one of its name.
 * @throws UnknownEventError when a newer version of the server has written the row.
 */
export function typeOfEvent({ type, version }: LogEvent, schema: GraphQLSchema): string {
  if (!isObjectType(schema.getType(type)) || version > newestVersion)
    throw new UnknownEventError(`No shape is known for ${type} version ${version}.`);
  return type;
}
