-- What other systems have delivered, in the order of its arrival. A chain's deliveries go when they are processed;
-- of the indexer's the ids stay. What failed for good stays until somebody has looked at it.
CREATE TABLE inbox_deliveries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source text NOT NULL,
  external_id text,
  body bytea NOT NULL,
  received_at timestamptz NOT NULL,
  processed_at timestamptz,
  attempts int NOT NULL DEFAULT 0,
  failed_at timestamptz,
  failure text,
  UNIQUE (source, external_id)
);
-- A body is there for a moment: not worth compressing.
ALTER TABLE inbox_deliveries ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX inbox_deliveries_waiting ON inbox_deliveries (source, id)
  WHERE processed_at IS NULL AND failed_at IS NULL;
CREATE INDEX inbox_deliveries_processed ON inbox_deliveries (processed_at) WHERE processed_at IS NOT NULL;

-- Every block that a hook has told of, and whether it is a part of the chain now.
CREATE TABLE chain_blocks (
  hook text NOT NULL,
  hash text NOT NULL,
  height bigint NOT NULL,
  parent text NOT NULL,
  canonical boolean NOT NULL,
  PRIMARY KEY (hook, hash)
);
CREATE UNIQUE INDEX chain_blocks_canonical ON chain_blocks (hook, height) WHERE canonical;

-- What contracts have printed, once for each block in which it was: the transaction of a fork has a row in each.
CREATE TABLE chain_events (
  hook text NOT NULL,
  block_hash text NOT NULL,
  tx_hash text NOT NULL,
  event_index int NOT NULL,
  entity text NOT NULL,
  height bigint NOT NULL,
  tx_index int NOT NULL,
  contract text NOT NULL,
  name text NOT NULL,
  value text NOT NULL,
  block_time bigint NOT NULL,
  canonical boolean NOT NULL,
  log_event_id text,
  PRIMARY KEY (hook, block_hash, tx_hash, event_index)
);
CREATE INDEX chain_events_entity ON chain_events (hook, entity, height, tx_index, event_index) WHERE canonical;

-- Up to where the events of a queue have been taken.
CREATE TABLE queue_positions (
  queue text PRIMARY KEY,
  event_id text NOT NULL
);
