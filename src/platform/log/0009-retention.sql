-- Whether an event has a place in another feed, asked for each that leaves one.
CREATE INDEX topic_events_event ON topic_events (event_id);

-- The last trimmed sequence of each type: a feed that is filtered by types has lost nothing that lies behind it.
CREATE TABLE trimmed_types (
  topic text NOT NULL,
  type text NOT NULL,
  seq bigint NOT NULL,
  PRIMARY KEY (topic, type)
);

-- Topics that had grown before appending took care of it.
INSERT INTO work (kind, key, due_at)
SELECT 'log.trim', topic, now() FROM topics WHERE head >= 1000
ON CONFLICT DO NOTHING;
