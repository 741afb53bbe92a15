-- Positions on a stream's clock: milliseconds since 1970, or heights of blocks.
CREATE TABLE streams (
  id text PRIMARY KEY,
  origin text NOT NULL,
  clock text NOT NULL,
  -- Users; of a mirrored stream, principals.
  sender text NOT NULL,
  recipient text NOT NULL,
  state text NOT NULL,
  amount_sats bigint NOT NULL CHECK (amount_sats > 0),
  starts bigint NOT NULL,
  ends bigint NOT NULL CHECK (ends > starts),
  paused_at bigint,
  paused_total bigint NOT NULL DEFAULT 0,
  withdrawn_sats bigint NOT NULL DEFAULT 0,
  refunded_sats bigint NOT NULL DEFAULT 0,
  fee_sats bigint NOT NULL DEFAULT 0,
  -- What had vested when it was cancelled.
  cancelled_vested_sats bigint,
  -- The next height at which something happens to it by itself.
  due_block bigint,
  -- Which stream of the chain it mirrors.
  chain_key text UNIQUE,
  -- Its number with the deployer of its contract, by which other contracts name it.
  chain_stream text,
  -- Whether a reorganisation has undone the stream itself.
  undone boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CONSTRAINT stream_conserved CHECK (withdrawn_sats + refunded_sats + fee_sats <= amount_sats)
);
CREATE INDEX streams_sender ON streams (sender, created_at, id);
CREATE INDEX streams_recipient ON streams (recipient, created_at, id);
CREATE INDEX streams_chain ON streams (chain_stream) WHERE chain_stream IS NOT NULL AND NOT undone;
CREATE INDEX streams_due_block ON streams (due_block) WHERE due_block IS NOT NULL;

-- The highest block that was ever seen of a chain: a reorganisation takes nothing back.
CREATE TABLE chain_heights (
  chain text PRIMARY KEY,
  highest bigint NOT NULL
);
