-- Counters of limits and the states of lockouts, shared by all workers and hosts.
--
-- UNLOGGED: what they hold is worth minutes or hours, and must cost no write-ahead log; a crash of PostgreSQL
-- empties them. Every call is one statement that commits by itself, on the connection beside the call's own.

CREATE UNLOGGED TABLE IF NOT EXISTS api_guard_counter (
    id uuid PRIMARY KEY,
    taken bigint NOT NULL DEFAULT 0,    -- moving: calls ever taken; sliding: what is in the buckets
    oldest bigint NOT NULL DEFAULT 0,   -- the number of the oldest call, or bucket, that may still count
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

CREATE OR REPLACE FUNCTION api_guard_now() RETURNS double precision LANGUAGE sql AS
$$ SELECT EXTRACT(EPOCH FROM clock_timestamp())::double precision $$;

-- Take `costs` of each counter, all of them or, where one that is strict has no room, none.
--
-- ids         sorted, so that calls which meet take their locks in the same order
-- sorts       'moving', 'sliding' or 'lease' (core.limit.Sort)
-- seconds     the length of a window; how long a slot is held for at most
-- forced      taken whether there is room or not: it has already happened
-- Returns a row for each: was there room, how much is left, in how many seconds some will be given back.
--
-- Written for few statements and few steps: it runs in the middle of a call, on a backend that did something else
-- a moment ago. Locks are advisory because those on rows would write each row twice.
CREATE OR REPLACE FUNCTION api_guard_take(
    ids uuid[], sorts text[], amounts bigint[], seconds double precision[], costs bigint[], strict boolean[],
    forced boolean[], slot text
) RETURNS TABLE (admitted boolean, remaining bigint, wait double precision) LANGUAGE plpgsql
SET lock_timeout = '200ms' AS $$
DECLARE
    counters api_guard_counter[];  -- as they stand at this moment, before this call
    counter api_guard_counter;
    now double precision;
    moment double precision;
    bucket bigint;
    excess bigint;
    taken bigint;
    takens bigint[];
    waits double precision[];
    rooms boolean[];
    all_admit boolean := TRUE;
BEGIN
    -- all locks first, and the time after them: who waited must not judge by an earlier moment
    FOR i IN 1..cardinality(ids) LOOP
        IF costs[i] > 0 THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(ids[i]::text, 7));
        END IF;
    END LOOP;
    now := extract(epoch FROM clock_timestamp())::double precision;

    FOR i IN 1..cardinality(ids) LOOP
        SELECT * INTO counter FROM api_guard_counter c WHERE c.id = ids[i];
        taken := 0;
        moment := NULL;
        IF sorts[i] = 'lease' THEN
            SELECT count(*), min(l.ends_at) INTO taken, moment
              FROM api_guard_lease l WHERE l.id = ids[i] AND l.ends_at > now AND l.holder IS DISTINCT FROM slot;
        ELSIF sorts[i] = 'moving' AND counter.id IS NOT NULL THEN
            counter.oldest := api_guard_oldest(counter, amounts[i], now - seconds[i], now);
            taken := counter.taken - counter.oldest;
            IF taken > 0 THEN
                SELECT m.at + seconds[i] INTO moment FROM api_guard_moment m
                 WHERE m.id = ids[i] AND m.place = counter.oldest % amounts[i];
            END IF;
        ELSIF sorts[i] = 'sliding' THEN
            bucket := floor(now / seconds[i] * 100);
            -- a window without a call, or a clock that was set back
            IF counter.buckets IS NULL OR bucket - counter.head > 100 OR counter.head > bucket + 1 THEN
                counter.buckets := array_fill(0::bigint, ARRAY[101]);
                counter.taken := 0;
                counter.oldest := bucket;
            ELSE
                bucket := GREATEST(bucket, counter.head);
                WHILE counter.oldest < bucket - 100
                      OR (counter.oldest < bucket AND counter.buckets[counter.oldest % 101 + 1] = 0) LOOP
                    counter.taken := counter.taken - counter.buckets[counter.oldest % 101 + 1];
                    counter.buckets[counter.oldest % 101 + 1] := 0;
                    counter.oldest := counter.oldest + 1;
                END LOOP;
            END IF;
            counter.head := bucket;
            taken := counter.taken;
            IF taken > 0 THEN
                bucket := counter.oldest;
                excess := taken - amounts[i] + GREATEST(costs[i], 1) - counter.buckets[bucket % 101 + 1];
                WHILE excess > 0 AND bucket < counter.head LOOP
                    bucket := bucket + 1;
                    excess := excess - counter.buckets[bucket % 101 + 1];
                END LOOP;
                moment := (bucket + 101) * seconds[i] / 100;
            END IF;
        END IF;
        counters[i] := counter;
        takens[i] := taken;
        waits[i] := GREATEST(0, COALESCE(moment - now, 0));
        rooms[i] := taken + GREATEST(costs[i], 1) <= amounts[i];
        all_admit := all_admit AND (rooms[i] OR NOT strict[i] OR forced[i]);
    END LOOP;

    FOR i IN 1..cardinality(ids) LOOP
        IF costs[i] > 0 AND (forced[i] OR (all_admit AND rooms[i])) THEN
            PERFORM api_guard_put(counters[i], ids[i], sorts[i], amounts[i], seconds[i], costs[i], slot, now);
            takens[i] := takens[i] + costs[i];
            IF waits[i] = 0 THEN
                waits[i] := seconds[i];
            END IF;
        END IF;
        admitted := rooms[i] OR forced[i];
        remaining := GREATEST(amounts[i] - takens[i], 0);
        wait := waits[i];
        RETURN NEXT;
    END LOOP;

    -- each call takes away more than it can bring, so that the tables stay as small as what still counts
    IF random() < 0.02 THEN
        PERFORM api_guard_sweep(40);
    END IF;
END $$;

-- The number of the oldest call of a moving window that still counts
CREATE OR REPLACE FUNCTION api_guard_oldest(
    counter api_guard_counter, amount bigint, edge double precision, now double precision
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    low bigint := GREATEST(counter.oldest, counter.taken - amount);
    high bigint := counter.taken;
    middle bigint;
    moment double precision;
BEGIN
    middle := low;  -- nearly always the first one counts
    WHILE low < high LOOP
        SELECT m.at INTO moment FROM api_guard_moment m WHERE m.id = counter.id AND m.place = middle % amount;
        -- a moment of the future was taken before the clock was set back: it counts no longer
        IF moment > edge AND moment <= now + 1 THEN
            high := middle;
        ELSE
            low := middle + 1;
        END IF;
        middle := (low + high) / 2;
    END LOOP;
    RETURN low;
END $$;

-- Write what a call takes of one counter
CREATE OR REPLACE FUNCTION api_guard_put(
    counter api_guard_counter, of_id uuid, sort text, amount bigint, seconds double precision, cost bigint, slot text,
    now double precision
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_new boolean := counter.id IS NULL;
    slot_number integer;
BEGIN
    counter.id := of_id;
    counter.taken := COALESCE(counter.taken, 0);
    counter.oldest := COALESCE(counter.oldest, 0);
    counter.head := COALESCE(counter.head, 0);
    IF is_new OR counter.expires_at < now + seconds * 1.01 OR counter.expires_at > now + seconds * 3 THEN
        counter.expires_at := now + seconds * 2.02;
    END IF;
    IF sort = 'moving' THEN
        FOR k IN 0..LEAST(cost, amount) - 1 LOOP
            slot_number := (counter.taken + k) % amount;
            UPDATE api_guard_moment m SET at = now WHERE m.id = of_id AND m.place = slot_number;
            IF NOT FOUND THEN
                INSERT INTO api_guard_moment (id, place, at) VALUES (of_id, slot_number, now);
            END IF;
        END LOOP;
        counter.taken := counter.taken + LEAST(cost, amount);
    ELSIF sort = 'sliding' THEN
        counter.buckets[counter.head % 101 + 1] := counter.buckets[counter.head % 101 + 1] + cost;
        counter.taken := counter.taken + cost;
    ELSE
        INSERT INTO api_guard_lease AS l (id, holder, ends_at) VALUES (of_id, slot, now + seconds)
            ON CONFLICT (id, holder) DO UPDATE SET ends_at = EXCLUDED.ends_at;
    END IF;
    IF NOT is_new THEN
        UPDATE api_guard_counter c
           SET taken = counter.taken, oldest = counter.oldest, head = counter.head, buckets = counter.buckets,
               expires_at = counter.expires_at
         WHERE c.id = of_id;
    END IF;
    IF is_new OR NOT FOUND THEN  -- it had expired, and was swept away a moment ago
        INSERT INTO api_guard_counter VALUES (counter.*) ON CONFLICT (id) DO NOTHING;
    END IF;
END $$;

-- Look at some pages of the tables, drawn at random, and remove what counts no longer.
--
-- No index leads to what has expired: it would have to be kept with each call, and its end, where all is deleted,
-- is slow to walk until the next vacuum.
CREATE OR REPLACE FUNCTION api_guard_sweep(pages integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    gone uuid[];
    ended bigint;
    share real;
BEGIN
    share := LEAST(100, 100.0 * pages * 8192 / GREATEST(pg_relation_size('api_guard_counter'), 8192));
    WITH old AS (
        SELECT c.id FROM api_guard_counter c TABLESAMPLE SYSTEM (share) WHERE c.expires_at < api_guard_now()
    ), removed AS (
        DELETE FROM api_guard_counter c USING old WHERE c.id = old.id AND c.expires_at < api_guard_now() RETURNING c.id
    )
    SELECT array_agg(id) INTO gone FROM removed;
    IF gone IS NOT NULL THEN
        DELETE FROM api_guard_moment m WHERE m.id = ANY(gone);
        DELETE FROM api_guard_lease l WHERE l.id = ANY(gone);
    END IF;
    share := LEAST(100, 100.0 * pages * 8192 / GREATEST(pg_relation_size('api_guard_lockout'), 8192));
    DELETE FROM api_guard_lockout l WHERE l.expires_at < api_guard_now() AND l.id IN (
        SELECT o.id FROM api_guard_lockout o TABLESAMPLE SYSTEM (share) WHERE o.expires_at < api_guard_now()
    );
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN COALESCE(cardinality(gone), 0) + ended;
END $$;

-- Put `states` in place of those that were read, all of them or none; NULL removes one. FALSE: somebody came first.
CREATE OR REPLACE FUNCTION api_guard_swap(ids uuid[], known text[], states text[], expiries double precision[])
RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
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

-- The states of `ids`, a row for each
CREATE OR REPLACE FUNCTION api_guard_load(ids uuid[]) RETURNS TABLE (id uuid, state text) LANGUAGE plpgsql
SET lock_timeout = '200ms' AS $$
BEGIN
    RETURN QUERY SELECT asked.id, l.state FROM unnest(ids) asked (id) LEFT JOIN api_guard_lockout l ON l.id = asked.id;
END $$;

-- Give slots back
CREATE OR REPLACE FUNCTION api_guard_release(ids uuid[], slot text) RETURNS void LANGUAGE plpgsql
SET lock_timeout = '200ms' AS $$
BEGIN
    DELETE FROM api_guard_lease l WHERE l.id = ANY(ids) AND l.holder = slot;
END $$;

-- Who holds the slots of a counter
CREATE OR REPLACE FUNCTION api_guard_holders(of_id uuid) RETURNS SETOF text LANGUAGE plpgsql
SET lock_timeout = '200ms' AS $$
BEGIN
    RETURN QUERY SELECT l.holder FROM api_guard_lease l WHERE l.id = of_id AND l.ends_at > api_guard_now();
END $$;
