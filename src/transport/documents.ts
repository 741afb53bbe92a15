import type { DocumentNode } from 'graphql';

/** How many documents are remembered, and how long their texts are together, at most. */
const most = { documents: 1_000, characters: 4_000_000 };

/** A document with the text that it was parsed from. */
export interface KnownDocument {
  readonly document: DocumentNode;
  readonly text: string;
}

/** Remembers the valid documents that were asked for lately, so that each is parsed and validated once. */
export function createKnownDocuments() {
  const known = new Map<string, KnownDocument>();
  let characters = 0;

  return {
    get(text: string): KnownDocument | undefined {
      const found = known.get(text);
      if (found) {
        // The one that was used last goes last.
        known.delete(text);
        known.set(text, found);
      }
      return found;
    },

    add(text: string, document: DocumentNode): KnownDocument {
      const added = { document, text };
      known.set(text, added);
      characters += text.length;
      for (const oldest of known.keys()) {
        if (known.size <= most.documents && characters <= most.characters) break;
        known.delete(oldest);
        characters -= oldest.length;
      }
      return added;
    },
  };
}
