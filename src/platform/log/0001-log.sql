-- The database's own identity: cursors carry the epoch, so that a restored backup invalidates them.
CREATE TABLE database_info (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  epoch text NOT NULL
);
INSERT INTO database_info (epoch) VALUES (substr(replace(gen_random_uuid()::text, '-', ''), 1, 12));

CREATE TABLE topics (
  topic text PRIMARY KEY,
  epoch text NOT NULL,
  head bigint NOT NULL,
  trimmed_to bigint NOT NULL DEFAULT 0
);

CREATE TABLE events (
  id text PRIMARY KEY,
  type text NOT NULL,
  version int NOT NULL,
  facts jsonb NOT NULL,
  occurred_at timestamptz NOT NULL
);

CREATE TABLE topic_events (
  topic text NOT NULL,
  seq bigint NOT NULL,
  event_id text NOT NULL,
  PRIMARY KEY (topic, seq)
);
