-- Take the costs of each counter, all of them or, where one that is strict has no room, none.
--
-- KEYS  of the counters; ARGV[1] who holds a slot, then for each counter: sort, amount, seconds, cost, strict, forced
-- Returns for each: was there room, how much is left, in how many seconds some will be given back (as text).
-- The time is the server's, so that hosts whose clocks differ agree. A moving window is the list of moments that
-- the limits library keeps as well, newest first.
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local holder = ARGV[1]
local counters, all_admit = {}, true

local function live(key, target)
    -- how many moments of the list are later than `target`, and the oldest of them
    local low, high, oldest = 0, redis.call('LLEN', key), nil
    while low < high do
        local middle = math.floor((low + high) / 2)
        local at = tonumber(redis.call('LINDEX', key, middle))
        -- a moment of the future was taken before the clock was set back: it counts no longer
        if at > target and at <= now + 1 then
            low, oldest = middle + 1, at
        else
            high = middle
        end
    end
    return low, oldest
end

local function held(counter, key)
    -- the hundredths of a window that still count, by their numbers
    local bucket = math.floor(now / counter.seconds * 100)
    local flat = redis.call('HGETALL', key)
    counter.buckets, counter.bucket, counter.old = {}, bucket, {}
    for i = 1, #flat, 2 do
        local number = tonumber(flat[i])
        if number < bucket - 100 or number > bucket + 1 then
            counter.old[#counter.old + 1] = flat[i]
        else
            counter.buckets[#counter.buckets + 1] = {number, tonumber(flat[i + 1])}
        end
    end
    table.sort(counter.buckets, function(a, b) return a[1] < b[1] end)
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
        held(counter, key)
        for _, pair in ipairs(counter.buckets) do
            counter.taken = counter.taken + pair[2]
        end
        local excess = math.max(counter.taken - counter.amount + math.max(counter.cost, 1), 1)
        for _, pair in ipairs(counter.buckets) do
            excess = excess - pair[2]
            if excess <= 0 then
                counter.wait = math.max(0, (pair[1] + 101) * counter.seconds / 100 - now)
                break
            end
        end
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
            redis.call('LTRIM', key, 0, counter.amount - 1)
            redis.call('EXPIRE', key, math.ceil(counter.seconds))
            counter.taken = math.min(counter.taken + counter.cost, counter.amount)
        elseif counter.sort == 'sliding' then
            if #counter.old > 0 then
                redis.call('HDEL', key, unpack(counter.old))
            end
            redis.call('HINCRBY', key, string.format('%.0f', counter.bucket), counter.cost)
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
return answers
