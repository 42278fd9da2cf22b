-- Ids that no other proxy gets: somebody may still send requests, and what they need for them, to where it was.
CREATE TABLE l402_deleted_proxies (
    public_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
