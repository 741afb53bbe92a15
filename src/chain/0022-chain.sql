-- Blocks of the Bitcoin chain that were seen here. Those that a reorganisation took off it stay.
CREATE TABLE bitcoin_blocks (
  hash text PRIMARY KEY,
  height bigint NOT NULL,
  parent text,
  mined_at timestamptz NOT NULL,
  tx_count bigint NOT NULL,
  size_bytes bigint NOT NULL,
  weight bigint NOT NULL,
  canonical boolean NOT NULL
);
CREATE UNIQUE INDEX bitcoin_blocks_height ON bitcoin_blocks (height) WHERE canonical;

-- What is known of the chain beside its blocks: one row, whose lock whoever moves the tip takes.
CREATE TABLE bitcoin_chain (
  is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),
  -- As Bitcoin Core names it: main, test, testnet4, signet or regtest. demo of one that is made up.
  name text,
  -- Fee rates by the number of blocks that they aim at, in sat/vB, or null where nothing is known.
  fees jsonb NOT NULL DEFAULT '{}',
  -- What waits to be confirmed, in short, as of that time.
  mempool jsonb,
  mempool_at timestamptz
);
INSERT INTO bitcoin_chain DEFAULT VALUES;
