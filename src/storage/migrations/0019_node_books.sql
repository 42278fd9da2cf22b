-- What the books know of the node's own money: channels, the wallet, forwarded payments.

-- Channels, from the moment they have a funding transaction.
CREATE TABLE node_channels (
    id           INTEGER PRIMARY KEY,
    channel      TEXT    NOT NULL UNIQUE,  -- the node's id of it, hex
    funding      TEXT    NOT NULL,         -- txid:output
    funding_txid TEXT    NOT NULL,
    outbound     INTEGER NOT NULL,         -- 1: we opened it and pay for its transactions
    capacity_sat INTEGER NOT NULL,
    start_msat   INTEGER NOT NULL,         -- ours when it was new
    -- opening: its money is not in the books; open; closing: closed, not all of it has come; closed
    state        TEXT    NOT NULL CHECK (state IN ('opening', 'open', 'closing', 'closed')),
    cost_sat     INTEGER NOT NULL,         -- the most that closing it may take from our part, as last seen
    ours_msat    INTEGER NOT NULL,         -- as last seen
    first_seen   INTEGER NOT NULL,         -- unix milliseconds, like every time here
    closed_at    INTEGER,                  -- when the node told
    reason       TEXT                      -- the node's words for why
) STRICT;
CREATE INDEX node_channels_live ON node_channels (id) WHERE state <> 'closed';
CREATE INDEX node_channels_by_funding ON node_channels (funding_txid);

-- Confirmed transactions of the wallet that are in the books.
CREATE TABLE wallet_transactions (
    id        INTEGER PRIMARY KEY,
    txid      TEXT    NOT NULL UNIQUE,
    role      TEXT    NOT NULL CHECK (role IN ('before', 'deposit', 'funding', 'coins', 'close', 'sweep', 'claim', 'fee')),
    net_sat   INTEGER NOT NULL,            -- what the wallet gained; negative if it lost
    height    INTEGER NOT NULL,
    channel   TEXT,                        -- of which channel, if known
    booked_at INTEGER NOT NULL
) STRICT;

-- Payments of others that went through us, and what they left.
CREATE TABLE forwards (
    id           INTEGER PRIMARY KEY,
    at           INTEGER NOT NULL,
    from_channel TEXT    NOT NULL,
    to_channel   TEXT    NOT NULL,
    fee_msat     INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('new', 'booked', 'repeated'))
) STRICT;
CREATE INDEX forwards_new ON forwards (id) WHERE state = 'new';

-- Comparisons of the books with the node, the newest of them.
CREATE TABLE node_looks (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    at               INTEGER NOT NULL,
    height           INTEGER NOT NULL,
    outcome          TEXT    NOT NULL CHECK (outcome IN ('equal', 'drift')),
    channels_msat    INTEGER NOT NULL,     -- by the node
    closing_msat     INTEGER NOT NULL,
    wallet_msat      INTEGER NOT NULL,
    channels_booked  INTEGER NOT NULL,     -- by the books, in msat
    closing_booked   INTEGER NOT NULL,
    wallet_booked    INTEGER NOT NULL,
    channels         TEXT    NOT NULL      -- JSON: each channel and what is ours in it, in msat
) STRICT;
CREATE INDEX node_looks_by_outcome ON node_looks (outcome, id);
