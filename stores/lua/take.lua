-- Take the costs of each counter, all of them or, where one that is strict has no room, none.
--
-- KEYS  of the counters; ARGV[1] who holds a slot, then for each counter: sort, amount, seconds, cost, strict, forced
-- Returns for each: was there room, how much is left, in how many seconds some will be given back; one text, which
-- is read more quickly than a list.
-- The time is the server's, so that hosts whose clocks differ agree. A moving window is the list of moments that
-- the limits library keeps as well, newest first.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local holder = ARGV[1]
local counters, all_admit = {}, true

local function live(key, target)
    -- how many moments of the list still count, and the oldest of them
    local function counts(place)
        local at = tonumber(redis.call('LINDEX', key, place))
        -- a moment of the future was taken before the clock was set back: it counts no longer
        return at and at > target and at <= now + 1 and at or nil
    end
    local low, high = 0, redis.call('LLEN', key)
    local oldest = high > 0 and counts(high - 1) or nil
    if oldest then  -- nearly always
        return high, oldest
    end
    while low < high do
        local middle = math.floor((low + high) / 2)
        local at = counts(middle)
        if at then
            low, oldest = middle + 1, at
        else
            high = middle
        end
    end
    return low, oldest
end

local function field(number)
    return string.format('%.0f', number)
end

local function look(counter, key)
    -- what the hundredths of a window hold: `taken` all in all, `oldest` the number of the first that holds anything
    local bucket = math.floor(now / counter.seconds * 100)
    local known = redis.call('HMGET', key, 'taken', 'oldest', 'head')
    counter.old = {}
    if not known[1] or bucket - known[3] > 100 or known[3] - bucket > 1 then
        -- a window without a call, or a clock that was set back
        counter.taken, counter.oldest, counter.bucket, counter.is_new = 0, bucket, bucket, true
        return
    end
    local taken, oldest = tonumber(known[1]), tonumber(known[2])
    bucket = math.max(bucket, tonumber(known[3]))
    local held = tonumber(redis.call('HGET', key, field(oldest)) or 0)
    while oldest < bucket - 100 or (oldest < bucket and held == 0) do
        if held > 0 then
            counter.old[#counter.old + 1] = field(oldest)
        end
        taken, oldest = taken - held, oldest + 1
        held = tonumber(redis.call('HGET', key, field(oldest)) or 0)
    end
    counter.taken, counter.oldest, counter.bucket = taken, oldest, bucket
    if taken > 0 then
        local excess, number = taken - counter.amount + math.max(counter.cost, 1) - held, oldest
        while excess > 0 and number < bucket do
            number = number + 1
            excess = excess - tonumber(redis.call('HGET', key, field(number)) or 0)
        end
        counter.wait = math.max(0, (number + 101) * counter.seconds / 100 - now)
    end
end

for i, key in ipairs(KEYS) do
    local at = 2 + (i - 1) * 6
    local counter = {
        sort = ARGV[at], amount = tonumber(ARGV[at + 1]), seconds = tonumber(ARGV[at + 2]),
        cost = tonumber(ARGV[at + 3]), strict = ARGV[at + 4] == '1', forced = ARGV[at + 5] == '1',
        taken = 0, wait = 0,
    }
    if counter.sort == 'moving' then
        local oldest
        counter.taken, oldest = live(key, now - counter.seconds)
        counter.wait = oldest and math.max(0, oldest + counter.seconds - now) or 0
    elseif counter.sort == 'sliding' then
        look(counter, key)
    else
        redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
        counter.taken = redis.call('ZCARD', key)
        if redis.call('ZSCORE', key, holder) then
            counter.taken = counter.taken - 1
        end
        local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
        counter.wait = first[2] and tonumber(first[2]) - now or 0
    end
    counter.room = counter.taken + math.max(counter.cost, 1) <= counter.amount
    all_admit = all_admit and (counter.room or not counter.strict or counter.forced)
    counters[i] = counter
end

local answers = {}
for i, key in ipairs(KEYS) do
    local counter = counters[i]
    if counter.cost > 0 and (counter.forced or (all_admit and counter.room)) then
        if counter.sort == 'moving' then
            local count = math.min(counter.cost, counter.amount)
            for _ = 1, count do
                redis.call('LPUSH', key, string.format('%.6f', now))
            end
            -- what counts no longer goes, so that the last one nearly always counts
            redis.call('LTRIM', key, 0, math.min(counter.amount, counter.taken + count) - 1)
            redis.call('EXPIRE', key, math.ceil(counter.seconds))
            counter.taken = math.min(counter.taken + counter.cost, counter.amount)
        elseif counter.sort == 'sliding' then
            if counter.is_new then
                redis.call('DEL', key)
            elseif #counter.old > 0 then
                redis.call('HDEL', key, unpack(counter.old))
            end
            redis.call('HINCRBY', key, field(counter.bucket), counter.cost)
            redis.call('HSET', key, 'taken', field(counter.taken + counter.cost), 'oldest', field(counter.oldest),
                'head', field(counter.bucket))
            redis.call('PEXPIRE', key, math.ceil(counter.seconds * 1010))
            counter.taken = counter.taken + counter.cost
        else
            redis.call('ZADD', key, now + counter.seconds, holder)
            redis.call('PEXPIRE', key, math.ceil(counter.seconds * 1000))
            counter.taken = counter.taken + 1
        end
        if counter.wait == 0 then
            counter.wait = counter.seconds
        end
    end
    answers[#answers + 1] = (counter.room or counter.forced) and 1 or 0
    answers[#answers + 1] = string.format('%.0f', math.max(counter.amount - counter.taken, 0))
    answers[#answers + 1] = string.format('%.6f', counter.wait)
end
return table.concat(answers, ' ')
