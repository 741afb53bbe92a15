-- A reconnect ticket and all that came from it: of these, the one that was used last and its successors are good.
CREATE TABLE reconnect_families (
  id text PRIMARY KEY,
  used_hash text,
  expires_at timestamptz NOT NULL
);
CREATE INDEX reconnect_families_expiry ON reconnect_families (expires_at);

CREATE TABLE reconnect_tickets (
  ticket_hash text PRIMARY KEY,
  family_id text NOT NULL REFERENCES reconnect_families ON DELETE CASCADE,
  parent_hash text,
  viewer jsonb NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX reconnect_tickets_family ON reconnect_tickets (family_id);
CREATE INDEX reconnect_tickets_expiry ON reconnect_tickets (expires_at);
