-- Counters of limits and the states of lockouts, shared by all workers and hosts.
--
-- UNLOGGED: what they hold is worth minutes or hours, and must cost no write-ahead log; a crash of PostgreSQL
-- empties them. Every call is one statement that commits by itself, on the connection beside the call's own.

CREATE UNLOGGED TABLE IF NOT EXISTS api_guard_counter (
    id uuid PRIMARY KEY,
    taken bigint NOT NULL DEFAULT 0,    -- moving: calls ever taken; sliding: of the buckets that are held
    oldest bigint NOT NULL DEFAULT 0,   -- moving: the number of the oldest call that may still count
    head bigint NOT NULL DEFAULT 0,     -- sliding: the number of the newest bucket
    buckets bigint[],                   -- sliding: a ring of 101 hundredths of the window
    expires_at double precision NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- When each call of a moving window was taken: a ring of as many as the limit allows
CREATE UNLOGGED TABLE IF NOT EXISTS api_guard_moment (
    id uuid NOT NULL,
    place integer NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (id, place)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- Who holds a slot of those that a key has for calls at the same time
CREATE UNLOGGED TABLE IF NOT EXISTS api_guard_lease (
    id uuid NOT NULL,
    holder text NOT NULL,
    ends_at double precision NOT NULL,
    PRIMARY KEY (id, holder)
);

-- What is held against a subject (core/lockout.py writes and reads `state`)
CREATE UNLOGGED TABLE IF NOT EXISTS api_guard_lockout (
    id uuid PRIMARY KEY,
    state text NOT NULL,
    expires_at double precision NOT NULL
);

CREATE INDEX IF NOT EXISTS api_guard_counter_expires_idx ON api_guard_counter (expires_at);
CREATE INDEX IF NOT EXISTS api_guard_lockout_expires_idx ON api_guard_lockout (expires_at);

CREATE OR REPLACE FUNCTION api_guard_now() RETURNS double precision LANGUAGE sql AS
$$ SELECT EXTRACT(EPOCH FROM clock_timestamp())::double precision $$;

-- Take `costs` of each counter, all of them or, where one that is strict has no room, none.
--
-- ids         sorted, so that calls which meet take their locks in the same order
-- sorts       'moving', 'sliding' or 'lease' (core.limit.Sort)
-- seconds     the length of a window; how long a slot is held for at most
-- forced      taken whether there is room or not: it has already happened
-- Returns a row for each: was there room, how much is left, in how many seconds some will be given back.
CREATE OR REPLACE FUNCTION api_guard_take(
    ids uuid[], sorts text[], amounts bigint[], seconds double precision[], costs bigint[], strict boolean[],
    forced boolean[], slot text
) RETURNS TABLE (admitted boolean, remaining bigint, wait double precision) LANGUAGE plpgsql
SET lock_timeout = '200ms' AS $$
DECLARE
    n integer := cardinality(ids);
    takens bigint[] := array_fill(0::bigint, ARRAY[n]);     -- in the window, before this call
    firsts bigint[] := array_fill(0::bigint, ARRAY[n]);     -- moving: calls ever; sliding: the newest bucket
    oldests bigint[] := array_fill(0::bigint, ARRAY[n]);
    waits double precision[] := array_fill(0::double precision, ARRAY[n]);
    rooms boolean[] := array_fill(TRUE, ARRAY[n]);
    ring bigint[];
    counter api_guard_counter;
    held api_guard_counter[];
    now double precision;
    moment double precision;
    bucket bigint;
    low bigint;
    high bigint;
    middle bigint;
    excess bigint;
    all_admit boolean := TRUE;
    i integer;
BEGIN
    -- all locks first, and the time after them: who waited must not judge by an earlier moment
    FOR i IN 1..n LOOP
        IF costs[i] = 0 THEN
            SELECT * INTO counter FROM api_guard_counter c WHERE c.id = ids[i];
        ELSE
            SELECT * INTO counter FROM api_guard_counter c WHERE c.id = ids[i] FOR NO KEY UPDATE;
            IF NOT FOUND THEN
                INSERT INTO api_guard_counter (id, expires_at) VALUES (ids[i], 0) ON CONFLICT (id) DO NOTHING;
                SELECT * INTO counter FROM api_guard_counter c WHERE c.id = ids[i] FOR NO KEY UPDATE;
            END IF;
        END IF;
        held[i] := counter;
    END LOOP;
    now := extract(epoch FROM clock_timestamp())::double precision;

    FOR i IN 1..n LOOP
        counter := held[i];
        CONTINUE WHEN counter.id IS NULL;
        IF sorts[i] = 'moving' THEN
            firsts[i] := counter.taken;
            low := GREATEST(counter.oldest, counter.taken - amounts[i]);
            SELECT m.at INTO moment FROM api_guard_moment m WHERE m.id = ids[i] AND m.place = low % amounts[i];
            -- a moment of the future was taken before the clock was set back: it counts no longer
            IF low < counter.taken AND (moment IS NULL OR moment <= now - seconds[i] OR moment > now + 1) THEN
                high := counter.taken;
                low := low + 1;
                WHILE low < high LOOP
                    middle := (low + high) / 2;
                    SELECT m.at INTO moment FROM api_guard_moment m
                     WHERE m.id = ids[i] AND m.place = middle % amounts[i];
                    IF moment > now - seconds[i] AND moment <= now + 1 THEN
                        high := middle;
                    ELSE
                        low := middle + 1;
                    END IF;
                END LOOP;
                SELECT m.at INTO moment FROM api_guard_moment m WHERE m.id = ids[i] AND m.place = low % amounts[i];
            END IF;
            oldests[i] := low;
            takens[i] := counter.taken - low;
            IF takens[i] > 0 THEN
                waits[i] := GREATEST(0, moment + seconds[i] - now);
            END IF;
        ELSIF sorts[i] = 'sliding' THEN
            bucket := floor(now / seconds[i] * 100);
            IF counter.head = bucket + 1 THEN  -- a clock that was slowed down
                bucket := counter.head;
            END IF;
            ring := api_guard_ring(counter.buckets, counter.head, bucket);
            firsts[i] := bucket;
            counter.buckets := ring;
            held[i] := counter;
            takens[i] := (SELECT COALESCE(sum(b), 0) FROM unnest(ring) b);
            IF takens[i] > 0 THEN
                excess := GREATEST(takens[i] - amounts[i] + GREATEST(costs[i], 1), 1);
                FOR age IN REVERSE 100..0 LOOP
                    excess := excess - ring[((bucket - age) % 101 + 101) % 101 + 1];
                    IF excess <= 0 THEN
                        waits[i] := (bucket - age + 101) * seconds[i] / 100 - now;
                        EXIT;
                    END IF;
                END LOOP;
                waits[i] := GREATEST(0, waits[i]);
            END IF;
        ELSE
            SELECT count(*), COALESCE(min(l.ends_at) - now, 0) INTO excess, moment
              FROM api_guard_lease l WHERE l.id = ids[i] AND l.ends_at > now AND l.holder IS DISTINCT FROM slot;
            takens[i] := excess;
            waits[i] := moment;
        END IF;
    END LOOP;

    FOR i IN 1..n LOOP
        rooms[i] := takens[i] + GREATEST(costs[i], 1) <= amounts[i];
        all_admit := all_admit AND (rooms[i] OR NOT strict[i] OR forced[i]);
    END LOOP;

    FOR i IN 1..n LOOP
        CONTINUE WHEN costs[i] = 0 OR NOT (forced[i] OR (all_admit AND rooms[i]));
        IF sorts[i] = 'moving' THEN
            INSERT INTO api_guard_moment AS m (id, place, at)
            SELECT ids[i], (firsts[i] + k) % amounts[i], now
              FROM generate_series(0, LEAST(costs[i], amounts[i]) - 1) k
                ON CONFLICT (id, place) DO UPDATE SET at = EXCLUDED.at;
            UPDATE api_guard_counter c
               SET taken = firsts[i] + LEAST(costs[i], amounts[i]), oldest = oldests[i],
                   expires_at = api_guard_expiry(c.expires_at, now, seconds[i])
             WHERE c.id = ids[i];
            takens[i] := LEAST(takens[i] + costs[i], amounts[i]);
        ELSIF sorts[i] = 'sliding' THEN
            counter := held[i];
            ring := counter.buckets;
            bucket := firsts[i] % 101 + 1;
            ring[bucket] := ring[bucket] + costs[i];
            UPDATE api_guard_counter c
               SET buckets = ring, head = firsts[i], expires_at = api_guard_expiry(c.expires_at, now, seconds[i])
             WHERE c.id = ids[i];
            takens[i] := takens[i] + costs[i];
        ELSE
            INSERT INTO api_guard_lease AS l (id, holder, ends_at) VALUES (ids[i], slot, now + seconds[i])
                ON CONFLICT (id, holder) DO UPDATE SET ends_at = EXCLUDED.ends_at;
            UPDATE api_guard_counter c SET expires_at = api_guard_expiry(c.expires_at, now, seconds[i])
             WHERE c.id = ids[i];
            takens[i] := takens[i] + 1;
        END IF;
        IF waits[i] = 0 THEN
            waits[i] := seconds[i];
        END IF;
    END LOOP;

    -- each call takes away more than it can bring, so that the tables stay as small as what still counts
    IF random() < 0.02 THEN
        PERFORM api_guard_sweep(500);
    END IF;

    FOR i IN 1..n LOOP
        RETURN QUERY SELECT rooms[i] OR forced[i], GREATEST(amounts[i] - takens[i], 0), waits[i];
    END LOOP;
END $$;

-- The ring of hundredths, as it is when `bucket` is the newest
CREATE OR REPLACE FUNCTION api_guard_ring(ring bigint[], head bigint, bucket bigint)
RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    -- more than a window ahead, or behind: the clock was set back
    IF ring IS NULL OR bucket - head > 100 OR head > bucket + 1 THEN
        RETURN array_fill(0::bigint, ARRAY[101]);
    END IF;
    FOR passed IN 1..(bucket - head)::integer LOOP
        ring[(head + passed) % 101 + 1] := 0;
    END LOOP;
    RETURN ring;
END $$;

-- When a counter may go. Put off by a window at once, so that most calls leave the index alone
CREATE OR REPLACE FUNCTION api_guard_expiry(known double precision, now double precision, seconds double precision)
RETURNS double precision LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN known < now + seconds * 1.01 OR known > now + seconds * 3 THEN now + seconds * 2.02 ELSE known END $$;

-- Remove at most so many counters, and of other things, that count no longer
CREATE OR REPLACE FUNCTION api_guard_sweep(most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone uuid[];
    ended bigint;
BEGIN
    WITH old AS (
        SELECT c.id FROM api_guard_counter c WHERE c.expires_at < api_guard_now()
         ORDER BY c.expires_at LIMIT most FOR UPDATE SKIP LOCKED
    ), removed AS (DELETE FROM api_guard_counter c USING old WHERE c.id = old.id RETURNING c.id)
    SELECT array_agg(id) INTO gone FROM removed;
    DELETE FROM api_guard_moment m WHERE m.id = ANY(gone);
    DELETE FROM api_guard_lease l WHERE l.id = ANY(gone);
    DELETE FROM api_guard_lockout l WHERE l.id IN (
        SELECT o.id FROM api_guard_lockout o WHERE o.expires_at < api_guard_now()
         ORDER BY o.expires_at LIMIT most FOR UPDATE SKIP LOCKED
    );
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN COALESCE(cardinality(gone), 0) + ended;
END $$;

-- Put `states` in place of those that were read, all of them or none; NULL removes one. FALSE: somebody came first.
CREATE OR REPLACE FUNCTION api_guard_swap(ids uuid[], known text[], states text[], expiries double precision[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    found_state text;
BEGIN
    FOR i IN 1..cardinality(ids) LOOP
        SELECT l.state INTO found_state FROM api_guard_lockout l WHERE l.id = ids[i] FOR UPDATE;
        IF found_state IS DISTINCT FROM known[i] THEN
            RETURN FALSE;
        END IF;
    END LOOP;
    FOR i IN 1..cardinality(ids) LOOP
        IF states[i] IS NULL THEN
            DELETE FROM api_guard_lockout l WHERE l.id = ids[i];
        ELSIF known[i] IS NULL THEN
            INSERT INTO api_guard_lockout (id, state, expires_at) VALUES (ids[i], states[i], expiries[i])
                ON CONFLICT (id) DO NOTHING;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'api_guard: somebody came first' USING ERRCODE = 'serialization_failure';
            END IF;
        ELSE
            UPDATE api_guard_lockout l SET state = states[i], expires_at = expiries[i] WHERE l.id = ids[i];
        END IF;
    END LOOP;
    RETURN TRUE;
END $$;
