/** The Redis channel, or the room, of what is watched under an id. */
export const channelOf = (id: string): string => `sessionDebited.${id}`;
