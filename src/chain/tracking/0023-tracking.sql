-- What somebody watches: some transactions, and all that pay some addresses or are paid by them. Its feed bears its id.
CREATE TABLE bitcoin_tracks (
  id text PRIMARY KEY,
  txids text[] NOT NULL,
  -- How many ids and addresses, and whom they count against.
  size int NOT NULL,
  caller text,
  address text,
  -- Whether what was known of its transactions was told.
  is_begun boolean NOT NULL DEFAULT false,
  -- It goes then, unless somebody watches it.
  until timestamptz NOT NULL
);
CREATE INDEX bitcoin_tracks_new ON bitcoin_tracks (id) WHERE NOT is_begun;
CREATE INDEX bitcoin_tracks_until ON bitcoin_tracks (until);
CREATE INDEX bitcoin_tracks_caller ON bitcoin_tracks (caller) WHERE caller IS NOT NULL;
CREATE INDEX bitcoin_tracks_address ON bitcoin_tracks (address) WHERE address IS NOT NULL;

-- The ids and addresses by which transactions are found to be watched.
CREATE TABLE bitcoin_track_keys (
  key text NOT NULL,
  track text NOT NULL REFERENCES bitcoin_tracks ON DELETE CASCADE,
  PRIMARY KEY (key, track)
);
CREATE INDEX bitcoin_track_keys_track ON bitcoin_track_keys (track);

-- Transactions that were found, and what was told of them last.
CREATE TABLE bitcoin_tracked_txs (
  txid text PRIMARY KEY,
  -- Its id, and the addresses that it touches.
  keys text[] NOT NULL,
  -- The outputs that it spends, as txid:index.
  spends text[] NOT NULL,
  -- In vB, and in sat/vB, or null where the node did not say.
  virtual_size bigint NOT NULL,
  fee_rate double precision,
  -- The block that has it, and how many confirmations were told.
  block text,
  height bigint,
  confirmations int NOT NULL DEFAULT 0,
  -- The transaction that has taken its place.
  replaced_by text,
  changed_at timestamptz NOT NULL
);
CREATE INDEX bitcoin_tracked_txs_spends ON bitcoin_tracked_txs USING gin (spends)
  WHERE replaced_by IS NULL;
CREATE INDEX bitcoin_tracked_txs_block ON bitcoin_tracked_txs (block) WHERE block IS NOT NULL;
CREATE INDEX bitcoin_tracked_txs_height ON bitcoin_tracked_txs (height) WHERE height IS NOT NULL;
CREATE INDEX bitcoin_tracked_txs_changed ON bitcoin_tracked_txs (changed_at);

-- The block up to which transactions were looked for, and until when in what came to wait.
ALTER TABLE bitcoin_chain ADD COLUMN tracked_block text;
ALTER TABLE bitcoin_chain ADD COLUMN tracked_at timestamptz;
