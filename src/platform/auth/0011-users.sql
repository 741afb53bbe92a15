-- What a token may say of its subject to others, and its principals on other chains. A principal that no token has
-- named yet belongs to a user without a subject.
ALTER TABLE users ALTER COLUMN subject DROP NOT NULL;
ALTER TABLE users ADD COLUMN name text;
CREATE TABLE user_addresses (
  address text PRIMARY KEY,
  user_id text NOT NULL REFERENCES users (id)
);
CREATE INDEX user_addresses_user ON user_addresses (user_id);
