/** The part of Satwire's schema that is measured, for servers that have it from a text. */
export const typeDefs = `
  type Query {
    hello: String
  }

  type Session {
    state: String!
    balanceSats: Int!
  }

  type SessionDebited {
    id: ID!
    balanceAfter: Int!
    cursor: String!
    session: Session
  }

  type Subscription {
    sessionDebited(id: ID!): SessionDebited!
  }
`;

/** What is published. */
export interface Published {
  readonly sessionDebited: { readonly sessionId: string };
}
